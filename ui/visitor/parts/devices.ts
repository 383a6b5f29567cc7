// The camera and microphone chosen in the device check, for the calls of this
// page. Memory only.
import type { Wish } from '../../shared/call/devices.ts';

export const devicesOf: { wish: Wish } = { wish: {} };
