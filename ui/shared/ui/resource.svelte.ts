// What a screen shows: loading, empty, error, stale or data. Async.svelte
// draws it; the fetch is a function, so "Try again" is the same call.
import { Problem } from '../api/problems.ts';

export class Resource<T> {
  data = $state.raw<T | undefined>();
  error = $state.raw<Problem | undefined>();
  loading = $state(false);
  /** When the data was read. */
  at = $state.raw<Date | undefined>();
  private round = 0;
  constructor(private readonly read: (signal: AbortSignal) => Promise<T>) {}
  private abort: AbortController | undefined;

  async load(): Promise<void> {
    const round = ++this.round;
    this.abort?.abort();
    this.abort = new AbortController();
    this.loading = true;
    try {
      const data = await this.read(this.abort.signal);
      if (round !== this.round) return;
      this.data = data;
      this.at = new Date();
      this.error = undefined;
    } catch (e) {
      if (round !== this.round) return;
      this.error = Problem.from(e);
    } finally {
      if (round === this.round) this.loading = false;
    }
  }

  /** Puts in what an answer just said, without a further request. */
  set(data: T) {
    this.round++;
    this.data = data;
    this.at = new Date();
    this.error = undefined;
    this.loading = false;
  }

  stop() {
    this.round++;
    this.abort?.abort();
  }
}

/** A resource that is read at once. */
export function resource<T>(read: (signal: AbortSignal) => Promise<T>): Resource<T> {
  const r = new Resource(read);
  void r.load();
  return r;
}
