import { catalogue } from '../i18n/index.svelte.ts';
import en from '../i18n/account.en.ts';

export const ac = catalogue(en, { cy: () => import('../i18n/account.cy.ts'), es: () => import('../i18n/account.es.ts') });
