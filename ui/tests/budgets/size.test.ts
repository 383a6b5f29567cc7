// Gzip bytes of each entry's first load, from a real build. budgets.json holds
// the only numbers (KB without fonts).
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createBuilder } from 'vite';
import { closure, readManifest, surfaces, type Manifest, type Surface } from '../../build/doors.ts';
import budgets from '../../budgets.json' with { type: 'json' };

let out = '';
let manifests = {} as Record<Surface, Manifest>;
beforeAll(async () => {
  out = mkdtempSync(join(tmpdir(), 'ui-'));
  // The test runner sets NODE_ENV to test, with which Svelte would be built for development: 7 KB that nobody loads.
  process.env.NODE_ENV = 'production';
  const builder = await createBuilder({ logLevel: 'error', mode: 'production', build: { outDir: out, emptyOutDir: true } });
  await builder.buildApp();
  manifests = Object.fromEntries(surfaces.map((s) => [s, readManifest(out, s)])) as Record<Surface, Manifest>;
}, 120_000);
afterAll(() => rmSync(out, { recursive: true, force: true }));

const weigh = (files: string[]) =>
  files.filter((f) => !f.endsWith('.woff2')).reduce((n, f) => n + gzipSync(readFileSync(join(out, f)), { level: 9 }).length, 0) / 1024;

describe.each(surfaces)('%s', (surface) => {
  test('first load', () => {
    const files = closure(manifests[surface], `${surface}/index.html`, false);
    const kb = weigh([...files, `${surface}/index.html`]);
    expect(kb).toBeGreaterThan(5);
    expect(kb).toBeLessThanOrEqual(budgets.first[surface]);
  });

  test('each further route', () => {
    const manifest = manifests[surface];
    // Everybody comes in through the first page or the sign-in: what those brought is there.
    const before = [`${surface}/index.html`, `${surface}/routes/sign-in.svelte`, `${surface}/routes/home.svelte`].filter((k) => manifest[k]);
    const first = new Set(before.flatMap((k) => closure(manifest, k, false)));
    for (const [key, chunk] of Object.entries(manifest)) {
      if (!key.startsWith(`${surface}/routes/`) || before.includes(key)) continue;
      const own = closure(manifest, key, false).filter((f) => !first.has(f));
      const limit = /call|visit-room|device|monitor/.test(key) ? Math.max(budgets.call, budgets.route[surface]) : budgets.route[surface];
      expect(weigh(own), chunk.file).toBeLessThanOrEqual(limit);
    }
  });

  test('a door has nothing of another surface', () => {
    const files = JSON.parse(readFileSync(join(out, surface, 'files.json'), 'utf8')) as string[];
    for (const other of surfaces) {
      if (other === surface) continue;
      const theirs = Object.entries(manifests[other]).filter(([key]) => key.startsWith(`${other}/`));
      expect(theirs.length).toBeGreaterThan(3);
      for (const [, chunk] of theirs) expect(files).not.toContain(chunk.file);
    }
    expect(files.some((f) => f.endsWith('.woff2'))).toBe(true);
  });
});
