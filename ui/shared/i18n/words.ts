// The words that several surfaces share. Each surface adds its own catalogue.
import en from './en.ts';
import { catalogue } from './index.svelte.ts';

export const t = catalogue(en, { cy: () => import('./cy.ts'), es: () => import('./es.ts') });
