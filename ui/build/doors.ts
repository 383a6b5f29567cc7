// Vite plugin: writes, for every surface, the files its door may serve
// (dist/<surface>/files.json, the closure of the entry over static and lazy
// imports) and the client routes for which the door answers with the index
// page (dist/<surface>/routes.json). A chunk of another surface is not in the
// list, so it is 404 at this door.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import type { Plugin } from 'vite';

export const surfaces = ['visitor', 'kiosk', 'staff', 'setup'] as const;
export type Surface = (typeof surfaces)[number];

export interface Chunk {
  file: string;
  css?: string[];
  assets?: string[];
  imports?: string[];
  dynamicImports?: string[];
}
export type Manifest = Record<string, Chunk>;

/** The files that an entry reaches. Without lazy, only what its first load needs. */
export function closure(manifest: Manifest, entry: string, lazy: boolean): string[] {
  const files = new Set<string>();
  const seen = new Set<string>();
  const walk = (key: string) => {
    if (seen.has(key)) return;
    seen.add(key);
    const chunk = manifest[key];
    if (!chunk) throw new Error(`the manifest has no chunk ${key}`);
    files.add(chunk.file);
    for (const f of chunk.css ?? []) files.add(f);
    for (const f of chunk.assets ?? []) files.add(f);
    for (const k of chunk.imports ?? []) walk(k);
    if (lazy) for (const k of chunk.dynamicImports ?? []) walk(k);
  };
  walk(entry);
  return [...files].sort();
}

/** The route patterns of a surface, read from the text of its routes.ts. */
export function routePatterns(source: string): string[] {
  return [...source.matchAll(/path:\s*'([^']+)'/g)].map((m) => m[1] as string);
}

// Static files that only one surface serves, from the folder public/.
const extra: Partial<Record<Surface, string[]>> = {};

export function doors(): Plugin {
  let out = '';
  let root = '';
  return {
    name: 'sallyport-doors',
    apply: 'build',
    configResolved(config) {
      root = config.root;
      out = resolve(root, config.build.outDir);
    },
    closeBundle() {
      const manifest = JSON.parse(readFileSync(join(out, '.vite/manifest.json'), 'utf8')) as Manifest;
      const assets = readdirSync(join(out, 'assets'));
      for (const surface of surfaces) {
        const files = closure(manifest, `${surface}/index.html`, true);
        // Assets that a style sheet names (fonts) are not in every manifest entry: read them from the sheet.
        for (const sheet of files.filter((f) => f.endsWith('.css'))) {
          const text = readFileSync(join(out, sheet), 'utf8');
          for (const name of assets) if (text.includes(name) && !files.includes(`assets/${name}`)) files.push(`assets/${name}`);
        }
        files.push(...(extra[surface] ?? []));
        files.sort();
        const routes = routePatterns(readFileSync(join(root, surface, 'routes.ts'), 'utf8'));
        writeFileSync(join(out, surface, 'files.json'), JSON.stringify(files, null, 1) + '\n');
        writeFileSync(join(out, surface, 'routes.json'), JSON.stringify(routes, null, 1) + '\n');
      }
    },
  };
}
