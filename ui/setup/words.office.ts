// The words of the pages behind the first load.
import { catalogue } from '../shared/i18n/index.svelte.ts';
import en from './i18n/office.en.ts';

export const o = catalogue(en, { cy: () => import('./i18n/office.cy.ts'), es: () => import('./i18n/office.es.ts') });
