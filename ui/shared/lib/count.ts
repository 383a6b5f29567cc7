// Text as the server counts it: CRLF becomes LF, then NFC, then code points.
// text.length counts UTF-16 units and would cut an emoji in two.

export function normal(text: string): string {
  return text.replace(/\r\n?/g, '\n').normalize('NFC');
}

export function count(text: string): number {
  return [...normal(text)].length;
}
