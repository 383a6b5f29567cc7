import { afterEach, beforeEach, expect, test, vi } from 'vitest';

const kept = new Map<string, string>();
beforeEach(() => {
  kept.clear();
  vi.resetModules();
  vi.stubGlobal('document', { documentElement: {} });
  vi.stubGlobal('localStorage', { getItem: (k: string) => kept.get(k) ?? null, setItem: (k: string, v: string) => kept.set(k, v) });
});
afterEach(() => vi.unstubAllGlobals());
const page = () => import('../../shared/i18n/index.svelte.ts');

test('a page begins with its language', async () => {
  const { i18n } = await page();
  await i18n.begin('cy');
  expect(i18n.lang).toBe('cy');
});

test('who picks a language while the page starts keeps it', async () => {
  const { i18n } = await page();
  await i18n.pick('es');
  await i18n.begin('cy');
  expect(i18n.lang).toBe('es');
});

test('a choice is kept, and only one that we speak', async () => {
  const { remember, remembered } = await page();
  expect(remembered()).toBeUndefined();
  remember('cy');
  expect(remembered()).toBe('cy');
  kept.set('language', 'tlh');
  expect(remembered()).toBeUndefined();
});

test('a browser that keeps nothing asks again', async () => {
  const no = () => {
    throw new Error('denied');
  };
  vi.stubGlobal('localStorage', { getItem: no, setItem: no });
  const { remember, remembered } = await page();
  remember('cy');
  expect(remembered()).toBeUndefined();
});
