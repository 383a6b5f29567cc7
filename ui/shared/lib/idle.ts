// Idle watch: warns, then ends. The clock is performance.now, because the
// device's own clock may be wrong.

export interface Idle {
  /** A sign of life: a touch, a key, or "I am still here". */
  touch(): void;
  /** Holds the watch still, for the length of a call. */
  pause(on: boolean): void;
  stop(): void;
}

export function watchIdle(o: { warnMs: number; endMs: number; warn: (leftMs: number) => void; calm: () => void; end: () => void }): Idle {
  let last = performance.now();
  let paused = false;
  let warned = false;
  const touch = () => {
    last = performance.now();
    if (warned) {
      warned = false;
      o.calm();
    }
  };
  // A warning is answered by its own button, not by a stray touch on the way to it.
  const sign = () => {
    if (!warned) touch();
  };
  const events = ['pointerdown', 'keydown'] as const;
  for (const e of events) addEventListener(e, sign, { passive: true, capture: true });
  const timer = setInterval(() => {
    if (paused) return;
    const idle = performance.now() - last;
    if (idle >= o.endMs) {
      last = performance.now();
      warned = false;
      o.end();
    } else if (idle >= o.warnMs) {
      warned = true;
      o.warn(o.endMs - idle);
    }
  }, 1000);
  return {
    touch,
    pause(on) {
      paused = on;
      touch();
    },
    stop() {
      clearInterval(timer);
      for (const e of events) removeEventListener(e, sign, { capture: true });
    },
  };
}
