// A form: checked when sent, never on blur. Everything typed is kept; the
// server is the authority, its field codes land beside the same fields.
import { Problem } from '../api/problems.ts';
import { say, sayField } from '../i18n/errors.ts';

/** Words of a page's own for a field's code; undefined leaves the common ones. */
export type FieldWords = (id: string, code: string) => string | undefined;

export class Form {
  busy = $state(false);
  constructor(private readonly own: FieldWords = () => undefined) {}

  private word(id: string, code: string): string {
    return this.own(id, code) ?? sayField(code);
  }

  private wrong = $state.raw<{ id: string; code: string }[]>([]);
  private problem = $state.raw<Problem | undefined>();

  /** The words beside a field. */
  error(id: string): string | undefined {
    const found = this.wrong.find((w) => w.id === id);
    return found && this.word(found.id, found.code);
  }

  /** The words of the summary. */
  get errors(): { id?: string; text: string }[] {
    const list: { id?: string; text: string }[] = this.wrong.map((w) => ({ id: w.id, text: this.word(w.id, w.code) }));
    if (this.problem && list.length === 0) list.push({ text: say(this.problem.code, this.problem.params) });
    return list;
  }

  get failed(): boolean {
    return this.errors.length > 0;
  }

  clear() {
    this.wrong = [];
    this.problem = undefined;
  }

  /** Notes what is wrong; true when nothing is. */
  check(rules: readonly (readonly [id: string, ok: boolean, code: string])[]): boolean {
    this.problem = undefined;
    this.wrong = rules.filter(([, ok]) => !ok).map(([id, , code]) => ({ id, code }));
    return this.wrong.length === 0;
  }

  /** Sends once; a second press while busy does nothing. Answers whether it went well. */
  async send(f: () => Promise<void>): Promise<boolean> {
    if (this.busy) return false;
    this.busy = true;
    try {
      await f();
      this.clear();
      return true;
    } catch (e) {
      const problem = Problem.from(e);
      this.problem = problem;
      this.wrong = problem.fields.map((x) => ({ id: x.name.replace(/[^A-Za-z0-9_-]/g, '-'), code: x.code }));
      return false;
    } finally {
      this.busy = false;
    }
  }

  get code(): string | undefined {
    return this.problem?.code;
  }
}

/** A number as typed: spaces, dashes and brackets do not count. */
export function bare(text: string): string {
  return text.replace(/[\s()\-.]/g, '');
}

/** Whether the three numbers are a day that exists. */
export function realDate(iso: string): boolean {
  const at = new Date(`${iso}T12:00:00Z`);
  return /^\d{4}-\d\d-\d\d$/.test(iso) && !Number.isNaN(at.getTime()) && at.toISOString().slice(0, 10) === iso && iso > '1900';
}
