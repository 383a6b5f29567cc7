// One soft tone for a new alert. A browser that allows no sound yet stays
// silent: the tone is never the only signal.
let context: AudioContext | undefined;

export function tone() {
  // Before the first press a browser allows no sound, and says so in its log.
  if (!navigator.userActivation?.hasBeenActive) return;
  try {
    context ??= new AudioContext();
    const at = context.currentTime;
    const volume = context.createGain();
    volume.gain.setValueAtTime(0, at);
    volume.gain.linearRampToValueAtTime(0.12, at + 0.03);
    volume.gain.exponentialRampToValueAtTime(0.001, at + 0.6);
    volume.connect(context.destination);
    const wave = context.createOscillator();
    wave.frequency.value = 660;
    wave.connect(volume);
    wave.start(at);
    wave.stop(at + 0.6);
  } catch {
    // No sound on this computer.
  }
}
