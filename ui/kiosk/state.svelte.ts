// What every kiosk page knows: the station, who is signed in, the counts of
// the tiles and the live feed. Memory only: signing out loads the page anew.
import { api, ask, setCSRF, whenSignedOut, type Schema } from '../shared/api/client.ts';
import { Problem } from '../shared/api/problems.ts';
import { listen } from '../shared/api/sse.ts';
import { standAt } from '../shared/i18n/errors.ts';
import { i18n, type Lang } from '../shared/i18n/index.svelte.ts';
import { date, time } from '../shared/lib/time.ts';
import { Resource } from '../shared/ui/resource.svelte.ts';
import { toast } from '../shared/ui/toast.svelte.ts';
import { Answers } from './answers.svelte.ts';
import { w } from './words.ts';

export const sizes = ['100', '125', '150'] as const;
export type Size = (typeof sizes)[number];

const retry = 5000;

class Kiosk {
  config = $state.raw<Schema['KioskConfig'] | undefined>();
  session = $state.raw<Schema['KioskSession'] | undefined>();
  problem = $state.raw<Problem | undefined>();
  ready = $state(false);
  /** The line to the appliance. */
  online = $state(true);
  /** Signing out: nobody's page until the door has heard it. */
  leaving = $state(false);
  /** A call is going on, or its waiting room: nobody is idle there. */
  inCall = $state(false);
  size = $state<Size>('100');
  readonly home = new Resource((signal) => ask(api.GET('/api/kiosk/home', { signal })));
  readonly answers = new Answers(() => this.changed());
  private saidAt = 0;
  private watchers = new Set<() => void>();
  private away: ReturnType<typeof setTimeout> | undefined;
  private unlisten: (() => void) | undefined;

  /** Reads the station and the session; comes back by itself until the door answers. */
  async start(): Promise<void> {
    whenSignedOut(() => this.session && !this.leaving && location.replace('/'));
    try {
      await this.configure();
      const session = await ask(api.GET('/api/kiosk/session')).catch((e: unknown) => {
        const p = Problem.from(e);
        if (p.status === 401) return undefined;
        throw p;
      });
      await i18n.use(session?.language ?? this.config?.language ?? 'en');
      this.signedIn(session);
      this.online = true;
      this.ready = true;
    } catch (e) {
      this.problem = Problem.from(e);
      this.online = false;
      setTimeout(() => void this.start(), retry);
    }
  }

  /** Asks the door who we are and what time it is. */
  async configure() {
    const config = await ask(api.GET('/api/kiosk/config'));
    this.saidAt = performance.now();
    this.config = config;
    this.problem = undefined;
    i18n.country = config.facility.country;
    standAt({
      zone: config.facility.zone,
      instead: (code, params) => {
        const own = (w.copy as Record<string, string | ((p: Record<string, string>) => string)>)[code];
        return typeof own === 'function' ? own(params) : own;
      },
    });
  }

  /** While nobody is signed in: is the line there, are we still a station? */
  async refresh() {
    try {
      await this.configure();
      this.online = true;
    } catch (e) {
      const problem = Problem.from(e);
      this.online = !problem.offline;
      if (problem.offline) return;
      // The door spoke: this device is out of use, or the facility is not set up.
      this.problem = problem;
      this.ready = false;
      setTimeout(() => void this.start(), retry);
    }
  }

  signedIn(session: Schema['KioskSession'] | undefined) {
    this.session = session;
    setCSRF(session?.csrf ?? '');
    this.unlisten?.();
    this.unlisten = undefined;
    if (!session) return;
    toast.clear();
    if (session.stage !== 'full') return;
    void this.home.load();
    this.unlisten = listen('/api/kiosk/events', {
      change: () => this.changed(),
      back: () => {
        clearTimeout(this.away);
        this.online = true;
        this.changed();
      },
      // A feed that breaks and comes back at once is nobody's business.
      lost: () => (this.away = setTimeout(() => (this.online = false), 4000)),
    });
  }

  /** Sends what waits, tells the door, and loads the page anew: the next person sees nothing of the last. */
  async signOut() {
    if (this.leaving) return;
    this.leaving = true;
    this.unlisten?.();
    await this.answers.flush();
    for (;;) {
      try {
        await ask(api.DELETE('/api/kiosk/session'));
        break;
      } catch (e) {
        if (!Problem.from(e).offline && Problem.from(e).status < 500) break;
        this.online = false;
        await new Promise((r) => setTimeout(r, 2000));
      }
    }
    location.replace('/');
  }

  private pending: ReturnType<typeof setTimeout> | undefined;
  /** Something of ours changed: whoever shows data asks again, once for a burst of events. */
  private changed() {
    clearTimeout(this.pending);
    this.pending = setTimeout(() => {
      void this.home.load();
      for (const f of this.watchers) f();
    }, 150);
  }

  /** Calls f at each change until the returned function is called. */
  watch(f: () => void): () => void {
    this.watchers.add(f);
    return () => this.watchers.delete(f);
  }

  resize(size: Size) {
    this.size = size;
    document.documentElement.dataset.size = size;
  }

  async speak(lang: Lang) {
    await i18n.use(lang);
  }

  get zone(): string {
    return this.config?.facility.zone ?? 'UTC';
  }
  /** Now, by the door's clock: a kiosk's own may be wrong. */
  now(): Date {
    return new Date(Date.parse(this.config?.now ?? '') + (performance.now() - this.saidAt));
  }
  day(iso: string): string {
    return date(new Date(iso), this.zone, { tag: i18n.tag }, this.now());
  }
  time(at: string | Date): string {
    return time(new Date(at), this.zone, { tag: i18n.tag });
  }
}

export const kiosk = new Kiosk();
