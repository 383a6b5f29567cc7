// The link to the centre in words, for the bar and for Settings.
import type { Schema } from '../shared/api/client.ts';
import type { IconName } from '../shared/ui/icons.ts';
import { w } from './words.ts';

export interface SyncWords {
  text: string;
  tone: 'ok' | 'warn' | 'err';
  icon: IconName;
}

/** Codes of the synchroniser whose words tell who must act. */
const causes = {
  link: 'link', dial: 'link', unavailable: 'busy', no_leader: 'busy', certificate: 'certificate', name: 'certificate', clock: 'clock', denied: 'withdrawn',
  withdrawn: 'withdrawn', space: 'space', no_space: 'space', brake: 'brake', disk: 'disk',
} as const;

/** One sentence or two: what is the matter, and what that means for visits. */
export function syncLine(card: Schema['SyncCard'], moment: (at: string) => string): SyncWords {
  if (!card.enabled) return { text: w.sync.off, tone: 'ok', icon: 'hard-drive' };
  const tail = card.waiting > 0 ? ` ${w.sync.waiting({ n: card.waiting })}` : '';
  const parked = card.parked > 0 ? ` ${w.sync.parked({ n: card.parked })}` : '';
  const since = moment(card.since ?? card.last_full ?? '');
  const cause = causes[card.cause as keyof typeof causes];
  if (card.state === 'recovery') return { text: w.sync.recovery, tone: 'err', icon: 'circle-alert' };
  if (card.state === 'withdrawn' || cause === 'withdrawn') return { text: w.sync.withdrawn + tail, tone: 'err', icon: 'circle-alert' };
  if (cause === 'certificate' || cause === 'clock' || cause === 'brake' || cause === 'disk') return { text: w.sync[cause] + tail, tone: 'err', icon: 'triangle-alert' };
  if (cause === 'space' || cause === 'busy') return { text: w.sync[cause] + tail, tone: 'warn', icon: 'triangle-alert' };
  switch (card.state) {
    case 'live':
      if (card.waiting > 0) return { text: w.sync.sending + tail + parked, tone: parked ? 'warn' : 'ok', icon: 'refresh-cw' };
      return { text: (card.last_full ? w.sync.full({ time: moment(card.last_full) }) : w.sync.live) + parked, tone: parked ? 'warn' : 'ok', icon: parked ? 'triangle-alert' : 'check' };
    case 'handshake':
    case 'connecting':
    case 'resync':
      return { text: w.sync.connecting + tail, tone: 'ok', icon: 'refresh-cw' };
    case 'paused':
      return { text: w.sync.paused + tail, tone: 'warn', icon: 'pause' };
    default:
      return { text: (card.since ? w.sync.downSince({ time: since }) : w.sync.down) + tail + parked, tone: 'warn', icon: 'wifi-off' };
  }
}
