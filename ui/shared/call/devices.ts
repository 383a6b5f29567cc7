// Camera and microphone. One queue around their creation: a camera is never
// opened twice, and whoever leaves while it opens still gets it stopped.

export type Trouble = 'cam.blocked' | 'cam.none' | '';

export interface Media {
  stream: MediaStream;
  trouble: Trouble;
}

let queue: Promise<unknown> = Promise.resolve();
function oneAtATime<T>(f: () => Promise<T>): Promise<T> {
  const next = queue.then(f, f);
  queue = next.catch(() => undefined);
  return next;
}

export interface Wish {
  camera?: string;
  microphone?: string;
  width?: number;
  fps?: number;
  /** A still picture: no microphone. */
  picture?: boolean;
  /** The camera at the back, for a document. */
  back?: boolean;
}

const video = (w: Wish): MediaTrackConstraints => ({
  width: { ideal: w.width ?? 640 },
  height: { ideal: ((w.width ?? 640) * 3) / 4 },
  frameRate: { ideal: w.fps ?? 25, max: 30 },
  ...(w.camera ? { deviceId: { exact: w.camera } } : { facingMode: w.back ? 'environment' : 'user' }),
});
const audio = (w: Wish): MediaTrackConstraints => ({
  echoCancellation: true,
  noiseSuppression: true,
  autoGainControl: true,
  ...(w.microphone ? { deviceId: { exact: w.microphone } } : {}),
});

function troubleOf(e: unknown): Trouble {
  const name = e instanceof DOMException ? e.name : '';
  return name === 'NotAllowedError' || name === 'SecurityError' ? 'cam.blocked' : 'cam.none';
}

/**
 * Opens camera and microphone; with only one of them, that one. The trouble
 * says what is missing. A signal that is aborted stops what was opened.
 */
export function open(wish: Wish = {}, signal?: AbortSignal): Promise<Media> {
  return oneAtATime(async () => {
    if (!navigator.mediaDevices?.getUserMedia) return { stream: new MediaStream(), trouble: 'cam.none' };
    let media: Media;
    try {
      media = { stream: await navigator.mediaDevices.getUserMedia({ video: video(wish), audio: wish.picture ? false : audio(wish) }), trouble: '' };
    } catch (first) {
      const trouble = troubleOf(first);
      if (trouble === 'cam.blocked' || wish.picture) media = { stream: new MediaStream(), trouble };
      else {
        const sound = await navigator.mediaDevices.getUserMedia({ audio: audio(wish) }).catch(() => new MediaStream());
        media = { stream: sound, trouble: 'cam.none' };
      }
    }
    if (signal?.aborted) {
      stop(media.stream);
      throw new DOMException('left', 'AbortError');
    }
    return media;
  });
}

export function stop(stream: MediaStream | undefined) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

export interface Choice {
  value: string;
  label: string;
}

/** What can be chosen, once permission was given (labels are empty before). */
export async function choices(kind: 'videoinput' | 'audioinput'): Promise<Choice[]> {
  const all = (await navigator.mediaDevices?.enumerateDevices?.()) ?? [];
  return all.filter((d) => d.kind === kind && d.deviceId).map((d) => ({ value: d.deviceId, label: d.label }));
}

/** The level of the microphone, 0 to 1, ten times a second. */
export function level(stream: MediaStream, heard: (level: number) => void): () => void {
  const track = stream.getAudioTracks()[0];
  if (!track) return () => undefined;
  const context = new AudioContext();
  const analyser = context.createAnalyser();
  analyser.fftSize = 1024;
  context.createMediaStreamSource(new MediaStream([track])).connect(analyser);
  const samples = new Float32Array(analyser.fftSize);
  const timer = setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    let sum = 0;
    for (const s of samples) sum += s * s;
    heard(Math.min(1, Math.sqrt(sum / samples.length) * 4));
  }, 100);
  return () => {
    clearInterval(timer);
    void context.close();
  };
}

/** How light the picture is, 0 to 255, and whether the middle is darker than its edges. */
export function light(el: HTMLVideoElement): { mean: number; against: boolean } | undefined {
  if (el.videoWidth === 0) return undefined;
  const canvas = document.createElement('canvas');
  canvas.width = 32;
  canvas.height = 24;
  const g = canvas.getContext('2d', { willReadFrequently: true });
  if (!g) return undefined;
  g.drawImage(el, 0, 0, 32, 24);
  const { data } = g.getImageData(0, 0, 32, 24);
  let all = 0;
  let middle = 0;
  let inMiddle = 0;
  for (let i = 0; i < 32 * 24; i++) {
    const y = 0.299 * (data[i * 4] ?? 0) + 0.587 * (data[i * 4 + 1] ?? 0) + 0.114 * (data[i * 4 + 2] ?? 0);
    all += y;
    const x = i % 32;
    const row = Math.floor(i / 32);
    if (x >= 11 && x < 21 && row >= 6 && row < 18) {
      middle += y;
      inMiddle++;
    }
  }
  const mean = all / (32 * 24);
  return { mean, against: mean > 140 && middle / inMiddle < mean * 0.45 };
}

/** A short chord through the speakers, to hear whether they work. */
export function chime() {
  const context = new AudioContext();
  const gain = context.createGain();
  gain.connect(context.destination);
  gain.gain.setValueAtTime(0.0001, context.currentTime);
  gain.gain.exponentialRampToValueAtTime(0.3, context.currentTime + 0.05);
  gain.gain.exponentialRampToValueAtTime(0.0001, context.currentTime + 1.2);
  for (const [i, hz] of [440, 554, 659].entries()) {
    const tone = context.createOscillator();
    tone.frequency.value = hz;
    tone.connect(gain);
    tone.start(context.currentTime + i * 0.15);
    tone.stop(context.currentTime + 1.2);
  }
  setTimeout(() => void context.close(), 1500);
}
