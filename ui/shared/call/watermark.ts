// Where the watermark stands at a moment: it drifts every 7 s, so that no crop removes it.
const places = [
  [8, 12], [52, 30], [22, 68], [60, 80], [12, 44], [46, 8], [34, 52],
] as const;

export function placeAt(seconds: number): readonly [x: number, y: number] {
  return places[Math.floor(seconds / 7) % places.length] ?? places[0];
}
