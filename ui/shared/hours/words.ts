import { catalogue } from '../i18n/index.svelte.ts';
import en from '../i18n/hours.en.ts';

export const h = catalogue(en, { cy: () => import('../i18n/hours.cy.ts'), es: () => import('../i18n/hours.es.ts') });
