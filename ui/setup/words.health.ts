// What the parts of Health and the phases of the first start say, apart from
// the first load. A code of the server is an area and a key: "disk.free".
import { catalogue } from '../shared/i18n/index.svelte.ts';
import en from './i18n/health.en.ts';

export const h = catalogue(en, { cy: () => import('./i18n/health.cy.ts'), es: () => import('./i18n/health.es.ts') });
