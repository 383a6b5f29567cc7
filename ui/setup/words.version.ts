// The words of the page of versions.
import { catalogue } from '../shared/i18n/index.svelte.ts';
import en from './i18n/version.en.ts';

export const v = catalogue(en, { cy: () => import('./i18n/version.cy.ts'), es: () => import('./i18n/version.es.ts') });
