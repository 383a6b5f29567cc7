import { catalogue } from '../shared/i18n/index.svelte.ts';
import en from './i18n/en.ts';

export const w = catalogue(en, { cy: () => import('./i18n/cy.ts'), es: () => import('./i18n/es.ts') });
