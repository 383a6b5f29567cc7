import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { routePatterns, surfaces } from '../../build/doors.ts';
import { find, match } from '../../shared/lib/router.svelte.ts';
import cases from './count.json' with { type: 'json' };
import { count } from '../../shared/lib/count.ts';
import { icons } from '../../shared/ui/icons.ts';

test.each([
  ['/', '/', {}],
  ['/visits/:id', '/visits/v_1', { id: 'v_1' }],
  ['/visits/:id', '/visits', undefined],
  ['/visits/:id', '/visits/a%20b/', { id: 'a b' }],
  ['/visits/:id', '/visits/%E0%A4%A', undefined],
  ['/visits/new', '/visits/v_1', undefined],
])('%s fits %s: %o', (pattern, path, want) => expect(match(pattern, path)).toEqual(want));

describe.each(surfaces)('%s', (surface) => {
  test('the door knows the same routes as the page', async () => {
    const { routes } = (await import(`../../${surface}/routes.ts`)) as { routes: { path: string; load: () => Promise<never> }[] };
    expect(routePatterns(readFileSync(`${surface}/routes.ts`, 'utf8'))).toEqual(routes.map((r) => r.path));
    expect(find(routes, '/')?.route.path).toBe('/');
    for (const r of routes) expect(r.path).toMatch(/^\/(:?[a-z0-9-]+(\/:?[a-z0-9-]+)*)?$/);
  });
});

test.each(cases)('count: $name', ({ text, want }) => expect(count(text)).toBe(want));

test('the sprite has every icon and no other', () => {
  const ids = [...readFileSync('shared/icons.svg', 'utf8').matchAll(/symbol id="([^"]+)"/g)].map((m) => m[1]);
  expect(ids).toEqual([...icons]);
});

test('no surface imports another', () => {
  for (const a of surfaces) {
    const text = readFileSync(`${a}/routes.ts`, 'utf8') + readFileSync(`${a}/main.ts`, 'utf8') + readFileSync(`${a}/App.svelte`, 'utf8');
    for (const b of surfaces) if (a !== b) expect(text).not.toContain(`../${b}/`);
  }
});
