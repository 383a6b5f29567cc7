// An answer to a request waits ten seconds in which it can be taken back, then
// it is sent. It lives beside the pages, so that going elsewhere sends it too.
import { api, ask } from '../shared/api/client.ts';
import { Problem } from '../shared/api/problems.ts';

export type Choice = 'accept' | 'decline';
export type Reason = 'not_a_good_time' | 'not_wanted' | 'other';
export interface Asked {
  kind: 'visit' | 'contact';
  id: string;
}

export const undoMs = 10_000;

export class Waiting {
  state = $state<'open' | 'sending' | 'saved' | 'failed'>('open');
  /** The visit's label afterwards. */
  label = $state('');
  problem = $state.raw<Problem | undefined>();
  /** performance.now() when it goes out. */
  readonly due = performance.now() + undoMs;
  timer: ReturnType<typeof setTimeout> | undefined;
  constructor(
    readonly of: Asked,
    readonly choice: Choice,
    readonly reason: Reason | undefined,
  ) {}
}

export class Answers {
  private list = $state.raw<Waiting[]>([]);
  constructor(private readonly onsaved: () => void) {}

  of(id: string): Waiting | undefined {
    return this.list.find((a) => a.of.id === id);
  }

  give(of: Asked, choice: Choice, reason?: Reason) {
    const a = new Waiting(of, choice, reason);
    this.list = [...this.list.filter((x) => x.of.id !== of.id), a];
    a.timer = setTimeout(() => void this.send(a), undoMs);
  }

  /** Takes an answer back while it waits, or clears one that failed. */
  undo(id: string) {
    const a = this.of(id);
    if (!a || a.state === 'sending') return;
    clearTimeout(a.timer);
    this.list = this.list.filter((x) => x !== a);
  }

  /** Forgets what was saved; called when its page closes. */
  tidy() {
    this.list = this.list.filter((a) => a.state !== 'saved');
  }

  /** Sends at once what still waits. */
  async flush() {
    await Promise.all(this.list.filter((a) => a.state === 'open').map((a) => this.send(a)));
  }

  private async send(a: Waiting) {
    if (a.state !== 'open') return;
    clearTimeout(a.timer);
    a.state = 'sending';
    const body = { answer: a.choice, ...(a.reason ? { reason: a.reason } : {}) };
    try {
      if (a.of.kind === 'visit') {
        const visit = await ask(api.POST('/api/kiosk/visits/{visit}/answer', { params: { path: { visit: a.of.id } }, body }));
        a.label = visit.label;
      } else {
        await ask(api.POST('/api/kiosk/contacts/{contact}/answer', { params: { path: { contact: a.of.id } }, body }));
      }
      a.state = 'saved';
      this.onsaved();
    } catch (e) {
      a.problem = Problem.from(e);
      a.state = 'failed';
    }
  }
}
