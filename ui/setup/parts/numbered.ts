/** The next free names of a series: "Kiosk A" and 3 make "Kiosk A1", "Kiosk A2", "Kiosk A3". One that is free stays as it is typed. */
export function numbered(base: string, many: number, taken: readonly string[]): string[] {
  if (!base || many < 1 || many > 20) return [];
  const used = new Set(taken);
  if (many === 1 && /\d$/.test(base) && !used.has(base)) return [base];
  const gap = /\d$/.test(base) ? ' ' : base.length > 2 && !/\s\S{1,2}$/.test(base) ? ' ' : '';
  const out: string[] = [];
  for (let n = 1; out.length < many; n++) {
    const name = `${base}${gap}${n}`;
    if (!used.has(name)) out.push(name);
  }
  return out;
}
