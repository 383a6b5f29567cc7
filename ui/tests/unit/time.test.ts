import { describe, expect, test } from 'vitest';
import { ambiguous, both, date, elapsed, localDate, plainDate, remaining, time, weekdays } from '../../shared/lib/time.ts';

const gb = { tag: 'en-GB' };
const now = new Date('2027-02-20T09:00:00Z');
const at = new Date('2027-03-04T14:00:00Z');

describe('time', () => {
  test.each([
    ['2027-03-04T14:00:00Z', 'en-GB', false, '2:00pm'],
    ['2027-03-04T09:05:00Z', 'en-GB', false, '9:05am'],
    ['2027-03-04T12:00:00Z', 'en-GB', false, '12:00 midday'],
    ['2027-03-04T00:00:00Z', 'en-GB', false, '12:00 midnight'],
    ['2027-03-04T12:30:00Z', 'en-GB', false, '12:30pm'],
    ['2027-03-04T14:00:00Z', 'en-GB', true, '14:00'],
    ['2027-03-04T14:00:00Z', 'cy-GB', false, '2:00yp'],
    ['2027-03-04T12:00:00Z', 'cy-GB', false, '12:00 canol dydd'],
    ['2027-03-04T14:00:00Z', 'es-US', false, '2:00 p. m.'],
  ])('%s %s 24 hours %s is %s', (iso, tag, h24, want) => {
    expect(time(new Date(iso), 'Europe/London', { tag, h24 })).toBe(want);
  });

  test('an hour that comes twice names its zone', () => {
    const first = new Date('2027-10-31T00:30:00Z');
    const second = new Date('2027-10-31T01:30:00Z');
    expect(ambiguous(first, 'Europe/London')).toBe(true);
    expect(time(first, 'Europe/London', gb)).not.toBe(time(second, 'Europe/London', gb));
    expect(ambiguous(at, 'Europe/London')).toBe(false);
  });
});

test('dates', () => {
  expect(date(at, 'Europe/London', gb, now)).toBe('Thursday 4 March');
  expect(date(at, 'Europe/London', { tag: 'en-US' }, now)).toBe('Thursday, March 4');
  expect(date(at, 'Europe/London', gb, new Date('2026-12-01T00:00:00Z'))).toBe('Thursday 4 March 2027');
  expect(date(at, 'Europe/London', { tag: 'cy-GB' }, now)).toBe('dydd Iau 4 Mawrth');
  expect(localDate('2027-03-04', gb, now)).toBe('Thursday 4 March');
  expect(plainDate('2027-03', gb)).toBe('March 2027');
  expect(plainDate('2027-03', { tag: 'cy-GB' })).toBe('Mawrth 2027');
  expect(plainDate('1990-03-27', gb)).toBe('27 March 1990');
  expect(weekdays('cy-GB', false)).toEqual(['Ll', 'Ma', 'Me', 'Ia', 'Gw', 'Sa', 'Su']);
  expect(weekdays('en-US', true)[0]).toBe('Sun');
});

describe('both times', () => {
  test('own time only where it reads differently', () => {
    expect(both(at, 'Europe/London', 'Europe/London', gb, now)).toEqual({ date: 'Thursday 4 March', time: '2:00pm' });
    expect(both(at, 'Europe/London', 'Europe/Lisbon', gb, now)).toEqual({ date: 'Thursday 4 March', time: '2:00pm' });
    expect(both(at, 'Europe/London', 'America/New_York', gb, now)).toEqual({ date: 'Thursday 4 March', time: '2:00pm', yours: '9:00am' });
  });
  test('another day is said', () => {
    expect(both(at, 'Europe/London', 'Pacific/Auckland', gb, now).yours).toBe('Friday 5 March, 3:00am');
  });
  test('the weeks when only one side has changed', () => {
    expect(both(new Date('2027-03-18T14:00:00Z'), 'Europe/London', 'America/New_York', gb, now).yours).toBe('10:00am');
  });
});

test('remaining', () => {
  expect(remaining(12 * 60_000 + 4_000)).toBe('12:04');
  expect(remaining(3_600_000)).toBe('1:00:00');
  expect(remaining(-5)).toBe('00:00');
});

test('what is over is never longer than it was, what is left never shorter', () => {
  expect([elapsed(0), elapsed(999), elapsed(1000), elapsed(1_798_999), elapsed(3_600_000)]).toEqual(['00:00', '00:00', '00:01', '29:58', '1:00:00']);
  expect([elapsed(300_020), remaining(300_020)]).toEqual(['05:00', '05:01']);
});
