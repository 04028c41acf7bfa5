/** Keys are bytes at the border and strings of one code unit per byte inside: strings compare, hash and print natively, in byte order. */
const latin1Slice = (Buffer.prototype as unknown as { latin1Slice(this: Uint8Array, from: number, to: number): string })
  .latin1Slice;

export function keyText(key: Uint8Array): string {
  return latin1Slice.call(key, 0, key.length);
}

export function keyBytes(text: string): Uint8Array {
  return Buffer.from(text, "latin1");
}

/** The end of a range: undefined for "every key from there on", which clients spell as one zero byte. */
export function endText(rangeEnd: Uint8Array): string | undefined {
  return rangeEnd.length === 1 && rangeEnd[0] === 0 ? undefined : keyText(rangeEnd);
}
