// The live wall: stations, calls and the alerts that stand. An alert is a flag
// of a call that nobody has seen yet; it stays until a person acts.
import { api, ask, type Schema } from '../shared/api/client.ts';
import { Problem } from '../shared/api/problems.ts';

export type Call = Schema['LiveCall'];
export interface Alert {
  /** The call and its flag. */
  key: string;
  call: Call;
  flag: string;
  since: number;
}

/** Flags that mean "somebody should look", not "look now". */
const duties = new Set(['unmonitored', 'flagged', 'sample']);

class Wall {
  data = $state.raw<Schema['Live'] | undefined>();
  problem = $state.raw<Problem | undefined>();
  /** performance.now() when the data was read. */
  at = $state(0);
  sound = $state(true);
  private seen = $state.raw<ReadonlySet<string>>(new Set());
  private since = new Map<string, number>();
  private onnow: (now: string) => void = () => undefined;
  private round = 0;

  /** Reads the wall now; updates come through load. */
  serve(onnow: (now: string) => void): () => void {
    this.onnow = onnow;
    void this.load();
    return () => this.clear();
  }

  async load() {
    const round = ++this.round;
    try {
      const data = await ask(api.GET('/api/staff/live'));
      if (round !== this.round) return;
      this.onnow(data.now);
      this.take(data);
      this.problem = undefined;
    } catch (e) {
      if (round === this.round) this.problem = Problem.from(e);
    }
  }

  /** Puts in what an act just answered. */
  put(call: Call) {
    if (!this.data) return;
    this.round++;
    this.take({ ...this.data, calls: [...this.data.calls.filter((c) => c.call !== call.call), call] });
  }

  call(id: string): Call | undefined {
    return this.data?.calls.find((c) => c.call === id);
  }

  /** Takes what was read; which alerts are new is told by what stood before. */
  take(data: Schema['Live']) {
    const keys = new Set(data.calls.flatMap((c) => c.flags.map((f) => `${c.call} ${f}`)));
    for (const k of this.since.keys()) if (!keys.has(k)) this.since.delete(k);
    for (const k of keys) if (!this.since.has(k)) this.since.set(k, performance.now());
    // A flag that went and comes again is a new alert.
    this.seen = new Set([...this.seen].filter((k) => keys.has(k)));
    this.data = data;
    this.at = performance.now();
  }

  get alerts(): Alert[] {
    return this.flags((f) => !duties.has(f)).filter((a) => !this.seen.has(a.key));
  }
  get duties(): Alert[] {
    return this.flags((f) => duties.has(f));
  }

  private flags(want: (flag: string) => boolean): Alert[] {
    const all = (this.data?.calls ?? []).flatMap((call) =>
      call.flags.filter(want).map((flag) => ({ key: `${call.call} ${flag}`, call, flag, since: this.since.get(`${call.call} ${flag}`) ?? 0 })),
    );
    return all.sort((a, b) => b.since - a.since);
  }

  see(key: string) {
    this.seen = new Set([...this.seen, key]);
  }

  clear() {
    this.round++;
    this.data = undefined;
    this.problem = undefined;
    this.seen = new Set();
    this.since.clear();
  }
}

export const wall = new Wall();
