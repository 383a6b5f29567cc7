// One place in a call, from the first press to the end: seat, monitor or
// device check. Owns the socket, the media leg and what the screen shows of
// them. The page gives tickets (a grant for the certificate) and local media;
// it never acts on a call by itself, it only says what it was told.
import type { Grade, Phase, Seat, Down, Up, Welcome } from './messages.ts';
import { identity, Leg, type IceServer, type Identity } from './rtc.ts';
import { Refused, Signaling } from './signaling.ts';
import { Problem } from '../api/problems.ts';

export interface Ticket {
  grant: string;
  signaling: string;
  ice_servers: IceServer[];
  relay_only: boolean;
}

export interface Remote extends Seat {
  stream: MediaStream;
}

/** idle → joining → in ↔ lost → ended or refused. What happens inside is phase. */
export type Stage = 'idle' | 'joining' | 'in' | 'lost' | 'ended' | 'refused';

export interface Options {
  app: 'visitor' | 'kiosk' | 'staff';
  ticket: (fingerprint: string) => Promise<Ticket>;
  /** Everything that staff or the appliance said during the call. */
  onsay?: (m: { key?: string; params?: Record<string, unknown>; body?: string }) => void;
  onhint?: (m: Extract<Down, { t: 'hint' }>) => void;
  onwarn?: (secondsLeft: number) => void;
}

const version = '1.0.0';
const delays = [250, 500, 1000, 2000];
const wait = (ms: number) => new Promise((r) => setTimeout(r, ms));

export class Call {
  stage = $state<Stage>('idle');
  phase = $state<Phase>('open');
  waitingFor = $state.raw<string[]>([]);
  /** The copy key of the present state. */
  says = $state('');
  /** The copy key of the end or of the refusal. */
  code = $state('');
  since = $state('');
  remotes = $state.raw<Remote[]>([]);
  local = $state.raw<MediaStream | undefined>();
  mic = $state(true);
  cam = $state(true);
  mutedByStaff = $state(false);
  up = $state<Grade>('good');
  down = $state<Grade>('good');
  leftMs = $state<number | undefined>();
  saidAt = $state(0);
  seat = $state('');
  /** Seconds that both sides were in the call, as the gateway metered them; 0 until it said so. */
  togetherS = $state(0);
  /** A media leg has carried something. */
  connected = $state(false);

  private me: Identity | undefined;
  private ticket: Ticket | undefined;
  private signaling: Signaling | undefined;
  private leg: Leg | undefined;
  private welcome: Welcome | undefined;
  private token = '';
  private last = 0;
  private offeredAt = 0;
  private round = 0;
  private stats: ReturnType<typeof setInterval> | undefined;
  private unwatch: (() => void) | undefined;

  constructor(private readonly o: Options) {}

  /** Makes the certificate and asks the door; nothing is opened yet. Throws a Problem. */
  async prepare(): Promise<Ticket> {
    this.me ??= await identity();
    this.ticket = await this.o.ticket(this.me.fingerprint);
    return this.ticket;
  }

  /** Takes the place. For a seat the notice was acknowledged before this. */
  async join(local?: MediaStream): Promise<void> {
    const round = ++this.round;
    this.local = local;
    this.stage = 'joining';
    this.code = '';
    let fresh = false;
    for (let attempt = 0; round === this.round; attempt++) {
      try {
        if (!this.ticket) await this.prepare();
        await this.connect({ t: 'join', grant: this.ticket?.grant ?? '', app: this.o.app, version, caps: { video: ['VP8'], simulcast: false, gcm: true } });
        return;
      } catch (e) {
        if (round !== this.round) return;
        this.drop();
        if (e instanceof Problem && !e.offline) return this.refuse(e.code);
        if (e instanceof Refused) {
          const { code, status, retry_ms: retry = 0 } = e.problem;
          if (status === 401 && !fresh) {
            fresh = true;
            this.ticket = undefined;
            continue;
          }
          const again = code === 'too_early' || code === 'busy' || code === 'call_unknown' || code === 'too_fast' || code === 'restarting';
          if (!again) return this.refuse(e.problem.says || code);
          this.says = e.problem.says || code;
          await wait(retry || 2000);
          if (code === 'too_early') this.ticket = undefined;
          continue;
        }
        await wait(delays[Math.min(attempt, 3)] ?? 2000);
      }
    }
  }

  /** Takes the seat again after it was opened on another device. */
  again(): Promise<void> {
    this.ticket = undefined;
    return this.join(this.local);
  }

  setMic(on: boolean) {
    this.mic = on;
    for (const track of this.local?.getAudioTracks() ?? []) track.enabled = on;
    this.signaling?.tell({ t: 'media', mic: this.mic, cam: this.cam });
  }

  setCam(on: boolean) {
    this.cam = on;
    for (const track of this.local?.getVideoTracks() ?? []) track.enabled = on;
    this.signaling?.tell({ t: 'media', mic: this.mic, cam: this.cam });
  }

  /** Another camera: same line. */
  async replace(local: MediaStream) {
    const old = this.local;
    this.local = local;
    await this.leg?.replace(local);
    for (const track of old?.getTracks() ?? []) track.stop();
    this.setMic(this.mic);
    this.setCam(this.cam);
  }

  /** A monitor's tightening act; the answer is awaited so that the console can say what did not happen. */
  async act(m: Omit<Extract<Up, { t: 'act' }>, 't'>): Promise<void> {
    if (!this.signaling) throw new Error('no signalling');
    await this.signaling.ask({ t: 'act', ...m });
  }

  signal(kind: string, detail = '') {
    this.signaling?.tell({ t: 'signal', kind, at: new Date().toISOString(), detail });
  }

  report() {
    return this.leg?.report();
  }

  /** Leaves; the seat may come back until the end. Everything is stopped and emptied. */
  leave(why = 'user') {
    this.signaling?.tell({ t: 'leave', why });
    this.finish('ended', '');
  }

  /** Ends without a word, when the page goes away. */
  stop() {
    this.finish(this.stage === 'idle' ? 'idle' : 'ended', this.code);
  }

  private async connect(first: Extract<Up, { t: 'join' | 'resume' }>) {
    const round = this.round;
    const url = this.ticket?.signaling ?? '';
    const signaling = await Signaling.open(url, { push: (m) => this.push(m), lost: () => void this.lost() });
    if (round !== this.round) {
      signaling.close();
      return;
    }
    this.signaling = signaling;
    const welcome = await signaling.ask<Welcome>(first);
    this.welcome = welcome;
    this.seat = welcome.seat;
    if (welcome.token) this.token = welcome.token;
    if (welcome.ends && this.leftMs === undefined) this.clock(Date.parse(welcome.ends) - Date.parse(welcome.now));
    if (welcome.offer) await this.makeLeg();
    if (welcome.kind === 'seat' && !welcome.notice.acknowledged) await signaling.ask({ t: 'ready', notice: welcome.notice.version });
    if (round !== this.round) return;
    this.stage = 'in';
    if (welcome.kind === 'seat') {
      signaling.tell({ t: 'media', mic: this.mic, cam: this.cam });
      this.unwatch ??= watch(this);
    }
    clearInterval(this.stats);
    this.stats = setInterval(() => void this.tellStats(), 5000);
  }

  private async makeLeg() {
    const { me, welcome, signaling, ticket } = this;
    if (!me || !welcome || !signaling || !ticket) return;
    this.leg?.close();
    const since = performance.now() - this.offeredAt;
    if (since < 2000) await wait(2000 - since);
    this.offeredAt = performance.now();
    const leg = new Leg({
      identity: me,
      ice: ticket.ice_servers,
      relayOnly: ticket.relay_only,
      welcome,
      local: this.local,
      onbroken: () => void this.remake(),
      onconnected: () => (this.connected = true),
    });
    this.leg = leg;
    const sdp = await leg.offer();
    const answer = await signaling.ask<Extract<Down, { t: 'answer' }>>({ t: 'offer', sdp });
    await leg.answer(answer.sdp, welcome.caps);
    this.remotes = this.remotes.map((r) => ({ ...r, stream: leg.streams[r.slot] ?? r.stream }));
  }

  private async remake() {
    if (this.stage !== 'in' || !this.signaling) return;
    const round = this.round;
    // A leg that cannot be made again is told by the socket; there is nothing more to do here.
    await this.makeLeg().catch(() => undefined);
    if (round !== this.round) this.leg?.close();
  }

  private async lost() {
    if (this.stage !== 'in') return;
    if (this.welcome?.kind === 'probe') return this.finish('ended', '');
    this.stage = 'lost';
    const round = ++this.round;
    for (let attempt = 0; round === this.round; attempt++) {
      await wait(delays[Math.min(attempt, 3)] ?? 2000);
      if (round !== this.round) return;
      try {
        if (!this.token) this.ticket = undefined;
        if (!this.ticket) await this.prepare();
        await this.connect(
          this.token
            ? { t: 'resume', token: this.token, last: this.last }
            : { t: 'join', grant: this.ticket?.grant ?? '', app: this.o.app, version, caps: { video: ['VP8'], simulcast: false, gcm: true } },
        );
        return;
      } catch (e) {
        if (round !== this.round) return;
        this.signaling?.close();
        this.signaling = undefined;
        if (e instanceof Refused) {
          if (e.problem.status === 401) this.token = '';
          else if (e.problem.status === 410) return this.finish('ended', e.problem.says || 'call.ended');
          else if (e.problem.status === 403 || e.problem.code === 'elsewhere') return this.refuse(e.problem.says || e.problem.code);
        } else if (e instanceof Problem && !e.offline && e.status !== 503) return this.refuse(e.code);
      }
    }
  }

  private push(m: Down) {
    if ('seq' in m) this.last = Math.max(this.last, m.seq);
    switch (m.t) {
      case 'roster':
        this.remotes = m.seats
          .filter((s) => s.slot >= 0)
          .map((s) => ({ ...s, stream: this.leg?.streams[s.slot] ?? this.remotes.find((r) => r.slot === s.slot)?.stream ?? new MediaStream() }));
        break;
      case 'state':
        this.phase = m.phase;
        this.waitingFor = m.waiting_for ?? [];
        this.says = m.says ?? '';
        this.since = m.since ?? '';
        break;
      case 'time':
        this.clock(m.left_s * 1000);
        if (m.warn) this.o.onwarn?.(m.left_s);
        break;
      case 'say':
        this.o.onsay?.(m);
        break;
      case 'muted':
        if (m.seat === this.seat) this.mutedByStaff = m.audio;
        break;
      case 'tune':
        void this.leg?.tune(m);
        break;
      case 'quality':
        this.up = m.up;
        this.down = m.down;
        break;
      case 'token':
        this.token = m.token;
        break;
      case 'hint':
        this.o.onhint?.(m);
        break;
      case 'ended':
        this.togetherS = m.together_s;
        this.finish('ended', m.says || m.code);
        break;
      case 'problem':
        if (m.code === 'no_recorder') this.says = m.says || 'call.cannotRecord';
        else if (m.code === 'restarting') void this.lost();
        else if (m.status === 410) this.finish('ended', m.says || 'call.ended');
        else if (m.status !== 429 && m.code !== 'not_now') this.refuse(m.says || m.code);
        break;
    }
  }

  private clock(ms: number) {
    this.leftMs = ms;
    this.saidAt = performance.now();
  }

  private async tellStats() {
    const r = await this.leg?.report().catch(() => undefined);
    if (r) this.signaling?.tell({ t: 'stats', ...r });
  }

  private refuse(code: string) {
    this.finish('refused', code, true);
  }

  private drop() {
    this.signaling?.close();
    this.signaling = undefined;
    this.leg?.close();
    this.leg = undefined;
  }

  /** Tracks stop, streams are emptied, nothing is kept. Where the person can take the seat again, the camera stays theirs. */
  private finish(stage: Stage, code: string, keepCamera = false) {
    this.round++;
    clearInterval(this.stats);
    this.unwatch?.();
    this.unwatch = undefined;
    this.drop();
    this.remotes = [];
    this.connected = false;
    this.token = '';
    this.last = 0;
    if (!keepCamera) {
      for (const track of this.local?.getTracks() ?? []) track.stop();
      this.local = undefined;
    }
    this.code = code;
    this.stage = stage;
  }
}

/** Reports what the page sees; it never acts on it. */
function watch(call: Call): () => void {
  let blur: ReturnType<typeof setTimeout> | undefined;
  const visibility = () => call.signal(document.hidden ? 'hidden' : 'visible');
  const onblur = () => (blur = setTimeout(() => call.signal('blur'), 3000));
  const onfocus = () => clearTimeout(blur);
  const key = (e: KeyboardEvent) => {
    const shot = e.key === 'PrintScreen' || (e.metaKey && e.shiftKey && ['3', '4', '5', 's', 'S'].includes(e.key));
    if (shot) call.signal('print_screen');
  };
  const device = () => call.signal('camera_changed', 'devicechange');
  document.addEventListener('visibilitychange', visibility);
  addEventListener('blur', onblur);
  addEventListener('focus', onfocus);
  addEventListener('keyup', key);
  navigator.mediaDevices?.addEventListener?.('devicechange', device);
  const tracks = call.local?.getVideoTracks() ?? [];
  const ended = () => call.signal('camera_changed', 'ended');
  for (const track of tracks) track.addEventListener('ended', ended);
  return () => {
    clearTimeout(blur);
    document.removeEventListener('visibilitychange', visibility);
    removeEventListener('blur', onblur);
    removeEventListener('focus', onfocus);
    removeEventListener('keyup', key);
    navigator.mediaDevices?.removeEventListener?.('devicechange', device);
    for (const track of tracks) track.removeEventListener('ended', ended);
  };
}
