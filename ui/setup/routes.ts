import type { Route } from '../shared/lib/router.svelte.ts';

/** A page of set-up; without the capability the address is not found. */
export interface SetupRoute extends Route {
  can?: string;
}

export const routes: SetupRoute[] = [
  { path: '/', load: () => import('./routes/health.svelte') },
  { path: '/activate', load: () => import('./routes/activate.svelte'), open: true },
  { path: '/facility', load: () => import('./routes/facility.svelte'), can: 'facility.edit' },
  { path: '/housing', load: () => import('./routes/housing.svelte'), can: 'facility.edit' },
  { path: '/staff', load: () => import('./routes/staff.svelte'), can: 'staff.edit' },
  { path: '/hours', load: () => import('./routes/hours.svelte'), can: 'schedule.edit' },
  { path: '/devices', load: () => import('./routes/devices.svelte'), can: 'devices.see' },
  { path: '/version', load: () => import('./routes/version.svelte'), can: 'versions.install' },
];
