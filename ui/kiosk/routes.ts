import type { Route } from '../shared/lib/router.svelte.ts';

export const routes: Route[] = [
  { path: '/', load: () => import('./routes/home.svelte') },
  { path: '/requests', load: () => import('./routes/requests.svelte') },
  { path: '/call', load: () => import('./routes/call.svelte') },
  { path: '/calendar', load: () => import('./routes/calendar.svelte') },
  { path: '/news', load: () => import('./routes/news.svelte') },
];
