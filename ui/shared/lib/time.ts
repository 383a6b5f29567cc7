// Instants in UTC and a zone in, words out. No arithmetic with dates: the
// server sends the days and the slots. timeStyle prints "02:00 pm" and is not
// used; Chromium has no Welsh dates, so Welsh names come from dates-cy.ts.
import * as cy from '../i18n/dates-cy.ts';

export interface Style {
  /** Locale tag: en-GB, en-US, cy-GB, es-US. */
  tag: string;
  /** 24-hour clock: staff and setup; kiosk by the facility's setting. */
  h24?: boolean;
}

interface Parts {
  year: number;
  month: number;
  day: number;
  weekday: number;
  hour: number;
  minute: number;
}

const formats = new Map<string, Intl.DateTimeFormat>();
function format(key: string, tag: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  let f = formats.get(key);
  if (!f) formats.set(key, (f = new Intl.DateTimeFormat(tag, options)));
  return f;
}

function parts(at: Date, zone: string): Parts {
  const f = format(`p|${zone}`, 'en-GB', {
    timeZone: zone, year: 'numeric', month: 'numeric', day: 'numeric', weekday: 'short', hour: 'numeric', minute: 'numeric', hourCycle: 'h23',
  });
  const get: Record<string, string> = {};
  for (const p of f.formatToParts(at)) get[p.type] = p.value;
  return {
    year: Number(get.year), month: Number(get.month), day: Number(get.day),
    weekday: ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'].indexOf(get.weekday ?? ''),
    hour: Number(get.hour), minute: Number(get.minute),
  };
}

const language = (tag: string) => tag.slice(0, 2);
const two = (n: number) => String(n).padStart(2, '0');

/** True when the wall time of this instant comes twice that night, so its zone must be named. */
export function ambiguous(at: Date, zone: string): boolean {
  const wall = (d: Date) => {
    const p = parts(d, zone);
    return `${p.day} ${p.hour}:${p.minute}`;
  };
  const here = wall(at);
  return [-3600_000, 3600_000].some((ms) => wall(new Date(at.getTime() + ms)) === here);
}

function zoneName(at: Date, zone: string, tag: string): string {
  const f = format(`z|${zone}|${tag}`, tag, { timeZone: zone, timeZoneName: 'short' });
  return f.formatToParts(at).find((p) => p.type === 'timeZoneName')?.value ?? zone;
}

function clockWords(p: Parts, s: Style): string {
  if (s.h24) return `${two(p.hour)}:${two(p.minute)}`;
  const lang = language(s.tag);
  if (p.minute === 0 && p.hour === 12) return lang === 'cy' ? '12:00 canol dydd' : lang === 'es' ? '12:00 del mediodía' : '12:00 midday';
  if (p.minute === 0 && p.hour === 0) return lang === 'cy' ? '12:00 canol nos' : lang === 'es' ? '12:00 de la noche' : '12:00 midnight';
  const [am, pm] = lang === 'cy' ? [cy.am, cy.pm] : lang === 'es' ? [' a. m.', ' p. m.'] : ['am', 'pm'];
  return `${p.hour % 12 || 12}:${two(p.minute)}${p.hour < 12 ? am : pm}`;
}

/** "2:00pm", "12:00 midday", or "14:00". An hour that comes twice names its zone. */
export function time(at: Date, zone: string, s: Style): string {
  const words = clockWords(parts(at, zone), s);
  return ambiguous(at, zone) ? `${words} ${zoneName(at, zone, s.tag)}` : words;
}

function dateWords(p: Parts, s: Style, thisYear: number): string {
  const withYear = p.year !== thisYear;
  if (language(s.tag) === 'cy') return `${cy.days[p.weekday]} ${p.day} ${cy.months[p.month - 1]}${withYear ? ` ${p.year}` : ''}`;
  const f = format(`d|${s.tag}|${withYear}`, s.tag, {
    timeZone: 'UTC', weekday: 'long', day: 'numeric', month: 'long', ...(withYear ? { year: 'numeric' } : {}),
  });
  const words = f.format(new Date(Date.UTC(p.year, p.month - 1, p.day, 12)));
  return s.tag === 'en-GB' ? words.replace(/,/g, '') : words;
}

/** "Thursday 4 March"; en-US "Thursday, March 4"; the year only if it is not this year. */
export function date(at: Date, zone: string, s: Style, now: Date = new Date()): string {
  return dateWords(parts(at, zone), s, parts(now, zone).year);
}

/** A local date "2027-03-04" in words, without a zone. */
export function localDate(iso: string, s: Style, now: Date = new Date()): string {
  const [year = 1970, month = 1, day = 1] = iso.split('-').map(Number);
  const noon = new Date(Date.UTC(year, month - 1, day, 12));
  return dateWords({ year, month, day, weekday: noon.getUTCDay(), hour: 12, minute: 0 }, s, now.getUTCFullYear());
}

/** A date of birth or a month's heading: "4 March 1990", "March 2027". */
export function plainDate(iso: string, s: Style): string {
  const [year = 1970, month = 1, day] = iso.split('-').map(Number);
  if (language(s.tag) === 'cy') return `${day ? `${day} ` : ''}${cy.months[month - 1]} ${year}`;
  const f = format(`m|${s.tag}|${day ? 1 : 0}`, s.tag, {
    timeZone: 'UTC', month: 'long', year: 'numeric', ...(day ? { day: 'numeric' } : {}),
  });
  return f.format(new Date(Date.UTC(year, month - 1, day ?? 1, 12)));
}

/** The seven short names of a week from Monday (Sunday first where the country does so). */
export function weekdays(tag: string, sundayFirst: boolean): string[] {
  const names = Array.from({ length: 7 }, (_, i) => {
    if (language(tag) === 'cy') return cy.shortDays[i] as string;
    return format(`w|${tag}`, tag, { timeZone: 'UTC', weekday: 'short' }).format(new Date(Date.UTC(2023, 0, 1 + i, 12)));
  });
  return sundayFirst ? names : [...names.slice(1), names[0] as string];
}

export interface BothTimes {
  date: string;
  time: string;
  /** The visitor's own time, only where it reads differently; with the day if that differs. */
  yours?: string;
}

/** Facility time first, the person's own beneath it. */
export function both(at: Date, facilityZone: string, ownZone: string, s: Style, now: Date = new Date()): BothTimes {
  const here = parts(at, facilityZone);
  const own = parts(at, ownZone);
  const result: BothTimes = { date: date(at, facilityZone, s, now), time: time(at, facilityZone, s) };
  const sameDay = here.day === own.day && here.month === own.month;
  if (sameDay && here.hour === own.hour && here.minute === own.minute) return result;
  result.yours = sameDay ? time(at, ownZone, s) : `${date(at, ownZone, s, now)}, ${time(at, ownZone, s)}`;
  return result;
}

/** "12:04" from milliseconds; hours only when there are any. */
export function remaining(ms: number): string {
  const total = Math.max(0, Math.ceil(ms / 1000));
  const h = Math.floor(total / 3600);
  const m = Math.floor((total % 3600) / 60);
  return h > 0 ? `${h}:${two(m)}:${two(total % 60)}` : `${two(m)}:${two(total % 60)}`;
}

/** "29:58" of what is over or behind, rounded down: it never claims a second that was not. */
export function elapsed(ms: number): string {
  return remaining(Math.floor(Math.max(0, ms) / 1000) * 1000);
}

/** The zone's city in words: "London", "New York". */
export function zoneCity(zone: string): string {
  return (zone.split('/').pop() ?? zone).replace(/_/g, ' ');
}

/** The date of an instant at a place, as the server writes dates. */
export function dateAt(at: Date, zone: string): string {
  const p = parts(at, zone);
  return `${p.year}-${two(p.month)}-${two(p.day)}`;
}

/** A calendar date some days on; a question's bounds, never an appointment. */
export function addDays(iso: string, days: number): string {
  const [year = 1970, month = 1, day = 1] = iso.split('-').map(Number);
  return new Date(Date.UTC(year, month - 1, day + days)).toISOString().slice(0, 10);
}

/** The hour of an instant at a place, to group times by part of the day. */
export function hourAt(at: Date, zone: string): number {
  return parts(at, zone).hour;
}
