// The sentences of the audit log and the names of the rules, apart from the
// other pages: one verb of the rooms is one plain sentence.
import { catalogue } from '../shared/i18n/index.svelte.ts';
import en from './i18n/audit.en.ts';

export const a = catalogue(en, { cy: () => import('./i18n/audit.cy.ts'), es: () => import('./i18n/audit.es.ts') });
