import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';

type Book = Record<string, Record<string, unknown>>;
const folders = ['shared/i18n', 'visitor/i18n', 'kiosk/i18n', 'staff/i18n', 'setup/i18n'];
const names = folders.flatMap((f) => {
  try {
    return readdirSync(f).filter((n) => /(^|\.)en\.ts$/.test(n)).map((n) => [f, n] as const);
  } catch {
    return [];
  }
});

const load = async (folder: string, name: string) => ((await import(join('../..', folder, name))) as { default: Book }).default;
const numbers: Record<string, unknown> = new Proxy({}, { get: (_, k) => (typeof k === 'string' && ['n', 'of'].includes(k) ? 3 : 'X') });
function flat(book: Record<string, unknown>, at = ''): [string, string][] {
  return Object.entries(book).flatMap(([k, v]): [string, string][] => {
    const key = at ? `${at}.${k}` : k;
    if (typeof v === 'string') return [[key, v]];
    if (typeof v === 'function') return [[key, (v as (p: unknown) => string)(numbers)]];
    return flat(v as Record<string, unknown>, key);
  });
}

test('there are catalogues to look at', () => expect(names.length).toBeGreaterThan(1));

describe.each(names)('%s/%s', (folder, name) => {
  test.each(['cy', 'es'])('%s has the same keys and leaves no text empty or English', async (lang) => {
    const en = flat(await load(folder, name));
    const other = flat(await load(folder, name.replace(/en\.ts$/, `${lang}.ts`)));
    expect(other.map(([k]) => k)).toEqual(en.map(([k]) => k));
    for (const [k, v] of other) expect(v.trim(), k).not.toBe('');
    // A sentence of five words or more that reads the same was forgotten.
    const english = new Map(en);
    const same = other.filter(([k, v]) => v.split(/\s+/).length >= 5 && english.get(k) === v).map(([k]) => k);
    expect(same).toEqual([]);
  });
});

const banned = /\b(please|sorry|valid|invalid|forbidden|illegal|oops)\b/i;
const syllables = (w: string) => {
  const s = w.toLowerCase().replace(/[^a-z]/g, '').replace(/(?:[^laeiouy]es|ed|[^laeiouy]e)$/, '').replace(/^y/, '');
  return Math.max(1, s.match(/[aeiouy]{1,2}/g)?.length ?? 1);
};
function grade(text: string): number {
  const sentences = text.split(/[.!?]+\s|[.!?]+$/).filter((s) => s.trim()).length || 1;
  const words = text.split(/\s+/).filter((w) => /[a-z0-9]/i.test(w));
  const syl = words.reduce((n, w) => n + syllables(w), 0);
  return 0.39 * (words.length / sentences) + 11.8 * (syl / words.length) - 15.59;
}

test('the copy of section 6 is plain', async () => {
  const copy = (await import('../../shared/i18n/errors.en.ts')).default as Record<string, unknown>;
  const people = flat(copy).filter(([k]) => !k.startsWith('staff.') && !k.startsWith('setup.'));
  const grades = people.map(([k, v]) => [k, grade(v)] as const);
  const mean = grades.reduce((n, [, g]) => n + g, 0) / grades.length;
  expect(mean).toBeLessThanOrEqual(3);
  expect(grades.filter(([, g]) => g > 7)).toEqual([]);
  for (const [k, v] of people) {
    expect(banned.test(v), `${k}: ${v}`).toBe(false);
    const sentences = v.split(/[.!?]+\s|[.!?]+$/).filter((s) => s.trim());
    const words = v.split(/\s+/).length / sentences.length;
    expect(words, `${k} has long sentences`).toBeLessThanOrEqual(14);
  }
});

test('no visible words stand in a page outside the catalogue', () => {
  const files = ['shared', 'visitor', 'kiosk', 'staff', 'setup'].flatMap((dir) =>
    (readdirSync(dir, { recursive: true }) as string[]).filter((f) => f.endsWith('.svelte')).map((f) => join(dir, f)),
  );
  const found: string[] = [];
  for (const file of files) {
    const text = readFileSync(file, 'utf8')
      .replace(/<script[\s\S]*?<\/script>/g, '')
      .replace(/<style[\s\S]*?<\/style>/g, '')
      .replace(/<!--[\s\S]*?-->/g, '');
    // Drop expressions with their nested braces, then tags with their attributes: what is left is text.
    let depth = 0;
    let bare = '';
    for (const c of text) {
      if (c === '{') depth++;
      else if (c === '}') depth--;
      else if (depth === 0) bare += c;
    }
    for (const m of bare.replace(/<[^>]*>/g, '\u0000').split('\u0000')) if (/\p{L}{3,}/u.test(m)) found.push(`${file}: ${m.trim()}`);
  }
  expect(found).toEqual([]);
});
