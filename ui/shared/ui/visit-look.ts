// A visit's label in words with its tone and shape.
import type { Schema } from '../api/client.ts';
import { t } from '../i18n/words.ts';
import type { IconName } from './icons.ts';

type Label = Schema['VisitorVisit']['label'];
export interface Look {
  text: string;
  tone: 'ok' | 'warn' | 'err' | 'plain' | 'brand';
  icon: IconName;
}

export function look(label: Label | string): Look {
  const v = t.visit;
  const all: Record<Label, Look> = {
    invited: { text: v.invited, tone: 'warn', icon: 'mail' },
    requested: { text: v.requested, tone: 'warn', icon: 'clock' },
    confirmed: { text: v.confirmed, tone: 'ok', icon: 'check' },
    open: { text: v.open, tone: 'brand', icon: 'video' },
    live: { text: v.live, tone: 'ok', icon: 'video' },
    done: { text: v.finished, tone: 'plain', icon: 'check' },
    ended_early: { text: v.finishedEarly, tone: 'plain', icon: 'check' },
    ended_by_staff: { text: v.endedByStaff, tone: 'err', icon: 'circle-alert' },
    missed: { text: v.notHeld, tone: 'err', icon: 'x' },
    declined: { text: v.declined, tone: 'err', icon: 'x' },
    no_answer: { text: v.noAnswer, tone: 'plain', icon: 'clock' },
    withdrawn: { text: v.withdrawn, tone: 'plain', icon: 'x' },
    not_approved: { text: v.notApproved, tone: 'err', icon: 'x' },
    cancelled: { text: v.cancelled, tone: 'plain', icon: 'x' },
  };
  return all[label as Label] ?? { text: v.held, tone: 'plain', icon: 'clock' };
}

/** Still ahead of us or going on. */
export function coming(v: { label: string }): boolean {
  return ['invited', 'requested', 'confirmed', 'open', 'live'].includes(v.label);
}

export const fullName = (p: { first_name: string; last_name: string }) => `${p.first_name} ${p.last_name}`;
