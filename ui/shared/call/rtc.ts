// One media leg: a certificate, one peer connection, one offer, one answer.
// The m-lines are fixed by the protocol; who is in which slot is the roster's
// business. A broken leg is replaced by a new one, never renegotiated.
import type { Tune, Welcome } from './messages.ts';

export interface IceServer {
  urls: string[];
  username?: string;
  credential?: string;
}

export interface Identity {
  certificate: RTCCertificate;
  /** As SDP prints it: upper case, parted by colons. */
  fingerprint: string;
}

/** Makes the certificate that the grant will be bound to. */
export async function identity(): Promise<Identity> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256' } as unknown as AlgorithmIdentifier;
  const certificate = await RTCPeerConnection.generateCertificate(algorithm);
  const print = certificate.getFingerprints?.().find((f) => f.algorithm === 'sha-256');
  const fingerprint = print?.value ?? (await readFingerprint(certificate));
  return { certificate, fingerprint: fingerprint.toUpperCase() };
}

/** Browsers without getFingerprints (Firefox) print it in an offer. */
async function readFingerprint(certificate: RTCCertificate): Promise<string> {
  const pc = new RTCPeerConnection({ certificates: [certificate] });
  try {
    pc.addTransceiver('audio');
    const offer = await pc.createOffer();
    const found = /a=fingerprint:sha-256 ([0-9A-Fa-f:]{95})/.exec(offer.sdp ?? '');
    if (!found?.[1]) throw new Error('no fingerprint');
    return found[1];
  } finally {
    pc.close();
  }
}

export interface Report {
  rtt: number;
  loss_up: number;
  loss_down: number;
  fps_in: number;
  fps_out: number;
  freeze_ms: number;
  path: 'direct' | 'relay';
}

export class Leg {
  readonly pc: RTCPeerConnection;
  /** What is received, by slot. */
  readonly streams: MediaStream[] = [];
  private readonly audioOut: RTCRtpSender | undefined;
  private readonly videoOut: RTCRtpSender | undefined;
  private closed = false;

  constructor(o: {
    identity: Identity;
    ice: IceServer[];
    relayOnly: boolean;
    welcome: Pick<Welcome, 'kind' | 'down'>;
    local: MediaStream | undefined;
    onbroken: () => void;
    onconnected?: () => void;
  }) {
    this.pc = new RTCPeerConnection({
      certificates: [o.identity.certificate],
      iceServers: o.ice,
      iceTransportPolicy: o.relayOnly ? 'relay' : 'all',
      bundlePolicy: 'max-bundle',
      rtcpMuxPolicy: 'require',
    });
    if (o.welcome.kind !== 'monitor') {
      this.audioOut = this.pc.addTransceiver(o.local?.getAudioTracks()[0] ?? 'audio', { direction: 'sendonly' }).sender;
      this.videoOut = this.pc.addTransceiver(o.local?.getVideoTracks()[0] ?? 'video', { direction: 'sendonly' }).sender;
    }
    for (let k = 0; k < o.welcome.down; k++) {
      const sound = this.pc.addTransceiver('audio', { direction: 'recvonly' });
      const picture = this.pc.addTransceiver('video', { direction: 'recvonly' });
      this.streams.push(new MediaStream([sound.receiver.track, picture.receiver.track]));
    }
    let grace: ReturnType<typeof setTimeout> | undefined;
    this.pc.onconnectionstatechange = () => {
      clearTimeout(grace);
      if (this.closed) return;
      const s = this.pc.connectionState;
      if (s === 'connected') o.onconnected?.();
      if (s === 'failed') o.onbroken();
      // ICE alone takes 15 s to call it failed; a new leg is cheap.
      if (s === 'disconnected') grace = setTimeout(() => !this.closed && o.onbroken(), 3000);
    };
  }

  /** Makes the one offer. Candidates are not waited for: the gateway learns our address. */
  async offer(): Promise<string> {
    const offer = await this.pc.createOffer();
    await this.pc.setLocalDescription(offer);
    return this.pc.localDescription?.sdp ?? offer.sdp ?? '';
  }

  async answer(sdp: string, caps: Welcome['caps']): Promise<void> {
    await this.pc.setRemoteDescription({ type: 'answer', sdp });
    if (this.videoOut) await this.tune({ t: 'tune', kbps: caps.kbps, fps: caps.fps, scale: 1, ptime: 20, hold: 'none' });
  }

  /** Obeys the gateway about rate, size and frames; no renegotiation. */
  async tune(m: Tune): Promise<void> {
    const sender = this.videoOut;
    if (!sender || this.closed) return;
    const p = sender.getParameters();
    if (!p.encodings?.length) p.encodings = [{}];
    const e = p.encodings[0] as RTCRtpEncodingParameters;
    e.active = m.kbps > 0;
    if (m.kbps > 0) e.maxBitrate = m.kbps * 1000;
    if (m.fps > 0) e.maxFramerate = m.fps;
    if (m.scale >= 1) e.scaleResolutionDownBy = m.scale;
    if (sender.track) sender.track.contentHint = m.hold === 'none' ? '' : m.hold;
    await sender.setParameters(p).catch(() => undefined);
  }

  /** Another camera or microphone: the same line, never a new offer. */
  async replace(local: MediaStream): Promise<void> {
    await this.audioOut?.replaceTrack(local.getAudioTracks()[0] ?? null);
    await this.videoOut?.replaceTrack(local.getVideoTracks()[0] ?? null);
  }

  async report(): Promise<Report> {
    const r: Report = { rtt: 0, loss_up: 0, loss_down: 0, fps_in: 0, fps_out: 0, freeze_ms: 0, path: 'direct' };
    const stats = await this.pc.getStats();
    let lost = 0;
    let got = 0;
    stats.forEach((s: Record<string, unknown>) => {
      const n = (k: string) => (typeof s[k] === 'number' ? (s[k] as number) : 0);
      if (s.type === 'inbound-rtp') {
        lost += n('packetsLost');
        got += n('packetsReceived');
        if (s.kind === 'video') {
          r.fps_in = Math.max(r.fps_in, n('framesPerSecond'));
          r.freeze_ms += Math.round(n('totalFreezesDuration') * 1000);
        }
      } else if (s.type === 'outbound-rtp' && s.kind === 'video') r.fps_out = n('framesPerSecond');
      else if (s.type === 'remote-inbound-rtp') {
        r.loss_up = Math.max(r.loss_up, n('fractionLost'));
        r.rtt = Math.max(r.rtt, Math.round(n('roundTripTime') * 1000));
      } else if (s.type === 'candidate-pair' && s.nominated === true && s.state === 'succeeded') {
        r.rtt = r.rtt || Math.round(n('currentRoundTripTime') * 1000);
        const local = stats.get(s.localCandidateId as string) as { candidateType?: string } | undefined;
        if (local?.candidateType === 'relay') r.path = 'relay';
      }
    });
    r.loss_down = got + lost > 0 ? Math.max(0, lost) / (got + lost) : 0;
    return r;
  }

  close() {
    this.closed = true;
    this.pc.onconnectionstatechange = null;
    this.pc.close();
  }
}
