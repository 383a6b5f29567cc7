// The words of a refusal in set-up: its own first, then the shared copy.
import { Problem } from '../shared/api/problems.ts';
import { say } from '../shared/i18n/errors.ts';
import { o } from './words.office.ts';

export function tell(e: unknown): string {
  const p = Problem.from(e);
  return (o.problem as Record<string, string>)[p.code] ?? say(p.code, p.params);
}
