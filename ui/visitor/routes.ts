import type { Route } from '../shared/lib/router.svelte.ts';

export const routes: Route[] = [
  { path: '/', load: () => import('./routes/home.svelte') },
  { path: '/sign-in', load: () => import('./routes/sign-in.svelte'), open: true },
  { path: '/create-account', load: () => import('./routes/create-account.svelte'), open: true },
  { path: '/activate', load: () => import('./routes/activate.svelte'), open: true },
  { path: '/activate/:token', load: () => import('./routes/activate.svelte'), open: true },
  { path: '/identity', load: () => import('./routes/identity.svelte') },
  { path: '/people', load: () => import('./routes/people.svelte') },
  { path: '/people/add', load: () => import('./routes/people-add.svelte') },
  { path: '/book', load: () => import('./routes/book.svelte') },
  { path: '/visits', load: () => import('./routes/visits.svelte') },
  { path: '/visits/:id', load: () => import('./routes/visit.svelte') },
  { path: '/visits/:id/room', load: () => import('./routes/visit-room.svelte'), whole: true },
  { path: '/check', load: () => import('./routes/device-check.svelte') },
  { path: '/news', load: () => import('./routes/news.svelte') },
  { path: '/account', load: () => import('./routes/account.svelte') },
  { path: '/more', load: () => import('./routes/more.svelte') },
  { path: '/help', load: () => import('./routes/help.svelte'), open: true },
];
