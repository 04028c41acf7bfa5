/** Scales scores to 0..100 by the largest; if all are zero they stay so, or become 100 where less is better. */
export function byLargest(scores: Float64Array, count: number, reverse = false): void {
  let largest = 0;
  for (let i = 0; i < count; i++) if (scores[i]! > largest) largest = scores[i]!;
  if (largest === 0) {
    if (reverse) scores.fill(100, 0, count);
    return;
  }
  for (let i = 0; i < count; i++) {
    const score = Math.trunc((100 * scores[i]!) / largest);
    scores[i] = reverse ? 100 - score : score;
  }
}
