import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import type { Down } from '../../shared/call/messages.ts';
import { Refused, Signaling } from '../../shared/call/signaling.ts';
import { placeAt } from '../../shared/call/watermark.ts';

// A socket whose other end is the test.
class Wire {
  static OPEN = 1;
  static last: Wire;
  readyState = 1;
  sent: Record<string, unknown>[] = [];
  onopen: (() => void) | null = null;
  onclose: (() => void) | null = null;
  onerror: (() => void) | null = null;
  onmessage: ((e: { data: string }) => void) | null = null;
  constructor(readonly url: string, readonly protocol: string) {
    Wire.last = this;
    queueMicrotask(() => this.onopen?.());
  }
  send(text: string) {
    this.sent.push(JSON.parse(text) as Record<string, unknown>);
  }
  close() {
    this.readyState = 3;
  }
  say(m: unknown) {
    this.onmessage?.({ data: JSON.stringify(m) });
  }
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal('WebSocket', Wire);
});
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

async function open() {
  const pushed: Down[] = [];
  const lost = vi.fn();
  const signaling = await Signaling.open('ws://gateway/signal', { push: (m) => pushed.push(m), lost });
  return { signaling, pushed, lost, wire: Wire.last };
}

test('a ping is answered in the handler and keeps the socket', async () => {
  const { wire, lost } = await open();
  expect(wire.protocol).toBe('sallyport.signal.1');
  for (let k = 1; k <= 4; k++) {
    vi.advanceTimersByTime(2000);
    wire.say({ t: 'ping', k });
    expect(wire.sent.at(-1)).toEqual({ t: 'pong', k });
  }
  expect(lost).not.toHaveBeenCalled();
});

test('five seconds without a word is a lost socket, told once, and fails what waits', async () => {
  const { signaling, wire, lost } = await open();
  const waiting = signaling.ask({ t: 'ready', notice: 'en-7' });
  const failed = expect(waiting).rejects.toThrow('no signalling');
  vi.advanceTimersByTime(4999);
  expect(lost).not.toHaveBeenCalled();
  vi.advanceTimersByTime(1);
  wire.onclose?.();
  expect(lost).toHaveBeenCalledTimes(1);
  await failed;
});

test('answers find their question; problems are refusals; the rest is pushed', async () => {
  const { signaling, pushed, wire } = await open();
  const a = signaling.ask({ t: 'ready', notice: 'en-7' });
  const b = signaling.ask({ t: 'offer', sdp: 'v=0' });
  wire.say({ t: 'state', seq: 1, phase: 'open' });
  wire.say({ t: 'problem', re: 2, status: 400, code: 'offer_refused' });
  wire.say({ t: 'done', re: 1 });
  await expect(a).resolves.toEqual({ t: 'done', re: 1 });
  await expect(b).rejects.toBeInstanceOf(Refused);
  expect(pushed.map((m) => m.t)).toEqual(['state']);
});

test('a closed socket says nothing more', async () => {
  const { signaling, pushed, lost, wire } = await open();
  signaling.close();
  wire.say({ t: 'state', seq: 1, phase: 'live' });
  vi.advanceTimersByTime(60_000);
  expect(pushed).toEqual([]);
  expect(lost).not.toHaveBeenCalled();
});

test('the watermark moves every seven seconds', () => {
  expect(placeAt(6)).toEqual(placeAt(0));
  expect(placeAt(7)).not.toEqual(placeAt(6));
});
