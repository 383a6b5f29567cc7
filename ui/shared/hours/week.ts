// The arithmetic of a weekly pattern: what the form shows before anything is
// sent, and where a session lies in the picture of the week.
import type { Schema } from '../api/client.ts';

export type Template = Schema['SessionTemplate'];
export type Hours = Schema['VisitingHours'];
export type NewTemplate = Schema['NewTemplate'];
export type NewClosure = Schema['NewClosure'];

/** What a page of hours asks of its door. */
export interface HoursDoor {
  list: (signal: AbortSignal) => Promise<Hours>;
  add: (body: NewTemplate) => Promise<Template>;
  standing: (id: string, after: string) => Promise<Schema['Standing']>;
  end: (id: string, last: string) => Promise<Schema['Standing']>;
  close: (body: NewClosure) => Promise<Schema['Closure']>;
  lift: (id: number) => Promise<unknown>;
}

/** Monday first, as numbers of the contract (0 is Sunday). */
export const week = [1, 2, 3, 4, 5, 6, 0] as const;

/** Minutes of "14:05" since midnight; 24:00 is the end of the day. */
export function minutes(clock: string): number {
  const [h = 0, m = 0] = clock.split(':').map(Number);
  return h * 60 + m;
}
export function clock(m: number): string {
  return `${String(Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}`;
}
/** A time field cannot say 24:00; as an end, midnight is it. */
export function endOf(text: string): string {
  return text === '00:00' ? '24:00' : text;
}

/** The starts of one day that a visit of this length can have: its run of slots must end inside. */
export function starts(from: string, to: string, pitch: number, length: number, turnaround: number): string[] {
  const a = minutes(from);
  const b = minutes(endOf(to));
  const run = Math.ceil((length + turnaround) / pitch) * pitch;
  const out: string[] = [];
  if (!(pitch > 0) || !(b > a)) return out;
  for (let m = a; m + run <= b; m += pitch) out.push(clock(m));
  return out;
}

/** Days as spans: "Mon–Fri, Sun" from [0, 1, 2, 3, 4, 5]. names is from Monday. */
export function daySpans(days: readonly number[], names: readonly string[]): string {
  const on = week.map((d) => days.includes(d));
  const out: string[] = [];
  for (let i = 0; i < 7; i++) {
    if (!on[i]) continue;
    let j = i;
    while (j < 6 && on[j + 1]) j++;
    out.push(j - i >= 2 ? `${names[i]}–${names[j]}` : j > i ? `${names[i]}, ${names[j]}` : `${names[i]}`);
    i = j;
  }
  return out.join(', ');
}

export interface Block {
  id: string;
  name: string;
  /** Column 0 is Monday. */
  day: number;
  top: number; // of 1
  height: number;
  /** Of the sessions that overlap here, which one and of how many. */
  lane: number;
  lanes: number;
  starts: string;
  ends: string;
}

/** Where each session lies in the week, between whole hours. */
export function blocks(templates: readonly Template[]): { from: number; to: number; blocks: Block[] } {
  const live = templates.filter((t) => t.state !== 'ended');
  const from = Math.floor(Math.min(...live.map((t) => minutes(t.starts)), 24 * 60) / 60) * 60;
  const to = Math.ceil(Math.max(...live.map((t) => minutes(t.ends)), 0) / 60) * 60;
  const span = Math.max(60, to - from);
  const out: Block[] = [];
  for (const [day, weekday] of week.entries()) {
    const here = live.filter((t) => t.weekdays.includes(weekday)).sort((a, b) => minutes(a.starts) - minutes(b.starts));
    const ends: number[] = [];
    const placed = here.map((t) => {
      let lane = ends.findIndex((e) => e <= minutes(t.starts));
      if (lane < 0) lane = ends.length;
      ends[lane] = minutes(t.ends);
      return { t, lane };
    });
    for (const { t, lane } of placed)
      out.push({
        id: t.id, name: t.name, day, lane, lanes: ends.length, starts: t.starts, ends: t.ends,
        top: (minutes(t.starts) - from) / span, height: (minutes(t.ends) - minutes(t.starts)) / span,
      });
  }
  return { from, to: from + span, blocks: out };
}
