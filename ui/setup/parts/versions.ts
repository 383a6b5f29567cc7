// What the page of versions works out from the door's answer.
import type { Schema } from '../../shared/api/client.ts';
import { v } from '../words.version.ts';

export type Versions = Schema['Versions'];
type Work = Schema['VersionWork'];

/** Whether the box is at something, so that nothing else can be asked of it. */
export const atWork = (w: Work | undefined): boolean => w !== undefined && w.step !== 'failed' && w.step !== 'stopped';

/** A version that is installed and waits for the next start of the box. */
export const waiting = (d: Versions): string | undefined => (d.trial?.ready && d.trial.version !== d.running?.version ? d.trial.version : undefined);

const damaged = ['update.form', 'update.manifest', 'update.truncated', 'update.trailing', 'update.damaged', 'update.product', 'update.replaced'];

/** Why not, in words. */
export function whyNot(code: string, p: { running?: string | undefined; minimum?: string | undefined }): string {
  const key = damaged.includes(code) ? 'damaged' : code === 'signature.wrong' ? 'signature' : code === 'update.request' ? 'stopped' : code.replace(/^update\./, '');
  const words = (v.problem as Record<string, string | ((p: { running: string; minimum: string }) => string)>)[key] ?? v.problem.fault;
  return typeof words === 'string' ? words : words({ running: p.running ?? '', minimum: p.minimum ?? '' });
}
