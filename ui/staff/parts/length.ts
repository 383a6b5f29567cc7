import { remaining } from '../../shared/lib/time.ts';

/** "29:58" from milliseconds, rounded down: a time line never runs ahead. */
export function length(ms: number): string {
  return remaining(Math.floor(Math.max(0, ms) / 1000) * 1000);
}
