// What set-up works out before it asks the door: the starts of a session, its
// place in the week, and the names of a row of stations.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { blocks, daySpans, endOf, starts, type Template } from '../../shared/hours/week.ts';
import { atWork, waiting, whyNot, type Versions } from '../../setup/parts/versions.ts';
import { numbered } from '../../setup/parts/numbered.ts';
import { told } from '../../setup/parts/told.ts';

describe('the starts that families would see', () => {
  test('end with the session, the pause after a visit counted', () => {
    expect(starts('09:00', '11:00', 35, 30, 5)).toEqual(['09:00', '09:35', '10:10']);
    expect(starts('09:00', '10:00', 15, 30, 5)).toEqual(['09:00', '09:15']);
    expect(starts('09:00', '09:30', 30, 30, 5)).toEqual([]);
  });
  test('reach midnight, which a time field shows as its beginning', () => {
    expect(endOf('00:00')).toBe('24:00');
    expect(starts('23:00', '00:00', 30, 30, 0)).toEqual(['23:00', '23:30']);
  });
  test('are none where the end comes first', () => expect(starts('11:00', '09:00', 30, 30, 0)).toEqual([]));
});

const names = ['Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat', 'Sun'];
test.each([
  [[1, 2, 3, 4, 5], 'Mon–Fri'],
  [[0, 6], 'Sat, Sun'],
  [[5, 3, 1], 'Mon, Wed, Fri'],
  [[0, 1, 2, 3, 4, 5, 6], 'Mon–Sun'],
  [[], ''],
])('days %j read %s', (days, words) => expect(daySpans(days, names)).toBe(words));

test('sessions that overlap stand beside each other in the week, ended ones nowhere', () => {
  const t = (id: string, from: string, to: string, state = 'running') => ({ id, name: id, weekdays: [1], starts: from, ends: to, state }) as unknown as Template;
  const w = blocks([t('a', '09:30', '11:00'), t('b', '10:00', '12:00'), t('c', '11:00', '12:00'), t('old', '06:00', '07:00', 'ended')]);
  expect([w.from, w.to]).toEqual([540, 720]);
  expect(w.blocks.map((b) => [b.id, b.day, b.lane, b.lanes])).toEqual([['a', 0, 0, 2], ['b', 0, 1, 2], ['c', 0, 0, 2]]);
  expect(w.blocks[0]?.top).toBeCloseTo(30 / 180);
});

test.each([
  ['Kiosk A', 3, [], ['Kiosk A1', 'Kiosk A2', 'Kiosk A3']],
  ['Kiosk A', 2, ['Kiosk A1'], ['Kiosk A2', 'Kiosk A3']],
  ['Kiosk A4', 1, [], ['Kiosk A4']],
  ['Kiosk A4', 1, ['Kiosk A4'], ['Kiosk A4 1']],
  ['Tablet', 2, [], ['Tablet 1', 'Tablet 2']],
  ['', 2, [], []],
  ['Kiosk', 21, [], []],
])('%s x %i beside %j', (base, many, taken, want) => expect(numbered(base, many, taken)).toEqual(want));

const moment = (iso: string) => `at ${iso}`;
const part = (code: string, params: Record<string, unknown> = {}) => ({ name: 'x', state: 'ok' as const, code, params, detail: 'the console’s words', at: '' });

test('a part of Health speaks in the words of its code', () => {
  expect(told(part('disk.free', { percent: 41 }), moment)).toEqual({ text: '41% is free.', english: '' });
  expect(told(part('gateway.spoke', { n: 1 }), moment).text).toBe('It spoke 1 second ago.');
  expect(told(part('gateway.quiet', { since: '2027-03-04T14:00:00Z' }), moment).text).toBe('It has been silent since at 2027-03-04T14:00:00Z.');
  expect(told(part('phase.blocked', { needs: 'seed' }), moment).text).toBe('It waits for this part, which went wrong: Seed.');
  expect(told(part('seed.site', { from: 'stick', lines: 'line 3: a' }), moment)).toEqual({
    text: 'The site file from the stick SALLYPORT has mistakes. They stand here in English:', english: 'line 3: a',
  });
  expect(told(part('sync.live', { n: 0 }), moment).text).toBe('Linked to the centre.');
  expect(told(part(''), moment)).toEqual({ text: '', english: 'the console’s words' });
  expect(told(part('news.later'), moment).english).toBe('the console’s words');
});

test('every code that a part or a phase can have has words', () => {
  const codes = new Set<string>();
  const add = (file: string, pattern: RegExp, before = '') => {
    for (const m of readFileSync(join('..', file), 'utf8').matchAll(pattern)) codes.add(before + (m[1] as string));
  };
  for (const dir of ['provisioning/phases', 'provisioning']) {
    for (const f of readdirSync(join('..', dir)).filter((n) => n.endsWith('.go') && !n.endsWith('_test.go'))) add(`${dir}/${f}`, /WithCode\("([a-z.-]+)"\)/g);
  }
  add('provisioning/phases/phases.go', /"(phase\.[a-z]+)"/g);
  for (const f of ['status.go', 'firstboot.go']) add(`daemons/bookingd/${f}`, /"((?:database|setup|administrator|gateway|sync|disk|boot)\.[a-z]+)"/g);
  add('appliance/replica/state.go', /State = "([a-z-]+)"/g, 'sync.');
  add('appliance/outbox/status.go', /s\.State, s\.Cause(?:, s\.Since, s\.Rate)? = "([a-z]+)"/g, 'sync.');
  expect(codes.size).toBeGreaterThan(40);
  expect([...codes].filter((code) => told(part(code), moment).text === '')).toEqual([]);
});

describe('a version', () => {
  test.each([
    ['update.older', 'It is older than version 1.4.0, which runs.'],
    ['update.minimum', 'Install version 1.3.0 first.'],
    ['update.trailing', 'The file is damaged. Copy it once more.'],
    ['signature.wrong', 'The signature is wrong. The file was changed, or it is not from the maker of this appliance.'],
    ['update.unheard', 'Something went wrong. The version that runs goes on.'],
  ])('%s has words', (code, want) => expect(whyNot(code, { running: '1.4.0', minimum: '1.3.0' })).toBe(want));

  const box = (trial?: Versions['trial']): Versions => ({ running: { version: '1.4.0', built: '2026-01-01' }, found: [], refused: [], now: '', ...(trial ? { trial } : {}) });
  const trial = { version: '1.5.0', from: '1.4.0', at: '', ready: true };
  test('waits for its start once it is written whole', () => {
    expect(waiting(box(trial))).toBe('1.5.0');
    expect(waiting(box({ ...trial, ready: false }))).toBeUndefined();
    expect(waiting(box({ ...trial, version: '1.4.0', from: '1.3.0' }))).toBeUndefined();
    expect(waiting(box())).toBeUndefined();
  });
  test('keeps the box busy until it is over', () => {
    const busy = (['asked', 'look', 'unpack', 'snapshot', 'install', 'wait', 'restart', 'stopped', 'failed'] as const).filter((step) => atWork({ step, percent: 0, at: '', visits: 0 }));
    expect(busy).toEqual(['asked', 'look', 'unpack', 'snapshot', 'install', 'wait', 'restart']);
  });
});

test('every code of an update has words', () => {
  const courier = ['update.address', 'update.cut', 'update.server']; // it tells the log; the door sees what it left
  const codes = new Set<string>(['signature.wrong']);
  for (const dir of ['provisioning/update', 'provisioning/bundle', 'daemons/sallyportctl', 'daemons/bookingd', 'appliance/api/setup']) {
    for (const f of readdirSync(join('..', dir)).filter((n) => n.endsWith('.go') && !n.endsWith('_test.go'))) {
      for (const m of readFileSync(join('..', dir, f), 'utf8').matchAll(/(?:WithCode\(|no\(|Code = |noStick += )"(update\.[a-zA-Z]+)"/g)) codes.add(m[1] as string);
    }
  }
  expect(codes.size).toBeGreaterThan(20);
  const unheard = whyNot('update.unheard', {});
  expect([...codes].filter((code) => whyNot(code, {}) === unheard && !['update.fault', 'update.nothing', ...courier].includes(code))).toEqual([]);
});
