// The life of a seat at both doors, from the notice to the page after the end:
// the waiting room mends itself, the call starts by itself once the person
// agreed and the door is open, and whoever left may come back.
import { onMount, untrack } from 'svelte';
import { Problem } from '../api/problems.ts';
import type { Schema } from '../api/client.ts';
import { say, sayOr } from '../i18n/errors.ts';
import type { Resource } from '../ui/resource.svelte.ts';
import { Call } from './call.svelte.ts';
import * as devices from './devices.ts';
import { c } from './words.ts';

export interface AttendanceOptions {
  app: 'visitor' | 'kiosk';
  /** The door's answer to "may I join now": read again whenever something may have changed. */
  room: Resource<unknown>;
  /** What the waiting room says, once it is read. */
  waiting: () => Schema['Waiting'] | undefined;
  /** A call that is recorded until the ticket says otherwise. */
  recorded: () => boolean;
  /** The first name of the other side. */
  name: () => string;
  ticket: (fingerprint: string) => Promise<Schema['Ticket']>;
  /** Which camera and microphone the person chose. */
  wish?: () => devices.Wish;
  /** Clock time in the zone that this door shows. */
  time: (iso: string) => string;
  /** Calls back at every change that the door's feed tells of; returns how to end that. */
  watch: (changed: () => void) => () => void;
}

/** Made while a component starts, and ends with it. */
export class Attendance {
  agreed = $state(false);
  trouble = $state<devices.Trouble>('');
  said = $state('');
  left = $state(false);
  /** Milliseconds that the page saw both sides in the call: for who leaves before the end, when nobody tells a better figure. */
  private seen = $state(0);
  readonly call: Call;

  private ticket = $state.raw<Schema['Ticket'] | undefined>();
  private together = 0; // since when, 0 while they are not
  private entering = false;
  private readonly leave = new AbortController();

  constructor(private readonly o: AttendanceOptions) {
    this.call = new Call({
      app: o.app,
      ticket: async (fingerprint) => (this.ticket = await o.ticket(fingerprint)),
      onsay: (m) => (this.said = m.body ?? (m.key ? sayOr(m.key, m.params ?? {}, '') : '')),
    });
    // The person has said yes and the door is open: the call starts by itself.
    $effect(() => {
      if (this.agreed && o.waiting()?.may_join && this.call.stage === 'idle' && !this.left) untrack(() => void this.enter());
    });
    $effect(() => {
      const { phase, stage, waitingFor } = this.call;
      const both = phase === 'live' && stage === 'in' && waitingFor.length === 0;
      const now = performance.now();
      if (both && !this.together) this.together = now;
      if (!both && this.together) {
        untrack(() => (this.seen += now - this.together));
        this.together = 0;
      }
    });
    onMount(() => {
      const unwatch = o.watch(() => void o.room.load());
      // The feed tells of changes; the clock's own moments (opening time) are asked for.
      const poll = setInterval(() => !this.inCall && this.call.stage !== 'ended' && void o.room.load(), 10_000);
      return () => {
        unwatch();
        clearInterval(poll);
        this.leave.abort();
        o.room.stop();
        this.call.stop();
      };
    });
  }

  /** Milliseconds that both sides were in the call, once it is over for this person: the length that the visit is metered by. */
  get used() {
    const { stage, togetherS } = this.call;
    return togetherS > 0 ? togetherS * 1000 : stage === 'ended' || stage === 'refused' ? this.seen : 0;
  }
  get recorded() {
    return this.ticket?.recorded ?? this.o.recorded();
  }
  get joined() {
    return this.call.stage === 'joining' || this.call.stage === 'in' || this.call.stage === 'lost';
  }
  get inCall() {
    return (this.call.stage === 'in' || this.call.stage === 'lost') && (this.call.phase === 'live' || this.call.phase === 'paused' || this.call.phase === 'ending');
  }
  /** The other side has taken their seat, though the call has not begun. */
  get here() {
    return this.call.stage === 'in' && !this.call.waitingFor.includes(this.o.app === 'visitor' ? 'inmate' : 'visitor');
  }
  /** The visit is behind this person, for now or for good. */
  get after() {
    const { stage, code } = this.call;
    return stage === 'ended' || (stage === 'refused' && code === 'call.ended') || (this.o.waiting()?.phase === 'over' && !this.joined);
  }
  /** They left a visit that still goes on. */
  get away() {
    return this.after && this.left && this.o.waiting()?.phase !== 'over';
  }

  /** The safe words of the waiting room: the gateway's when we are in, else the door's. */
  get words() {
    const waiting = this.o.waiting();
    if (!waiting) return '';
    const name = this.o.name();
    const given = waiting.params ?? {};
    const at = { name, ...given, time: given.until ?? given.time ?? (waiting.says === 'ready' ? waiting.start : waiting.opens) };
    const { stage, waitingFor } = this.call;
    if (stage === 'in' && waitingFor.includes('recorder')) return say('call.cannotRecord');
    if (stage === 'in' && waitingFor.length > 0 && waitingFor.every((x) => x === 'staff')) return say('wait.ready');
    if (stage === 'in' && waitingFor.length > 0 && waitingFor.every((x) => x === 'start')) return c.call.waitStart({ time: this.o.time(waiting.start) });
    if (waiting.phase === 'early') return say('call.early', { time: waiting.opens });
    return sayOr(waiting.says, at, say('call.absent', { name }));
  }

  /** Asks the door, opens camera and microphone, takes the seat. */
  async enter() {
    if (this.entering) return;
    this.entering = true;
    try {
      const told = this.recorded;
      const now = (await this.call.prepare()) as Schema['Ticket'];
      // What was agreed to must be what happens: other words, another press.
      if (now.recorded !== told) {
        this.agreed = false;
        return;
      }
      const media = await devices.open(this.o.wish?.() ?? {}, this.leave.signal);
      this.trouble = media.trouble;
      if (this.trouble === 'cam.blocked') {
        devices.stop(media.stream);
        return;
      }
      await this.call.join(media.stream);
    } catch (e) {
      if (!this.leave.signal.aborted) this.o.room.error = Problem.from(e);
    } finally {
      this.entering = false;
    }
  }

  /** After trouble with the devices. */
  retry() {
    this.trouble = '';
    void this.enter();
  }

  /** Leaves; the seat stays theirs until the end. */
  goAway() {
    this.left = true;
    this.call.leave();
  }

  /** Comes back to a visit that still goes on. */
  comeBack() {
    this.trouble = '';
    this.left = false;
    this.call.stage = 'idle';
    this.agreed = true;
    void this.o.room.load();
  }
}
