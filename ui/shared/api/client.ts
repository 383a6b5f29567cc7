// The typed client of a door. The session cookie goes by itself; each request
// that changes something carries the session's token.
import createClient, { type Middleware } from 'openapi-fetch';
import { Problem } from './problems.ts';
import type { components, paths } from './schema.d.ts';

export type Schema = components['schemas'];

let csrf = '';
/** Set at every answer that brings a session; empty at sign-out. */
export function setCSRF(token: string) {
  csrf = token;
}

let onSignedOut: () => void = () => undefined;
/** What to do when the door says that nobody is signed in. */
export function whenSignedOut(f: () => void) {
  onSignedOut = f;
}

const middleware: Middleware = {
  onRequest({ request }) {
    if (request.method !== 'GET' && request.method !== 'HEAD' && csrf) request.headers.set('X-CSRF-Token', csrf);
    return request;
  },
};

export const api = createClient<paths>({ baseUrl: '', credentials: 'same-origin' });
api.use(middleware);

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The body of an answer, or a Problem thrown. */
export async function ask<T>(answer: Promise<Answer<T>>): Promise<T> {
  let a: Answer<T>;
  try {
    a = await answer;
  } catch (e) {
    throw Problem.from(e);
  }
  if (!a.response.ok) {
    const problem = Problem.of(a.response.status, a.error);
    if (problem.signedOut) onSignedOut();
    throw problem;
  }
  return a.data as T;
}

/** Sends bytes with progress, which fetch cannot report. */
export function upload<T>(path: string, body: Blob, progress: (share: number) => void): Promise<T> {
  return new Promise((resolve, reject) => {
    const x = new XMLHttpRequest();
    x.open('PUT', path);
    x.responseType = 'json';
    x.setRequestHeader('Content-Type', 'application/octet-stream');
    if (csrf) x.setRequestHeader('X-CSRF-Token', csrf);
    x.upload.onprogress = (e) => e.lengthComputable && progress(e.loaded / e.total);
    x.onload = () => {
      if (x.status >= 200 && x.status < 300) return resolve(x.response as T);
      reject(Problem.of(x.status, x.response));
    };
    x.onerror = () => reject(new Problem(0, 'net.offline'));
    x.send(body);
  });
}
