// Puts a day's visits on the board: rows are stations, columns 15 minutes of
// wall time. What overlaps on one station goes to further lanes.
import type { Schema } from '../../shared/api/client.ts';

export const step = 15;

/** Minutes of "14:05" since midnight. */
export function minutes(clock: string): number {
  const [h = 0, m = 0] = clock.split(':').map(Number);
  return h * 60 + m;
}
export function clockOf(m: number): string {
  return `${String(Math.floor(m / 60)).padStart(2, '0')}:${String(m % 60).padStart(2, '0')}`;
}

export interface Cell {
  /** Columns that the cell spans. */
  span: number;
  visit?: Schema['StaffVisit'];
  at: number;
  /** Why nothing is booked here: a closure's reason. */
  closed?: string;
}
export interface Row {
  key: string;
  station?: Schema['Station'];
  lanes: Cell[][];
}

const gone = new Set(['declined', 'expired', 'withdrawn', 'rejected', 'auto_rejected', 'cancelled']);

export interface Board {
  /** Minutes since midnight at which each column begins. */
  columns: number[];
  rows: Row[];
  /** Columns of the day's shortest visit, two at most: that many have to be wide enough for a name. */
  shortest: number;
}

export function board(day: Schema['Schedule']): Board {
  const visits = day.visits.filter((v) => !gone.has(v.state));
  const starts = visits.map((v) => minutes(v.time));
  const ends = visits.map((v) => minutes(v.time) + v.minutes);
  const from = Math.floor(Math.min(minutes(day.opens), ...starts) / step) * step;
  const to = Math.min(24 * 60, Math.ceil(Math.max(minutes(day.closes), ...ends) / step) * step);
  const columns = Array.from({ length: Math.max(1, (to - from) / step) }, (_, i) => from + i * step);
  const row = (key: string, list: Schema['StaffVisit'][], station?: Schema['Station']): Row => {
    const made: Row = { key, ...(station ? { station } : {}), lanes: lanes(list, from, columns.length) };
    const shut = day.closures.filter((c) => c.stations.includes(key));
    if (shut.length > 0)
      for (const cell of made.lanes.flat()) {
        const at = from + cell.at * step;
        const by = !cell.visit && shut.find((c) => minutes(c.starts) < at + step && at < minutes(c.ends));
        if (by) cell.closed = by.reason;
      }
    return made;
  };
  const known = new Set(day.stations.map((s) => s.id));
  const rows = day.stations.filter((s) => s.state !== 'retired').map((s) => row(s.id, visits.filter((v) => v.station_id === s.id), s));
  const loose = visits.filter((v) => !v.station_id || !known.has(v.station_id));
  if (loose.length > 0) rows.push(row('', loose));
  const spans = rows.flatMap((r) => r.lanes.flat()).flatMap((c) => (c.visit ? [c.span] : []));
  return { columns, rows, shortest: Math.min(2, ...spans) };
}

function lanes(list: Schema['StaffVisit'][], from: number, width: number): Cell[][] {
  const sorted = [...list].sort((a, b) => minutes(a.time) - minutes(b.time));
  const out: { cells: Cell[]; next: number }[] = [];
  for (const visit of sorted) {
    const at = Math.max(0, Math.floor((minutes(visit.time) - from) / step));
    const span = Math.max(1, Math.min(width - at, Math.ceil((minutes(visit.time) + visit.minutes - from) / step) - at));
    let lane = out.find((l) => l.next <= at);
    if (!lane) out.push((lane = { cells: [], next: 0 }));
    for (let i = lane.next; i < at; i++) lane.cells.push({ span: 1, at: i });
    lane.cells.push({ span, visit, at });
    lane.next = at + span;
  }
  if (out.length === 0) out.push({ cells: [], next: 0 });
  for (const lane of out) for (let i = lane.next; i < width; i++) lane.cells.push({ span: 1, at: i });
  return out.map((l) => l.cells);
}
