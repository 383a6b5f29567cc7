// The summary names the field with each of its words: several may lack the same.
export function named(errors: readonly { id?: string; text: string }[], labels: Record<string, string>): { id?: string; text: string }[] {
  return errors.map((e) => (e.id && labels[e.id] ? { ...e, text: `${labels[e.id]}: ${e.text}` } : e));
}
