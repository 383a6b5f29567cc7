// The words of the call and the device check, apart from the first load.
import en from '../i18n/call.en.ts';
import { catalogue } from '../i18n/index.svelte.ts';

export const c = catalogue(en, { cy: () => import('../i18n/call.cy.ts'), es: () => import('../i18n/call.es.ts') });
