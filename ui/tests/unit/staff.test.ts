// The parts of the staff surface that think: the board of a day, the words of
// the link to the centre, the alerts of the wall, the sentences of the audit log.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Schema } from '../../shared/api/client.ts';
import { years } from '../../staff/parts/age.ts';
import { board } from '../../staff/parts/board.ts';
import { sentence } from '../../staff/parts/sentence.ts';
import { syncLine } from '../../staff/sync.ts';
import { wall } from '../../staff/wall.svelte.ts';

type Visit = Schema['StaffVisit'];
const visit = (id: string, time: string, minutes: number, station?: string, state = 'confirmed') => ({ id, time, minutes, state, station_id: station }) as Visit;
const station = (id: string, state = 'ready') => ({ id, name: id, state }) as Schema['Station'];
const day = (visits: Visit[], stations = [station('a'), station('b')], closures: Schema['ScheduleClosure'][] = []) =>
  ({ date: '2027-03-04', previous: '', next: '', today: true, opens: '09:00', closes: '10:00', stations, sessions: [], closures, visits }) as Schema['Schedule'];

describe('the board of a day', () => {
  test('has a column for each quarter of an hour and fills each row', () => {
    const b = board(day([visit('1', '09:15', 30, 'a')]));
    expect(b.columns).toEqual([540, 555, 570, 585]);
    expect(b.rows[0]?.lanes[0]?.map((c) => [c.span, c.visit?.id])).toEqual([[1, undefined], [2, '1'], [1, undefined]]);
    for (const row of b.rows) for (const lane of row.lanes) expect(lane.reduce((n, c) => n + c.span, 0)).toBe(4);
  });
  test('grows to hold what lies outside the opening hours', () => {
    const b = board(day([visit('1', '08:50', 20, 'a'), visit('2', '09:50', 30, 'a')]));
    expect([b.columns[0], b.columns.at(-1)]).toEqual([525, 615]);
  });
  test('puts what overlaps on one station into further lanes, and nothing over another', () => {
    const b = board(day([visit('1', '09:00', 30, 'a'), visit('2', '09:15', 30, 'a'), visit('3', '09:30', 15, 'a')]));
    expect(b.rows[0]?.lanes.map((l) => l.filter((c) => c.visit).map((c) => c.visit?.id))).toEqual([['1', '3'], ['2']]);
  });
  test('keeps visits without a station in a row of their own, and leaves out what was called off', () => {
    const b = board(day([visit('1', '09:00', 15), visit('2', '09:00', 15, 'a', 'cancelled')]));
    expect(b.rows.map((r) => r.key)).toEqual(['a', 'b', '']);
    expect(b.rows[0]?.lanes[0]?.some((c) => c.visit)).toBe(false);
    expect(b.rows[2]?.lanes[0]?.[0]?.visit?.id).toBe('1');
  });
  test('hatches what is closed, but never a visit that still stands there', () => {
    const shut = { id: 1, scope: 'station' as const, stations: ['a'], starts: '09:10', ends: '09:45', reason: 'device_maintenance' };
    const b = board(day([visit('1', '09:30', 15, 'a')], undefined, [shut]));
    expect(b.rows[0]?.lanes[0]?.map((c) => c.closed ?? c.visit?.id ?? '')).toEqual(['device_maintenance', 'device_maintenance', '1', '']);
    expect(b.rows[1]?.lanes[0]?.some((c) => c.closed)).toBe(false);
  });
  test('makes columns as wide as the name of its shortest visit needs', () => {
    expect(board(day([])).shortest).toBe(2);
    expect(board(day([visit('1', '09:00', 30, 'a'), visit('2', '09:30', 60, 'b')])).shortest).toBe(2);
    expect(board(day([visit('1', '09:00', 30, 'a'), visit('2', '09:30', 10, 'b')])).shortest).toBe(1);
    expect(board(day([visit('1', '09:00', 30, 'a'), visit('2', '09:30', 10, 'b', 'cancelled')])).shortest).toBe(2);
  });
  test('does not show a retired station', () => {
    expect(board(day([], [station('a'), station('old', 'retired')])).rows.map((r) => r.key)).toEqual(['a']);
  });
});

describe('the link to the centre in words', () => {
  const card = (c: Partial<Schema['SyncCard']>): Schema['SyncCard'] => ({ state: 'live', waiting: 0, parked: 0, enabled: true, ...c });
  const line = (c: Partial<Schema['SyncCard']>) => syncLine(card(c), () => '14:05');
  test.each([
    [{ enabled: false }, 'ok', /on its own/],
    [{ last_full: 'x' }, 'ok', /All sent at 14:05/],
    [{ state: 'wait-link', cause: 'link', since: 'x', waiting: 212 }, 'warn', /No link to the centre since 14:05\. Visits go on as usual\. 212 changes are waiting/],
    [{ state: 'recovery' }, 'err', /older copy/],
    [{ state: 'withdrawn' }, 'err', /withdrawn access/],
    [{ state: 'wait-link', cause: 'clock' }, 'err', /clock is off/],
    [{ parked: 1, last_full: 'x' }, 'warn', /1 record was set aside/],
  ] as const)('%o', (c, tone, words) => {
    expect(line(c).tone).toBe(tone);
    expect(line(c).text).toMatch(words);
  });
});

describe('the alerts of the wall', () => {
  const live = (...flags: string[]) =>
    wall.take({ now: '2027-03-04T14:00:00Z', stations: [], gateway: 'ok', calls: [{ call: 'c1', station: 'S1', flags, seats: [] as Schema['LiveSeat'][], phase: 'live' } as unknown as Schema['LiveCall']] });
  const alerts = () => wall.alerts.map((a) => a.flag);

  test('stay until seen, come again when the cause comes again, and leave duties apart', () => {
    live('no_face.i1', 'unmonitored');
    expect(alerts()).toEqual(['no_face.i1']);
    expect(wall.duties.map((a) => a.flag)).toEqual(['unmonitored']);
    wall.see('c1 no_face.i1');
    expect(alerts()).toEqual([]);
    live('no_face.i1');
    expect(alerts()).toEqual([]);
    live();
    live('no_face.i1');
    expect(alerts()).toEqual(['no_face.i1']);
    wall.clear();
    expect(alerts()).toEqual([]);
  });
});

test('whole years on a day', () => {
  const on = new Date('2027-03-27T12:00:00Z');
  expect([years('2009-03-27', on), years('2009-03-28', on), years('1990-12-01', on)]).toEqual([18, 17, 36]);
});

test('every verb that the rooms write has a sentence', () => {
  const rooms = '../appliance';
  const verbs = new Set<string>();
  for (const f of readdirSync(rooms, { recursive: true }) as string[]) {
    if (!f.endsWith('.go') || f.endsWith('_test.go')) continue;
    const text = readFileSync(join(rooms, f), 'utf8');
    for (const m of text.matchAll(/audit\.Record\([^"\n]*?, "([a-z]+(?:\.[a-z_]+)?)"/g)) verbs.add(m[1] as string);
    for (const m of text.matchAll(/(?:c\.control|c\.change)\(ctx, actor, id, "([a-z]+\.[a-z_]+)"/g)) verbs.add(m[1] as string);
  }
  expect(verbs.size).toBeGreaterThan(30);
  const silent = [...verbs].filter((verb) => sentence({ verb, actor: 'Jo Smith', actor_kind: 'staff' }, '') === `Jo Smith: ${verb}.`);
  expect(silent).toEqual([]);
});
