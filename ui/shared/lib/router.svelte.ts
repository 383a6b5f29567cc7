// The router of a surface: History API, lazy pages, query kept, scroll
// restored on back. A page moves focus to its heading itself (Page.svelte).
import type { Component } from 'svelte';

export type Params = Record<string, string>;
export interface Route {
  path: string;
  load: () => Promise<{ default: Component<any> }>;
  /** Whoever is not signed in may see the page. */
  open?: boolean;
  /** The page takes the whole screen: no bars. */
  whole?: boolean;
}

/** Matches a path against a pattern such as /visits/:id. */
export function match(pattern: string, path: string): Params | undefined {
  const want = pattern.split('/').filter(Boolean);
  const have = path.split('/').filter(Boolean);
  if (want.length !== have.length) return undefined;
  const params: Params = {};
  for (const [i, part] of want.entries()) {
    const value = have[i] as string;
    if (part.startsWith(':')) {
      try {
        params[part.slice(1)] = decodeURIComponent(value);
      } catch {
        return undefined;
      }
    } else if (part !== value) return undefined;
  }
  return params;
}

/** The first route that fits, with its parameters. */
export function find(routes: readonly Route[], path: string): { route: Route; params: Params } | undefined {
  for (const route of routes) {
    const params = match(route.path, path);
    if (params) return { route, params };
  }
  return undefined;
}

class Router {
  path = $state('/');
  query = $state.raw(new URLSearchParams());
  /** Counts moves, so that a page can tell its first show from a move. */
  moves = $state(0);
  private guard: (() => boolean) | undefined;
  private flat = false;

  /** Starts listening; the return value stops it. Flat makes no history: the device is shared, and its back key does nothing. */
  start(how: { flat?: boolean } = {}): () => void {
    this.flat = how.flat ?? false;
    const read = () => {
      this.path = location.pathname;
      this.query = new URLSearchParams(location.search);
    };
    const back = (e: PopStateEvent) => {
      if (this.flat) {
        history.pushState(null, '', this.path + this.search);
        return;
      }
      this.moves++;
      read();
      const y = (e.state as { y?: number } | null)?.y ?? 0;
      requestAnimationFrame(() => scrollTo(0, y));
    };
    const click = (e: MouseEvent) => {
      if (e.defaultPrevented || e.button !== 0 || e.metaKey || e.ctrlKey || e.shiftKey || e.altKey) return;
      const a = (e.target as Element | null)?.closest?.('a[href]') as HTMLAnchorElement | null;
      if (!a || a.target || a.origin !== location.origin || a.hasAttribute('download') || a.pathname.startsWith('/api/')) return;
      if (a.hash && a.pathname === location.pathname) return;
      e.preventDefault();
      this.go(a.pathname + a.search);
    };
    history.scrollRestoration = 'manual';
    addEventListener('popstate', back);
    document.addEventListener('click', click);
    read();
    // One entry to step back into, so that the back key never leaves the page.
    if (this.flat) history.pushState(null, '', location.href);
    return () => {
      removeEventListener('popstate', back);
      document.removeEventListener('click', click);
    };
  }

  private get search(): string {
    const q = this.query.toString();
    return q && `?${q}`;
  }

  /** Asks before the page is left by a link; the guard answers whether to go. */
  hold(guard: (() => boolean) | undefined) {
    this.guard = guard;
  }

  go(to: string, how: { replace?: boolean } = {}) {
    if (this.guard && !this.guard()) return;
    const url = new URL(to, location.origin);
    if (how.replace || this.flat) history.replaceState(null, '', url);
    else {
      history.replaceState({ y: scrollY }, '');
      history.pushState(null, '', url);
    }
    this.moves++;
    this.path = url.pathname;
    this.query = url.searchParams;
    scrollTo(0, 0);
  }

  back(fallback: string) {
    if (this.moves > 0 && !this.flat) history.back();
    else this.go(fallback, { replace: true });
  }
}

export const router = new Router();
