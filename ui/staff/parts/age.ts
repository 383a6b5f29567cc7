// Ages in queues, the one place for relative words.
import { p } from '../words.pages.ts';

/** "2 h 05", "14 min", "3 d". */
export function age(from: string, now: Date): string {
  const minutes = Math.max(0, Math.floor((now.getTime() - Date.parse(from)) / 60_000));
  if (minutes < 60) return p.list.minutes({ n: minutes });
  const hours = Math.floor(minutes / 60);
  if (hours < 48) return p.list.hours({ h: String(hours), m: String(minutes % 60).padStart(2, '0') });
  return p.list.days({ n: Math.floor(hours / 24) });
}

/** Whole years on a day, for "18 or over". */
export function years(born: string, on: Date): number {
  const [y = 0, m = 1, d = 1] = born.split('-').map(Number);
  const before = on.getUTCMonth() + 1 < m || (on.getUTCMonth() + 1 === m && on.getUTCDate() < d);
  return on.getUTCFullYear() - y - (before ? 1 : 0);
}
