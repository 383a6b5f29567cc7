// What every visitor page knows: the facility, who is signed in, and the live
// feed. Memory only; sign-out starts the page anew.
import { api, ask, setCSRF, whenSignedOut, type Schema } from '../shared/api/client.ts';
import { Problem } from '../shared/api/problems.ts';
import { listen } from '../shared/api/sse.ts';
import { standAt } from '../shared/i18n/errors.ts';
import { i18n, preferred } from '../shared/i18n/index.svelte.ts';
import { both, type BothTimes } from '../shared/lib/time.ts';
import './words.ts';

class Visitor {
  config = $state.raw<Schema['VisitorConfig'] | undefined>();
  session = $state.raw<Schema['VisitorSession'] | undefined>();
  problem = $state.raw<Problem | undefined>();
  ready = $state(false);
  unread = $state(0);
  online = $state(true);
  private watchers = new Set<() => void>();
  private away: ReturnType<typeof setTimeout> | undefined;
  private unlisten: (() => void) | undefined;

  /** Reads the facility and the session; without a line the page says so and tries again. */
  async start() {
    whenSignedOut(() => this.signedOut());
    this.problem = undefined;
    try {
      const config = await ask(api.GET('/api/visitor/config'));
      this.config = config;
      i18n.country = config.facility.country;
      standAt({ zone: config.facility.zone });
      const session = await ask(api.GET('/api/visitor/session')).catch((e: unknown) => {
        const p = Problem.from(e);
        if (p.status === 401) return undefined;
        throw p;
      });
      const wanted = preferred(navigator.languages);
      await i18n.begin(session?.visitor?.language ?? (config.languages.includes(wanted) ? wanted : config.language));
      this.signedIn(session);
      this.ready = true;
    } catch (e) {
      this.problem = Problem.from(e);
    }
  }

  /** Reads the facility's own texts in another language; the present ones stay until then. */
  async texts(language: Schema['Language']) {
    if (this.config?.language === language || !this.config?.languages.includes(language)) return;
    const config = await ask(api.GET('/api/visitor/config', { params: { query: { language } } })).catch(() => undefined);
    if (config) this.config = config;
  }

  signedIn(session: Schema['VisitorSession'] | undefined) {
    this.session = session;
    setCSRF(session?.csrf ?? '');
    this.unlisten?.();
    this.unlisten = undefined;
    if (session?.stage === 'full') {
      this.unlisten = listen('/api/visitor/events', {
        change: () => this.changed(),
        back: () => {
          clearTimeout(this.away);
          this.online = true;
          this.changed();
        },
        // A feed that breaks and comes back at once is nobody's business.
        lost: () => (this.away = setTimeout(() => (this.online = false), 4000)),
      });
      void this.news();
    }
  }

  private signedOut() {
    if (this.session) this.signedIn(undefined);
  }

  async signOut() {
    await ask(api.DELETE('/api/visitor/session')).catch(() => undefined);
    location.assign('/');
  }

  private pending: ReturnType<typeof setTimeout> | undefined;
  /** Something of ours changed: whoever shows data asks again, once for a burst of events. */
  private changed() {
    clearTimeout(this.pending);
    this.pending = setTimeout(() => {
      for (const w of this.watchers) w();
      void this.news();
    }, 150);
  }

  /** Calls f at each change until the returned function is called. */
  watch(f: () => void): () => void {
    this.watchers.add(f);
    return () => this.watchers.delete(f);
  }

  async news() {
    const news = await ask(api.GET('/api/visitor/news')).catch(() => undefined);
    if (news) this.unread = news.unread;
  }

  get zone(): string {
    return this.config?.facility.zone ?? 'UTC';
  }
  get ownZone(): string {
    return this.session?.visitor?.zone || Intl.DateTimeFormat().resolvedOptions().timeZone;
  }

  /** Facility time first, the visitor's own beneath. */
  when(iso: string): BothTimes {
    return both(new Date(iso), this.zone, this.ownZone, { tag: i18n.tag });
  }
}

export const visitor = new Visitor();
