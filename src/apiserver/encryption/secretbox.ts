/**
 * NaCl's secretbox: XSalsa20 and Poly1305, which node:crypto lacks. Both are short, so they are here; the tests hold them against NaCl's and
 * upstream's own bytes. Upstream: pkg/storage/value/encrypt/secretbox, golang.org/x/crypto/nacl/secretbox
 */
import { timingSafeEqual } from "node:crypto";
import type { Random } from "../../world/world.ts";
import type { Transformer } from "./transformer.ts";

const NONCE = 24;
const TAG = 16;

/** Nonce, tag, then what is encrypted. */
export function secretbox(key: Uint8Array, random: Random): Transformer {
  return {
    read(data) {
      if (data.length < NONCE + TAG) throw new Error("the stored data was shorter than the required size");
      const opened = open(data.subarray(NONCE), data.subarray(0, NONCE), key);
      if (opened === undefined) throw new Error("output array was not large enough for encryption");
      return opened;
    },
    write(data) {
      const nonce = random.bytes(NONCE);
      return Buffer.concat([nonce, seal(data, nonce, key)]);
    },
  };
}

export function seal(data: Uint8Array, nonce: Uint8Array, key: Uint8Array): Uint8Array {
  const { tagKey, text } = xor(data, nonce, key);
  return Buffer.concat([poly1305(text, tagKey), text]);
}

export function open(boxed: Uint8Array, nonce: Uint8Array, key: Uint8Array): Uint8Array | undefined {
  const { tagKey, text } = xor(boxed.subarray(TAG), nonce, key);
  return timingSafeEqual(poly1305(boxed.subarray(TAG), tagKey), boxed.subarray(0, TAG)) ? text : undefined;
}

/** The stream's first 32 bytes are the tag's key, the text begins behind them. */
function xor(data: Uint8Array, nonce: Uint8Array, key: Uint8Array): { tagKey: Uint8Array; text: Uint8Array } {
  const subkey = salsa20(words(key), words(nonce.subarray(0, 16)), true);
  const input = new Uint32Array(4);
  input.set(words(nonce.subarray(16)));
  const text = new Uint8Array(data.length);
  let tagKey: Uint8Array = new Uint8Array();
  for (let at = -32; at < data.length; at += 64) {
    const block = bytes(salsa20(subkey, input, false));
    if (at < 0) tagKey = block.slice(0, 32);
    for (let i = Math.max(0, -at); i < 64 && at + i < data.length; i++) text[at + i] = data[at + i]! ^ block[i]!;
    input[2] = input[2]! + 1;
    if (input[2] === 0) input[3] = input[3]! + 1;
  }
  return { tagKey, text };
}

const SIGMA = words(Buffer.from("expand 32-byte k"));

/** Salsa20's block, or with `derive` HSalsa20's 32 bytes. */
function salsa20(key: Uint32Array, input: Uint32Array, derive: boolean): Uint32Array {
  const start = new Uint32Array(16);
  const [s0, s1, s2, s3] = SIGMA;
  start.set([s0!, ...key.subarray(0, 4), s1!, ...input, s2!, ...key.subarray(4), s3!]);
  const x = start.slice();
  const mix = (target: number, a: number, b: number, shift: number) => {
    const sum = (x[a]! + x[b]!) | 0;
    x[target] = x[target]! ^ ((sum << shift) | (sum >>> (32 - shift)));
  };
  const quarter = (a: number, b: number, c: number, d: number) => {
    mix(b, a, d, 7);
    mix(c, b, a, 9);
    mix(d, c, b, 13);
    mix(a, d, c, 18);
  };
  for (let round = 0; round < 10; round++) {
    quarter(0, 4, 8, 12);
    quarter(5, 9, 13, 1);
    quarter(10, 14, 2, 6);
    quarter(15, 3, 7, 11);
    quarter(0, 1, 2, 3);
    quarter(5, 6, 7, 4);
    quarter(10, 11, 8, 9);
    quarter(15, 12, 13, 14);
  }
  if (derive) return Uint32Array.of(x[0]!, x[5]!, x[10]!, x[15]!, x[6]!, x[7]!, x[8]!, x[9]!);
  for (let i = 0; i < 16; i++) x[i] = x[i]! + start[i]!;
  return x;
}

const CLAMP = [255, 255, 255, 15, 252, 255, 255, 15, 252, 255, 255, 15, 252, 255, 255, 15];

/** Ten limbs of 13 bits: their products and the sums of those are far below 2^53. */
function poly1305(data: Uint8Array, key: Uint8Array): Uint8Array {
  const r = limbs(key.subarray(0, 16).map((byte, i) => byte & CLAMP[i]!));
  const h = new Float64Array(10);
  for (let at = 0; at < data.length; at += 16) {
    const block = new Uint8Array(17);
    const part = data.subarray(at, at + 16);
    block.set(part);
    block[part.length] = 1;
    const m = limbs(block);
    for (let i = 0; i < 10; i++) h[i] = h[i]! + m[i]!;
    const product = new Float64Array(10);
    for (let i = 0; i < 10; i++)
      for (let j = 0; j < 10; j++) {
        // Beyond 130 bits the modulus 2^130 - 5 brings a limb back five times over.
        const k = i + j;
        if (k < 10) product[k] = product[k]! + h[i]! * r[j]!;
        else product[k - 10] = product[k - 10]! + 5 * h[i]! * r[j]!;
      }
    carry(product, h);
  }
  // To the smallest number, then the second half of the key is added modulo 2^128.
  let number = 0n;
  for (let i = 9; i >= 0; i--) number = (number << 13n) + BigInt(h[i]!);
  number %= (1n << 130n) - 5n;
  number += BigInt(`0x${Buffer.from(key.subarray(16, 32)).reverse().toString("hex")}`);
  const tag = Buffer.from((number & ((1n << 128n) - 1n)).toString(16).padStart(32, "0"), "hex");
  return tag.reverse();
}

function carry(from: Float64Array, to: Float64Array): void {
  let over = 0;
  for (let i = 0; i < 10; i++) {
    const sum = from[i]! + over;
    over = Math.floor(sum / 8192);
    to[i] = sum - over * 8192;
  }
  to[0] = to[0]! + over * 5;
  const first = Math.floor(to[0] / 8192);
  to[0] = to[0] - first * 8192;
  to[1] = to[1]! + first;
}

/** Up to 17 bytes as numbers of 13 bits. */
function limbs(data: Uint8Array): Float64Array {
  const result = new Float64Array(10);
  for (let i = 0; i < 10; i++) {
    const bit = i * 13;
    const at = bit >> 3;
    const three = (data[at] ?? 0) | ((data[at + 1] ?? 0) << 8) | ((data[at + 2] ?? 0) << 16);
    result[i] = (three >>> (bit & 7)) & 0x1fff;
  }
  return result;
}

function words(data: Uint8Array): Uint32Array {
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  return Uint32Array.from({ length: data.length / 4 }, (_, i) => view.getUint32(i * 4, true));
}

function bytes(block: Uint32Array): Uint8Array {
  const result = new Uint8Array(block.length * 4);
  const view = new DataView(result.buffer);
  block.forEach((word, i) => view.setUint32(i * 4, word, true));
  return result;
}
