// The words of a refusal for staff: the frame's own first, then the shared copy.
import { Problem } from '../shared/api/problems.ts';
import { say } from '../shared/i18n/errors.ts';
import { w } from './words.ts';

export function tell(e: unknown): string {
  const problem = Problem.from(e);
  return tellCode(problem.code, problem.params);
}

/** The same for a code that came without a refusal, as at the end of a call. */
export function tellCode(code: string, params: Record<string, unknown> = {}): string {
  return (w.problem as Record<string, string>)[code] ?? say(code, params);
}
