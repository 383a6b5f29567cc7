// Every refusal as one type. Words come from i18n/errors.ts by code.
import type { components } from './schema.d.ts';

export interface WrongField {
  name: string;
  code: string;
  params?: Record<string, unknown>;
}
type Wire = components['schemas']['Problem'];

export class Problem extends Error {
  constructor(
    readonly status: number,
    readonly code: string,
    readonly params: Record<string, unknown> = {},
    readonly fields: readonly WrongField[] = [],
  ) {
    super(code);
    this.name = 'Problem';
  }

  /** No answer at all: the line, not the request. */
  get offline(): boolean {
    return this.status === 0;
  }

  /** Nobody is signed in any more. */
  get signedOut(): boolean {
    return this.status === 401 && ['unauthenticated', 'auth.signedOut', 'auth.needed', 'auth.stage'].includes(this.code);
  }

  static of(status: number, body: unknown): Problem {
    const wire = body as Partial<Wire> | undefined;
    if (wire && typeof wire === 'object' && typeof wire.code === 'string') {
      return new Problem(status, wire.code, wire.params ?? {}, (wire.fields ?? []) as WrongField[]);
    }
    return new Problem(status, status === 401 ? 'unauthenticated' : 'fault');
  }

  static from(e: unknown): Problem {
    if (e instanceof Problem) return e;
    // fetch rejects with a TypeError when there is no line; an abort is ours.
    if (e instanceof TypeError) return new Problem(0, 'net.offline');
    return new Problem(500, 'fault');
  }
}
