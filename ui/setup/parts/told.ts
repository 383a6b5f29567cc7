// What a part of Health says, in the words of the page.
import type { Schema } from '../../shared/api/client.ts';
import { h } from '../words.health.ts';
import { w } from '../words.ts';

type Part = Schema['HealthPart'];
type Say = string | ((p: Record<string, unknown>) => string);

/** The name of a part, or of a phase of the first start. */
export const named = (name: string): string => (w.part as Record<string, string>)[name] ?? name;

/** A phase of the first start comes as "first boot: seed". */
export const label = (p: Part): string => p.name.split(': ').map(named).join(': ');

export interface Told {
  text: string;
  /** What nobody has put in other words: lines of a file, or all of it where the code is not known here. */
  english: string;
}

export function told(p: Part, moment: (iso: string) => string): Told {
  const [area = '', key = ''] = p.code.split(/\.(.*)/s);
  const say = (h as unknown as Record<string, Record<string, Say> | undefined>)[area]?.[key];
  if (say === undefined) return { text: '', english: p.detail };
  const { lines, ...params } = p.params ?? {};
  const words = Object.fromEntries(Object.entries(params).map(([k, v]) => [k, param(k, v, moment)]));
  return { text: typeof say === 'string' ? say : say(words), english: typeof lines === 'string' ? lines : '' };
}

function param(key: string, value: unknown, moment: (iso: string) => string): unknown {
  if (key === 'needs') return named(String(value));
  if (key === 'from') return (h.from as Record<string, string>)[String(value)] ?? value;
  if (typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value)) return moment(value);
  return value;
}
