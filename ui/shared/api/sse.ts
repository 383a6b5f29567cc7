// Live updates: an event names what changed, by kind and id; whoever shows it
// asks again. The browser resumes with Last-Event-ID by itself.

export interface Change {
  kind: string;
  id: string;
}

/** Listens to a door's feed. back is called when the line is there again, since events may have been missed. */
export function listen(url: string, on: { change: (c: Change) => void; back?: () => void; lost?: () => void }): () => void {
  let source: EventSource | undefined;
  let timer: ReturnType<typeof setTimeout> | undefined;
  let lost = false;
  let wait = 1000;
  const open = () => {
    source = new EventSource(url);
    source.onopen = () => {
      wait = 1000;
      if (lost) {
        lost = false;
        on.back?.();
      }
    };
    source.addEventListener('change', (e) => {
      try {
        on.change(JSON.parse((e as MessageEvent<string>).data) as Change);
      } catch {
        // A line that is not ours says nothing.
      }
    });
    source.onerror = () => {
      if (!lost) {
        lost = true;
        on.lost?.();
      }
      // A refused answer closes the source for good: come back by ourselves, slower each time.
      if (source?.readyState === EventSource.CLOSED) {
        timer = setTimeout(open, wait);
        wait = Math.min(wait * 2, 15_000);
      }
    };
  };
  open();
  return () => {
    clearTimeout(timer);
    source?.close();
  };
}
