// The language of the page and typed catalogues. en.ts is the type; cy.ts and
// es.ts satisfy it, so a missing key does not compile. They load when chosen.

export const langs = ['en', 'cy', 'es'] as const;
export type Lang = (typeof langs)[number];
export const langNames: Record<Lang, string> = { en: 'English', cy: 'Cymraeg', es: 'Español' };

type Words = Record<string, Record<string, unknown>>;
/** The shape a translation must have: same keys, strings or functions of the same parameters. */
export type Like<M> = {
  [A in keyof M]: { [K in keyof M[A]]: M[A][K] extends (...args: infer P) => string ? (...args: P) => string : string };
};
interface Book {
  load(lang: Lang): Promise<void>;
}

class I18n {
  lang = $state<Lang>('en');
  /** Decides date order, clock and money together with the language. */
  country = $state('GB');
  readonly tag = $derived(`${this.lang}-${this.country}`);
  private books: Book[] = [];
  private late: Promise<void>[] = [];
  /** The language that was asked for last; what comes while it loads must speak it too. */
  private wanted: Lang = 'en';
  private picked = false;

  add(book: Book) {
    this.books.push(book);
    if (this.wanted !== 'en') this.late.push(book.load(this.wanted));
  }

  /** Waits for the catalogues that came with a lazy page; a page is drawn after it. */
  async settle(): Promise<void> {
    await Promise.all(this.late.splice(0));
  }

  /** What a page begins with; whoever has picked a language while it was starting keeps theirs. */
  async begin(lang: Lang): Promise<void> {
    if (!this.picked) await this.use(lang);
  }

  /** Somebody's own choice. */
  async pick(lang: Lang): Promise<void> {
    this.picked = true;
    await this.use(lang);
  }

  /** Loads every catalogue of the language, then switches; the page never shows a mix. */
  async use(lang: Lang): Promise<void> {
    this.wanted = lang;
    await Promise.all(this.books.map((b) => b.load(lang)));
    await this.settle();
    if (this.wanted !== lang) return;
    this.lang = lang;
    document.documentElement.lang = lang;
  }
}

export const i18n = new I18n();

/** Registers a catalogue; the result reads the words of the language in use. */
export function catalogue<M extends Words>(en: M, load: Record<Exclude<Lang, 'en'>, () => Promise<{ default: Like<M> }>>): Like<M> {
  const loaded = new Map<Lang, Like<M>>([['en', en as unknown as Like<M>]]);
  i18n.add({
    async load(lang) {
      if (lang === 'en' || loaded.has(lang)) return;
      loaded.set(lang, (await load[lang]()).default);
    },
  });
  return new Proxy({} as Like<M>, {
    get: (_, area: string) => (loaded.get(i18n.lang) ?? (en as unknown as Like<M>))[area],
  });
}

const rules = new Map<string, Intl.PluralRules>();

/** Picks the form of a number; other is the one that must exist. */
export function plural(lang: Lang, n: number, forms: Partial<Record<Intl.LDMLPluralRule, string>> & { other: string }): string {
  let r = rules.get(lang);
  if (!r) rules.set(lang, (r = new Intl.PluralRules(lang)));
  return forms[r.select(n)] ?? forms.other;
}

const memory = 'language';

/** Keeps a choice for the next time that a page of this door is loaded; for browsers that belong to somebody. */
export function remember(lang: Lang): void {
  try {
    localStorage.setItem(memory, lang);
  } catch {
    // A browser that keeps nothing asks again.
  }
}

/** The choice that was kept here, if there is one. */
export function remembered(): Lang | undefined {
  try {
    return langs.find((l) => l === localStorage.getItem(memory));
  } catch {
    return undefined;
  }
}

/** The language a browser asks for, if we speak it. */
export function preferred(wanted: readonly string[]): Lang {
  for (const w of wanted) {
    const lang = langs.find((l) => w.toLowerCase().startsWith(l));
    if (lang) return lang;
  }
  return 'en';
}
