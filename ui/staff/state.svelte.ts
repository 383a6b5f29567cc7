// What every staff page knows: the facility, who is signed in and what they
// may do, the facility's clock, the live wall, open cases, and the link to the
// centre. Memory only.
import { api, ask, setCSRF, whenSignedOut, type Schema } from '../shared/api/client.ts';
import { Problem } from '../shared/api/problems.ts';
import { listen, type Change } from '../shared/api/sse.ts';
import { standAt } from '../shared/i18n/errors.ts';
import { i18n, preferred, remembered } from '../shared/i18n/index.svelte.ts';
import { date, time } from '../shared/lib/time.ts';
import { wall } from './wall.svelte.ts';
import './words.ts';

const syncEvery = 30_000;
const patience = 4000;

class Staff {
  config = $state.raw<Schema['StaffConfig'] | undefined>();
  session = $state.raw<Schema['StaffSession'] | undefined>();
  problem = $state.raw<Problem | undefined>();
  ready = $state(false);
  cases = $state(0);
  sync = $state.raw<Schema['SyncCard'] | undefined>();
  /** Since when the appliance has not been heard; undefined while it is there. */
  lostSince = $state.raw<Date | undefined>();
  /** The facility's wall clock, once a second. */
  clock = $state.raw(new Date());
  private offset = 0;
  private watchers = new Map<() => void, readonly string[] | undefined>();
  private stops: (() => void)[] = [];
  private away: ReturnType<typeof setTimeout> | undefined;

  async start() {
    whenSignedOut(() => this.session && this.signedIn(undefined));
    this.problem = undefined;
    try {
      const config = await ask(api.GET('/api/staff/config'));
      this.config = config;
      this.setClock(config.now);
      i18n.country = config.facility.country;
      standAt({ zone: config.facility.zone, h24: true });
      const session = await ask(api.GET('/api/staff/session')).catch((e: unknown) => {
        const p = Problem.from(e);
        if (p.status === 401) return undefined;
        throw p;
      });
      await i18n.begin(remembered() ?? preferred(navigator.languages));
      this.signedIn(session);
      this.ready = true;
    } catch (e) {
      this.problem = Problem.from(e);
    }
  }

  /** Runs the clock of the bar. */
  tick(): () => void {
    const timer = setInterval(() => (this.clock = this.now()), 1000);
    return () => clearInterval(timer);
  }

  setClock(now: string) {
    this.offset = Date.parse(now) - performance.now();
    this.clock = this.now();
  }

  /** The appliance's time; the computer's own may be wrong. */
  now(): Date {
    return new Date(this.offset + performance.now());
  }

  can(capability: string): boolean {
    return this.session?.stage === 'full' && this.session.capabilities.includes(capability);
  }

  signedIn(session: Schema['StaffSession'] | undefined) {
    this.session = session;
    setCSRF(session?.csrf ?? '');
    for (const stop of this.stops) stop();
    this.stops = [];
    clearTimeout(this.away);
    this.lostSince = undefined;
    if (session?.stage !== 'full') {
      wall.clear();
      return;
    }
    this.stops.push(
      listen('/api/staff/events', {
        change: (c) => this.changed(c),
        back: () => {
          clearTimeout(this.away);
          this.lostSince = undefined;
          this.changed();
        },
        lost: () => {
          const at = this.now();
          clearTimeout(this.away);
          // A line that is back at once was never lost to anybody.
          this.away = setTimeout(() => (this.lostSince ??= at), patience);
        },
      }),
    );
    if (this.can('calls.see')) this.stops.push(wall.serve((now) => this.setClock(now)));
    if (this.can('cases.decide')) void this.countCases();
    if (this.can('health.see')) {
      void this.readSync();
      const timer = setInterval(() => void this.readSync(), syncEvery);
      this.stops.push(() => clearInterval(timer));
    }
  }

  async signOut() {
    await ask(api.DELETE('/api/staff/session')).catch(() => undefined);
    location.assign('/');
  }

  private pending: ReturnType<typeof setTimeout> | undefined;
  private kinds = new Set<string>();
  /** Something changed: whoever shows it asks again, once for a burst of events. */
  private changed(c?: Change) {
    this.kinds.add(c?.kind ?? '*');
    this.pending ??= setTimeout(() => {
      const kinds = this.kinds;
      this.kinds = new Set();
      this.pending = undefined;
      const any = (want: readonly string[]) => kinds.has('*') || want.some((k) => kinds.has(k));
      if (this.can('calls.see') && any(['call', 'visit', 'station'])) void wall.load();
      if (this.can('cases.decide') && any(['case'])) void this.countCases();
      for (const [f, want] of this.watchers) if (!want || any(want)) f();
    }, 150);
  }

  /** Calls f at each change of these kinds until the returned function is called. */
  watch(kinds: readonly string[] | undefined, f: () => void): () => void {
    this.watchers.set(f, kinds);
    return () => this.watchers.delete(f);
  }

  async countCases() {
    const list = await ask(api.GET('/api/staff/cases', { params: { query: { state: 'open' } } })).catch(() => undefined);
    if (list) this.cases = Object.values(list.counts).reduce<number>((n, v) => n + (Number(v) || 0), 0);
  }

  async readSync() {
    this.sync = await ask(api.GET('/api/staff/sync')).catch(() => this.sync);
  }

  get zone(): string {
    return this.config?.facility.zone ?? 'UTC';
  }
  /** "14:03" at the facility. */
  time(at: Date | string): string {
    return time(new Date(at), this.zone, { tag: i18n.tag, h24: true });
  }
  /** "Thursday 4 March" at the facility. */
  date(at: Date | string): string {
    return date(new Date(at), this.zone, { tag: i18n.tag, h24: true }, this.now());
  }
  /** Day and time, the day left out where it is today. */
  moment(at: Date | string): string {
    const day = this.date(at);
    return day === this.date(this.now()) ? this.time(at) : `${day}, ${this.time(at)}`;
  }
}

export const staff = new Staff();
