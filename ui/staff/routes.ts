import type { Route } from '../shared/lib/router.svelte.ts';

/** A page of staff; without the capability the address is not found. */
export interface StaffRoute extends Route {
  can?: string;
}

export const routes: StaffRoute[] = [
  { path: '/', load: () => import('./routes/home.svelte') },
  { path: '/sign-in', load: () => import('./routes/sign-in.svelte'), open: true },
  { path: '/activate', load: () => import('./routes/activate.svelte'), open: true },
  { path: '/live', load: () => import('./routes/live.svelte'), can: 'calls.see' },
  { path: '/live/:call', load: () => import('./routes/call.svelte'), can: 'calls.watch' },
  { path: '/moderation', load: () => import('./routes/moderation.svelte'), can: 'cases.decide' },
  { path: '/schedule', load: () => import('./routes/schedule.svelte'), can: 'visits.see' },
  { path: '/schedule/hours', load: () => import('./routes/hours.svelte'), can: 'visits.see' },
  { path: '/people', load: () => import('./routes/people.svelte'), can: 'people.see' },
  { path: '/people/roster', load: () => import('./routes/roster.svelte'), can: 'roster.import' },
  { path: '/people/inmates/:id', load: () => import('./routes/inmate.svelte'), can: 'people.see' },
  { path: '/recordings', load: () => import('./routes/recordings.svelte'), can: 'recordings.see' },
  { path: '/recordings/:id', load: () => import('./routes/recording.svelte'), can: 'recordings.see' },
  { path: '/audit', load: () => import('./routes/audit.svelte'), can: 'audit.own' },
  { path: '/settings', load: () => import('./routes/settings.svelte'), can: 'policy.read' },
];
