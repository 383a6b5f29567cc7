// The words of codes: states, reasons, flags. A code that has no words yet is
// shown as it stands, so that staff never lose a fact.
import { catalogue } from '../shared/i18n/index.svelte.ts';
import en from './i18n/codes.en.ts';

export const codes = catalogue(en, { cy: () => import('./i18n/codes.cy.ts'), es: () => import('./i18n/codes.es.ts') });
export type Area = keyof typeof en;

/** The words of a code in its area. */
export function word(area: Area, code: string | undefined): string {
  if (!code) return '';
  return (codes[area] as Record<string, string>)[code] ?? code.replace(/[._]/g, ' ');
}

/** All codes of an area as choices, in their order. */
export function choices(area: Area, only?: readonly string[]): { value: string; label: string }[] {
  return (only ?? Object.keys(en[area])).map((value) => ({ value, label: word(area, value) }));
}
