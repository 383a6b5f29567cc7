// The words of the page of staff.
import { catalogue } from '../shared/i18n/index.svelte.ts';
import en from './i18n/crew.en.ts';

export const c = catalogue(en, { cy: () => import('./i18n/crew.cy.ts'), es: () => import('./i18n/crew.es.ts') });
