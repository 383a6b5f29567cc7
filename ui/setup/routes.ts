import type { Route } from '../shared/lib/router.svelte.ts';

export const routes: Route[] = [{ path: '/', load: () => import('./routes/sign-in.svelte'), open: true }];
