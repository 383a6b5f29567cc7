import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

const css = readFileSync('shared/tokens.css', 'utf8');

function block(start: string): Record<string, string> {
  const at = css.indexOf(start);
  expect(at, start).toBeGreaterThanOrEqual(0);
  const body = css.slice(css.indexOf('{', at) + 1, css.indexOf('}', at));
  return Object.fromEntries([...body.matchAll(/--([a-z0-9-]+):\s*(#[0-9a-f]{6})/g)].map((m) => [m[1], m[2]])) as Record<string, string>;
}
const light = block(':root {\n  color-scheme: light');
const dark = block(":root[data-theme='dark']");
const system = block(":root:not([data-theme='light'])");

function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5].map((i) => {
    const c = parseInt(hex.slice(i, i + 2), 16) / 255;
    return c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}
function contrast(a: string, b: string): number {
  const [hi, lo] = [luminance(a), luminance(b)].sort((x, y) => y - x) as [number, number];
  return (hi + 0.05) / (lo + 0.05);
}

// ink on ground, and what it must reach: 7 for body text, 4.5 for large or bold text, 3 for lines.
const pairs: [string, string, number][] = [
  ['ink', 'bg', 7], ['ink', 'surface', 7], ['ink', 'surface-2', 7],
  ['muted', 'bg', 7], ['muted', 'surface', 7], ['muted', 'surface-2', 4.5],
  ['line', 'bg', 3], ['line', 'surface', 3], ['line', 'surface-2', 3],
  ['brand', 'bg', 7], ['on-brand', 'brand', 7],
  ['ok', 'ok-bg', 7], ['warn', 'warn-bg', 7], ['err', 'err-bg', 4.5], ['err', 'bg', 7],
  ['ink', 'ok-bg', 7], ['ink', 'warn-bg', 7], ['ink', 'err-bg', 7],
  ['on-danger', 'danger', 4.5], ['danger', 'bg', 3], ['focus', 'focus-outer', 3],
];

describe.each([['light', light], ['dark', dark]])('%s', (_, theme) => {
  test.each(pairs)('--%s on --%s is at least %d', (ink, ground, least) => {
    expect(contrast(theme[ink] as string, theme[ground] as string)).toBeGreaterThanOrEqual(least);
  });
});

test('both dark blocks hold the same values', () => {
  expect(system).toEqual(dark);
  expect(Object.keys(dark).sort()).toEqual(Object.keys(light).sort());
});
