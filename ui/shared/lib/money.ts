// Money is an amount in the smallest unit and a currency code. Only display.
import { i18n } from '../i18n/index.svelte.ts';

export interface Money {
  amount: number;
  currency: string;
}

export function money(m: Money, tag: string = i18n.tag): string {
  const f = new Intl.NumberFormat(tag, { style: 'currency', currency: m.currency, currencyDisplay: 'narrowSymbol' });
  const digits = f.resolvedOptions().maximumFractionDigits ?? 2;
  return f.format(m.amount / 10 ** digits);
}
