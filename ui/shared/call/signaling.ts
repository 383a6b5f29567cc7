// One socket to the gateway: requests with answers, pushes, and the heartbeat.
// The pong is sent in the message handler, because timers of hidden pages are
// slow and message handlers are not. Nothing here knows about media.
import type { Down, Problem, Up } from './messages.ts';

export class Refused extends Error {
  constructor(readonly problem: Problem) {
    super(problem.code);
    this.name = 'Refused';
  }
}

type Waiter = { resolve: (m: Down) => void; reject: (e: Error) => void };

export interface Handlers {
  push: (m: Down) => void;
  /** The socket is gone: closed, or 5 s without a ping. */
  lost: () => void;
}

const silence = 5000;

export class Signaling {
  private socket: WebSocket;
  private n = 0;
  private waiting = new Map<number, Waiter>();
  private watch: ReturnType<typeof setTimeout> | undefined;
  private over = false;

  private constructor(
    socket: WebSocket,
    private readonly on: Handlers,
  ) {
    this.socket = socket;
    socket.onmessage = (e) => this.read(e.data as string);
    socket.onclose = () => this.lose();
    socket.onerror = () => this.lose();
    this.alive();
  }

  static open(url: string, on: Handlers): Promise<Signaling> {
    return new Promise((resolve, reject) => {
      const socket = new WebSocket(url, 'sallyport.signal.1');
      const late = setTimeout(() => socket.close(), silence);
      socket.onopen = () => {
        clearTimeout(late);
        resolve(new Signaling(socket, on));
      };
      socket.onclose = socket.onerror = () => {
        clearTimeout(late);
        reject(new Error('no signalling'));
      };
    });
  }

  /** Sends a request and waits for what answers it. A problem is thrown as Refused. */
  ask<T extends Down = Down>(m: Up): Promise<T> {
    const n = ++this.n;
    return new Promise<T>((resolve, reject) => {
      this.waiting.set(n, { resolve: resolve as (m: Down) => void, reject });
      if (!this.write({ ...m, n })) {
        this.waiting.delete(n);
        reject(new Error('no signalling'));
      }
    });
  }

  /** Sends a request whose answer nobody waits for. */
  tell(m: Up) {
    this.write({ ...m, n: ++this.n });
  }

  close() {
    this.over = true;
    clearTimeout(this.watch);
    this.fail();
    this.socket.close(1000);
  }

  private write(m: object): boolean {
    if (this.over || this.socket.readyState !== WebSocket.OPEN) return false;
    this.socket.send(JSON.stringify(m));
    return true;
  }

  private read(text: string) {
    if (this.over || typeof text !== 'string') return;
    const m = JSON.parse(text) as Down;
    this.alive();
    if (m.t === 'ping') {
      this.write({ t: 'pong', k: m.k });
      return;
    }
    const re = 're' in m ? m.re : undefined;
    const waiter = re === undefined ? undefined : this.waiting.get(re);
    if (waiter && re !== undefined) {
      this.waiting.delete(re);
      if (m.t === 'problem') waiter.reject(new Refused(m));
      else waiter.resolve(m);
      return;
    }
    this.on.push(m);
  }

  private alive() {
    clearTimeout(this.watch);
    this.watch = setTimeout(() => this.lose(), silence);
  }

  private lose() {
    if (this.over) return;
    this.over = true;
    clearTimeout(this.watch);
    this.socket.onclose = this.socket.onerror = this.socket.onmessage = null;
    this.socket.close();
    this.fail();
    this.on.lost();
  }

  private fail() {
    const all = [...this.waiting.values()];
    this.waiting.clear();
    for (const w of all) w.reject(new Error('no signalling'));
  }
}
