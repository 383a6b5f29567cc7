// The messages of sallyport.signal.1; the contract is appliance/signaling/protocol.md.

export type Phase = 'open' | 'live' | 'paused' | 'ending';

export interface Welcome {
  t: 'welcome';
  re: number;
  kind: 'seat' | 'monitor' | 'probe';
  call: string;
  seat: string;
  down: number;
  offer: boolean;
  caps: { kbps: number; fps: number; width: number; simulcast: boolean };
  notice: { version: string; recorded: boolean; monitored: boolean; acknowledged: boolean };
  starts?: string;
  ends?: string;
  now: string;
  token: string;
  grace_s: number;
  resumed: boolean;
}
export interface Seat {
  seat: string;
  role: string;
  slot: number;
  mic: boolean;
  cam: boolean;
  on: boolean;
}
export interface State {
  t: 'state';
  seq: number;
  phase: Phase;
  waiting_for?: string[];
  why?: string;
  says?: string;
  by_role?: string;
  since?: string;
}
export interface Problem {
  t: 'problem';
  re?: number;
  status: number;
  code: string;
  says?: string;
  retry_ms?: number;
}
export interface Tune {
  t: 'tune';
  kbps: number;
  scale: number;
  fps: number;
  ptime: number;
  hold: 'none' | 'motion' | 'detail';
}
export type Grade = 'good' | 'fair' | 'poor' | 'lost';

export type Down =
  | Welcome
  | State
  | Problem
  | Tune
  | { t: 'answer'; re: number; sdp: string }
  | { t: 'done'; re: number }
  | { t: 'roster'; seats: Seat[] }
  | { t: 'time'; seq: number; left_s: number; warn: boolean }
  | { t: 'say'; seq: number; key?: string; params?: Record<string, unknown>; body?: string }
  | { t: 'muted'; seat: string; audio: boolean; video: boolean; by_role?: string }
  | { t: 'quality'; up: Grade; down: Grade }
  | { t: 'hint'; call: string; seat: string; kind: string; level: number; score: number; open: boolean; at?: string }
  | { t: 'token'; token: string }
  | { t: 'ping'; k: number }
  | { t: 'ended'; seq: number; code: string; says?: string; together_s: number };

export type Up =
  | { t: 'join'; grant: string; app: string; version: string; caps: { video: string[]; simulcast: boolean; gcm: boolean } }
  | { t: 'resume'; token: string; last: number }
  | { t: 'offer'; sdp: string }
  | { t: 'ready'; notice: string }
  | { t: 'media'; mic: boolean; cam: boolean }
  | { t: 'signal'; kind: string; at: string; detail: string }
  | { t: 'stats'; rtt: number; loss_up: number; loss_down: number; fps_in: number; fps_out: number; freeze_ms: number; path: 'direct' | 'relay' }
  | { t: 'leave'; why: string }
  | {
      t: 'act';
      do: 'pause' | 'end' | 'mute' | 'say' | 'note';
      seat?: string;
      side?: string;
      reason?: string;
      body?: string;
      audio?: boolean;
      video?: boolean;
      on?: boolean;
    };
