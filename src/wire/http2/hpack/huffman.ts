/** HPACK's Huffman code (RFC 7541, appendix B). It is canonical, so the code lengths define it completely. */
import { Http2Error } from "../protocol.ts";

/** Bits of each byte's code. The end of a string, 30 ones, is the only code beside them. */
// prettier-ignore
const LENGTHS: readonly number[] = [
  13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 28,
  6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6, 6, 6, 7, 8, 15, 6, 12, 10,
  13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7, 8, 13, 19, 13, 14, 6,
  15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7, 15, 11, 14, 13, 28,
  20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24, 23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24,
  22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23, 23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23,
  26, 26, 20, 19, 22, 23, 22, 25, 26, 26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27,
  20, 24, 20, 21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27, 27, 27, 26,
];

const CODES = codesOf(LENGTHS);
const LENGTH = Uint8Array.from(LENGTHS);

function codesOf(lengths: readonly number[]): Uint32Array {
  const codes = new Uint32Array(256);
  const order = lengths.map((_, symbol) => symbol).sort((a, b) => lengths[a]! - lengths[b]! || a - b);
  let code = 0;
  let length = lengths[order[0]!]!;
  for (const symbol of order) {
    code *= 2 ** (lengths[symbol]! - length);
    length = lengths[symbol]!;
    codes[symbol] = code++;
  }
  return codes;
}

/** Bytes that `text` takes, one of Latin-1 a character. */
export function huffmanLength(text: string): number {
  let bits = 0;
  for (let i = 0; i < text.length; i++) bits += LENGTH[text.charCodeAt(i) & 255]!;
  return (bits + 7) >>> 3;
}

/** Writes `text` at `at` and returns where it ends. */
export function huffmanEncode(text: string, target: Uint8Array, at: number): number {
  let rest = 0;
  let bits = 0; // Of `rest`, fewer than eight.
  for (let i = 0; i < text.length; i++) {
    const symbol = text.charCodeAt(i) & 255;
    const code = CODES[symbol]!;
    let left = LENGTH[symbol]!;
    while (bits + left >= 8) {
      const taken = 8 - bits;
      left -= taken;
      target[at++] = (rest << taken) | ((code >>> left) & ((1 << taken) - 1));
      rest = 0;
      bits = 0;
    }
    rest = (rest << left) | (code & ((1 << left) - 1));
    bits += left;
  }
  if (bits > 0) target[at++] = (rest << (8 - bits)) | (0xff >>> bits);
  return at;
}

/*
 * Decoding takes four bits at a time: no code is shorter than five, so that a step gives at most one byte. A step's entry in the table holds the next
 * state in its upper bits, then whether there is a byte, then the byte.
 */
const HAS_BYTE = 0x100;
const FAILED = 0xffff;
const { steps: STEPS, mayEnd: MAY_END } = automaton();

function automaton(): { readonly steps: Uint32Array; readonly mayEnd: Uint8Array } {
  // The code as a tree: a node's children are nodes, or ~byte, or FAILED for the end of a string.
  const tree: [number, number][] = [[-1, -1]].map(() => [0, 0]);
  const end = { code: 0x3fffffff, length: 30, leaf: FAILED };
  const leaves = LENGTHS.map((length, symbol) => ({ code: CODES[symbol]!, length, leaf: ~symbol }));
  for (const { code, length, leaf } of [...leaves, end]) {
    let node = 0;
    for (let bit = length - 1; bit > 0; bit--) {
      const side = (code >>> bit) & 1;
      if (tree[node]![side] === 0) tree[node]![side] = tree.push([0, 0]) - 1;
      node = tree[node]![side]!;
    }
    tree[node]![code & 1] = leaf;
  }
  const steps = new Uint32Array(tree.length * 16);
  for (let state = 0; state < tree.length; state++)
    for (let nibble = 0; nibble < 16; nibble++) {
      let node = state;
      let byte = 0;
      for (let bit = 3; bit >= 0 && node !== FAILED; bit--) {
        node = tree[node]![(nibble >>> bit) & 1]!;
        if (node >= 0) continue;
        byte = HAS_BYTE | ~node;
        node = 0;
      }
      steps[state * 16 + nibble] = (node << 16) | byte;
    }
  // What is left over at the end must be ones, and fewer than eight.
  const mayEnd = new Uint8Array(tree.length);
  for (let node = 0, bits = 0; bits < 8; bits++, node = tree[node]![1]!) mayEnd[node] = 1;
  return { steps, mayEnd };
}

/** Decodes into `target`, which has room for 8/5 of the source, and returns how many bytes came out. */
export function huffmanDecode(source: Uint8Array, start: number, end: number, target: Uint8Array): number {
  let state = 0;
  let at = 0;
  for (let i = start; i < end; i++) {
    const byte = source[i]!;
    const first = STEPS[(state << 4) | (byte >>> 4)]!;
    if (first & HAS_BYTE) target[at++] = first;
    state = first >>> 16;
    if (state === FAILED) break;
    const second = STEPS[(state << 4) | (byte & 15)]!;
    if (second & HAS_BYTE) target[at++] = second;
    state = second >>> 16;
    if (state === FAILED) break;
  }
  if (state === FAILED || MAY_END[state] === 0)
    throw new Http2Error("COMPRESSION_ERROR", "a Huffman-coded string does not end well");
  return at;
}
