import type { Route } from '../shared/lib/router.svelte.ts';

export const routes: Route[] = [
  { path: '/', load: () => import('./routes/health.svelte') },
  { path: '/facility', load: () => import('./routes/facility.svelte') },
  { path: '/stations', load: () => import('./routes/stations.svelte') },
];
