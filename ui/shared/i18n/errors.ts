// From a code of the server, with its parameters, to words. The server never
// sends prose to a page; a code that is not known here reads as "fault".
import { both, date, time, type Style } from '../lib/time.ts';
import { money } from '../lib/money.ts';
import { catalogue, i18n } from './index.svelte.ts';
import en from './errors.en.ts';

export const copy = catalogue(
  { e: en },
  {
    cy: async () => ({ default: { e: (await import('./errors.cy.ts')).default } }),
    es: async () => ({ default: { e: (await import('./errors.es.ts')).default } }),
  },
);

export type Code = keyof typeof en;
export type Params = Record<string, unknown>;

/** Where the words stand: whose clock and which words for the place. */
export interface Place {
  zone: string;
  /** "prison" or "jail": the number in its own words. */
  number?: string;
  h24?: boolean;
  /** Words of this surface instead of the common ones, where people have other things at hand (a kiosk has no Wi-Fi to check). */
  instead?: (code: Code, params: Record<string, string>) => string | undefined;
}

let place: Place = { zone: 'UTC' };
/** Set once, when the facility is known. */
export function standAt(p: Place) {
  place = p;
}

/** Codes of the rooms that read the same as a copy code. */
const alias: Record<string, Code> = {
  unauthenticated: 'auth.signedOut',
  'auth.needed': 'auth.signedOut',
  'auth.stage': 'auth.signedOut',
  'auth.csrf': 'page.old',
  'auth.codeMany': 'auth.tooMany',
  too_many: 'auth.tooMany',
  'terms.changed': 'page.old',
  id_needed: 'id.needed',
  'id.incomplete': 'id.needed',
  'identity.state': 'page.old',
  'contact.state': 'page.old',
  'contact.answered': 'page.old',
  'visit.state': 'visit.gone',
  'visit.identity': 'id.needed',
  'visit.window': 'booking.refused',
  'visit.notice': 'booking.refused',
  'visit.overlap': 'booking.refused',
  'visit.limit': 'booking.refused',
  'visit.contact': 'booking.refused',
  'visit.account': 'booking.refused',
  'visit.class': 'booking.refused',
  'visit.service_off': 'booking.refused',
  'visit.not_available': 'booking.refused',
  not_found: 'notFound',
  fields: 'form',
  booking_over: 'call.ended',
  call_over: 'call.ended',
  time_up: 'call.ended',
  elsewhere: 'call.elsewhere',
  no_recorder: 'call.cannotRecord',
  too_early: 'call.early',
  'call.removed': 'call.endedByStaff',
  'call.refused': 'call.endedByStaff',
  terminated: 'call.endedByStaff',
  stopped: 'call.endedByStaff',
  removed: 'call.endedByStaff',
  seat_removed: 'call.endedByStaff',
  'call.waitStaff': 'wait.ready',
  opens_later: 'call.early',
  on_the_way: 'wait.onWay',
  not_told: 'wait.notTold',
  staff_preparing: 'wait.ready',
  device_fault: 'wait.deviceFault',
  facility_late: 'wait.late',
  not_available: 'wait.away',
  ready: 'wait.start',
  'call.waitStart': 'wait.start',
  'visit.not_declinable': 'visit.gone',
  'party.listFull': 'party.tooMany',
  'party.twice': 'party.tooMany',
  'contact.limit': 'contact.cannotAdd',
  'case.changed': 'page.old',
  'case.notClaimed': 'page.old',
};

export function known(code: string): code is Code {
  return code in en;
}

function words(value: unknown, key: string): string {
  const style: Style = { tag: i18n.tag, h24: place.h24 ?? false };
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value)) {
    const at = new Date(value);
    return key === 'date' || key === 'from' ? date(at, place.zone, style) : time(at, place.zone, style);
  }
  if (value && typeof value === 'object' && 'amount' in value && 'currency' in value) return money(value as { amount: number; currency: string });
  return String(value ?? '');
}

/** The words of a code, or other words where the code is not known here. */
export function sayOr(code: string | undefined, params: Params, other: string): string {
  return code && (known(code) || code in alias) ? say(code, params) : other;
}

/** The words of a wrong field: the server's short code, or ours. */
export function sayField(code: string): string {
  const name = code.startsWith('field.') ? code.slice(6) : code;
  const same: Record<string, Code> = {
    format: 'field.invalid', type: 'field.invalid', unknown: 'field.choose', range: 'field.invalid', too_short: 'field.required',
    too_long: 'field.tooLong', length: 'field.invalid', pattern: 'field.invalid', tick: 'terms.notAll', used: 'field.used',
  };
  const key = `field.${name}`;
  return say(known(key) ? key : (same[name] ?? (known(code) ? code : 'field.invalid')));
}

/** The words of a code. Parameters that are instants or money are put in words here. */
export function say(code: string, params: Params = {}): string {
  const key: Code = known(code) ? code : (alias[code] ?? 'fault');
  const p: Record<string, string> = { number: place.number ?? '' };
  for (const [k, v] of Object.entries(params)) p[k] = words(v, k);
  const own = place.instead?.(key, p);
  if (own) return own;
  const text = copy.e[key] as unknown;
  if (typeof text === 'string') return text;
  return (text as (p: Record<string, string>) => string)(p);
}

export { both };
