// A row of the audit log as one plain sentence.
import { a } from '../words.audit.ts';
import { word, type Area } from '../words.codes.ts';

interface Row {
  verb: string;
  actor: string;
  actor_kind: string;
}

/** Who did what. A verb that has no sentence yet is shown as it stands. */
export function sentence(row: Row, someone: string): string {
  const who = !row.actor ? someone : row.actor === row.actor_kind ? word('actor', row.actor_kind) : row.actor;
  const say = (a.verb as Record<string, (p: { who: string }) => string>)[row.verb];
  return say ? say({ who }) : `${who}: ${row.verb}.`;
}

const areas: readonly Area[] = ['pause', 'end', 'cancel', 'refuse', 'caseReason', 'visitReason', 'markReason', 'custody'];

/** A reason code in the words of whichever list has it; free text stands as it is. */
export function reason(code: string): string {
  if (!/^[a-z_]+$/.test(code)) return code;
  for (const area of areas) {
    const words = word(area, code);
    if (words !== code.replace(/_/g, ' ')) return words;
  }
  return code.replace(/_/g, ' ');
}

/** The instant in UTC, for comparing with other systems. */
export function utc(at: string): string {
  return new Date(at).toISOString().replace('T', ' ').replace('Z', ' UTC');
}
