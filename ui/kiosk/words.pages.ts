// The words of the pages behind sign-in, apart from the first load.
import { catalogue } from '../shared/i18n/index.svelte.ts';
import en from './i18n/pages.en.ts';

export const p = catalogue(en, { cy: () => import('./i18n/pages.cy.ts'), es: () => import('./i18n/pages.es.ts') });
