// How far the appliance is set up and who does it. The door keeps the
// progress, so loading the page again resumes; the key of the authenticator
// is the one thing that only this page has, once.
import { api, ask, setCSRF, whenSignedOut, type Schema } from '../shared/api/client.ts';
import { Problem } from '../shared/api/problems.ts';
import { standAt } from '../shared/i18n/errors.ts';
import { i18n, preferred, remembered } from '../shared/i18n/index.svelte.ts';
import './words.ts';

export type Step = 'admin' | 'key' | 'signIn' | 'facility' | 'open';

/** A step that can be gone back to: where it is, who may do it, and whether there is anything of it yet. */
export interface Part {
  key: 'facility' | 'housing' | 'staff' | 'hours' | 'devices';
  href: string;
  can: string;
  done: (p: Schema['SetupProgress'], s: Schema['SetupState']) => boolean;
}
export const parts: readonly Part[] = [
  { key: 'facility', href: '/facility', can: 'facility.edit', done: (_, s) => s.facility !== undefined && s.facility.support.phone !== '' },
  { key: 'housing', href: '/housing', can: 'facility.edit', done: (p) => p.units > 0 && p.stations > 0 },
  { key: 'staff', href: '/staff', can: 'staff.edit', done: (p) => p.staff + p.invited > 1 },
  { key: 'hours', href: '/hours', can: 'schedule.edit', done: (p) => p.templates > 0 },
  { key: 'devices', href: '/devices', can: 'devices.enrol', done: (p) => p.stations > 0 && p.devices === p.stations },
];

class Setup {
  state = $state.raw<Schema['SetupState'] | undefined>();
  session = $state.raw<Schema['StaffSession'] | undefined>();
  claimed = $state.raw<Schema['Claimed'] | undefined>();
  problem = $state.raw<Problem | undefined>();
  ready = $state(false);

  /** What is to be done now. */
  readonly step = $derived.by((): Step => {
    if (this.claimed) return 'key';
    if (!this.state?.claimed) return 'admin';
    if (this.session?.stage !== 'full') return 'signIn';
    return this.state.facility ? 'open' : 'facility';
  });
  progress = $state.raw<Schema['SetupProgress'] | undefined>();
  /** The steps of whoever is signed in: an installer does not make staff. */
  readonly parts = $derived(parts.filter((p) => this.can(p.can)));

  done(part: Part): boolean {
    return this.state !== undefined && this.progress !== undefined && part.done(this.progress, this.state);
  }
  can(capability: string): boolean {
    return this.session?.stage === 'full' && this.session.capabilities.includes(capability);
  }

  /** Asks again how far each step is; a page calls it after it changed something. */
  async measure(): Promise<void> {
    if (this.step !== 'open') return;
    this.progress = await ask(api.GET('/api/setup/progress')).catch(() => this.progress);
  }

  async start(): Promise<void> {
    whenSignedOut(() => this.signedIn(undefined));
    try {
      this.knows(await ask(api.GET('/api/setup/state')));
      const session = await ask(api.GET('/api/setup/session')).catch((e: unknown) => {
        const p = Problem.from(e);
        if (p.status === 401) return undefined;
        throw p;
      });
      await i18n.begin(remembered() ?? preferred(navigator.languages));
      this.signedIn(session);
      this.problem = undefined;
      this.ready = true;
    } catch (e) {
      this.problem = Problem.from(e);
      setTimeout(() => void this.start(), 3000);
    }
  }

  knows(state: Schema['SetupState']) {
    this.state = state;
    void this.measure();
    if (!state.facility) return;
    i18n.country = state.facility.country;
    standAt({ zone: state.facility.zone, h24: true });
  }

  signedIn(session: Schema['StaffSession'] | undefined) {
    this.session = session;
    setCSRF(session?.csrf ?? '');
    void this.measure();
  }

  async signOut() {
    await ask(api.DELETE('/api/setup/session')).catch(() => undefined);
    location.assign('/');
  }

  /** Waits for the second factor again; the dialog answers whether it was shown. */
  proof = $state.raw<((shown: boolean) => void) | undefined>();

  /** Asks; where the second factor was shown too long ago, has it shown again and asks once more. */
  async proved<T>(f: () => Promise<T>): Promise<T> {
    try {
      return await f();
    } catch (e) {
      if (Problem.from(e).code !== 'staff.stepUp') throw e;
      const shown = await new Promise<boolean>((done) => (this.proof = done));
      this.proof = undefined;
      if (!shown) throw e;
      return f();
    }
  }

  get zone(): string {
    return this.state?.facility?.zone ?? Intl.DateTimeFormat().resolvedOptions().timeZone;
  }
}

export const setup = new Setup();
