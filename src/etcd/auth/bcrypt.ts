/**
 * Passwords as `$2a$` hashes. Hashing is slow on purpose, so it runs in slices: `hash` and `matches` yield between them, and other requests proceed
 * meanwhile. A bcrypt on the thread pool would be as fast, but its work finishes in an order that a simulation cannot repeat.
 * Upstream: golang.org/x/crypto/bcrypt, golang.org/x/crypto/blowfish
 */
import { timingSafeEqual } from "node:crypto";
import { RpcError } from "../../wire/rpc/service.ts";

export const MIN_COST = 4;
export const MAX_COST = 31;
export const DEFAULT_COST = 10;
/** Bytes of a password that the cipher takes in; upstream refuses to hash longer ones. */
const PASSWORD_BYTES_MAX = 72;

const ROUNDS = 16;
const SUBKEYS = ROUNDS + 2;
const BOX = 256;
const SALT_BYTES = 16;
/** The last byte of the text is dropped by every implementation, since the first. */
const DIGEST_BYTES = 23;
const ALPHABET = "./ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
const MAGIC = "OrpheanBeholderScryDoubt";
/** Rounds between two breaks: about 2 ms. */
const SLICE = 32;

/** Gives up the processor; resolves when it is ours again. */
export type Pause = () => Promise<void>;

export class Bcrypt {
  readonly #pause: Pause;
  /** The cipher's state before any key: digits of pi. Made when the first password comes. */
  #pi: Int32Array | undefined;

  constructor(pause: Pause) {
    this.#pause = pause;
  }

  /** The whole hash, with cost and salt in front. */
  async hash(password: string, cost: number, salt: Uint8Array): Promise<string> {
    return await this.#inSlices(this.#hash(password, cost, salt));
  }

  /** All at once, for who has no turns to give away. */
  hashNow(password: string, cost: number, salt: Uint8Array): string {
    const steps = this.#hash(password, cost, salt);
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value;
    }
  }

  /** False also for what is no hash at all. */
  async matches(password: string, hash: string): Promise<boolean> {
    const parts = /^\$2[a-z]?\$(\d\d)\$([./A-Za-z0-9]{22})([./A-Za-z0-9]{31})$/.exec(hash);
    if (parts === null) return false;
    const cost = Number(parts[1]);
    if (cost < MIN_COST || cost > MAX_COST) return false;
    const salt = fromBase64(parts[2]!, SALT_BYTES);
    const digest = await this.#inSlices(this.#digest(Buffer.from(password), cost, salt));
    return timingSafeEqual(digest, fromBase64(parts[3]!, DIGEST_BYTES));
  }

  async #inSlices<T>(steps: Generator<void, T>): Promise<T> {
    for (;;) {
      const { done, value } = steps.next();
      if (done) return value as T;
      await this.#pause();
    }
  }

  *#hash(password: string, cost: number, salt: Uint8Array): Generator<void, string> {
    const key = Buffer.from(password);
    if (key.length > PASSWORD_BYTES_MAX) throw new RpcError("Unknown", "bcrypt: password length exceeds 72 bytes");
    const digest = yield* this.#digest(key, cost, salt.subarray(0, SALT_BYTES));
    return `$2a$${String(cost).padStart(2, "0")}$${toBase64(salt.subarray(0, SALT_BYTES))}${toBase64(digest)}`;
  }

  *#digest(password: Uint8Array, cost: number, salt: Uint8Array): Generator<void, Uint8Array> {
    const key = wordsOf(Buffer.concat([password, Buffer.alloc(1)]));
    const salted = wordsOf(salt);
    const state = (this.#pi ??= digitsOfPi(SUBKEYS + 4 * BOX)).slice();
    expand(state, key, salted);
    const rounds = 2 ** cost;
    for (let i = 0; i < rounds; i++) {
      expand(state, key, NO_SALT);
      expand(state, salted, NO_SALT);
      if (i % SLICE === SLICE - 1 && i + 1 < rounds) yield;
    }
    const text = Buffer.from(MAGIC);
    const block = new Int32Array(2);
    for (let at = 0; at < text.length; at += 8) {
      block[0] = text.readInt32BE(at);
      block[1] = text.readInt32BE(at + 4);
      for (let i = 0; i < 64; i++) encrypt(state, block);
      text.writeInt32BE(block[0], at);
      text.writeInt32BE(block[1], at + 4);
    }
    return text.subarray(0, DIGEST_BYTES);
  }
}

const NO_SALT = new Int32Array(4);

/** As many words as there are subkeys, from the bytes over and over. The salt's four words are the first of its own. */
function wordsOf(bytes: Uint8Array): Int32Array {
  const words = new Int32Array(SUBKEYS);
  let at = 0;
  for (let i = 0; i < SUBKEYS; i++) {
    let word = 0;
    for (let j = 0; j < 4; j++) {
      word = (word << 8) | bytes[at]!;
      at = at + 1 === bytes.length ? 0 : at + 1;
    }
    words[i] = word;
  }
  return words;
}

/** Mixes a key into the state, with four words of salt. */
function expand(state: Int32Array, key: Int32Array, salt: Int32Array): void {
  for (let i = 0; i < SUBKEYS; i++) state[i]! ^= key[i]!;
  const block = new Int32Array(2);
  for (let i = 0; i < state.length; i += 2) {
    block[0]! ^= salt[i & 2]!;
    block[1]! ^= salt[(i & 2) + 1]!;
    encrypt(state, block);
    state[i] = block[0]!;
    state[i + 1] = block[1]!;
  }
}

/** Blowfish on one block of two words: subkeys first in the state, then the four boxes. */
function encrypt(state: Int32Array, block: Int32Array): void {
  let left = block[0]! ^ state[0]!;
  let right = block[1]!;
  for (let i = 1; i <= ROUNDS; i += 2) {
    right ^= mix(state, left) ^ state[i]!;
    left ^= mix(state, right) ^ state[i + 1]!;
  }
  block[0] = right ^ state[SUBKEYS - 1]!;
  block[1] = left;
}

function mix(state: Int32Array, word: number): number {
  const sum = state[SUBKEYS + (word >>> 24)]! + state[SUBKEYS + BOX + ((word >>> 16) & 0xff)]!;
  return (sum ^ state[SUBKEYS + 2 * BOX + ((word >>> 8) & 0xff)]!) + state[SUBKEYS + 3 * BOX + (word & 0xff)]!;
}

/** The first words of the fraction of pi, by Machin's formula. */
function digitsOfPi(words: number): Int32Array {
  const spare = 64n;
  const bits = BigInt(words * 32);
  const arctan = (inverse: bigint): bigint => {
    const square = inverse * inverse;
    let power = (1n << (bits + spare)) / inverse;
    let sum = power;
    for (let n = 3n; power !== 0n; n += 2n) {
      power /= -square;
      sum += power / n;
    }
    return sum;
  };
  const fraction = BigInt.asUintN(Number(bits), (16n * arctan(5n) - 4n * arctan(239n)) >> spare);
  const bytes = Buffer.from(fraction.toString(16).padStart(words * 8, "0"), "hex");
  return Int32Array.from({ length: words }, (_, i) => bytes.readInt32BE(i * 4));
}

function toBase64(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i += 3) {
    const word = (bytes[i]! << 16) | ((bytes[i + 1] ?? 0) << 8) | (bytes[i + 2] ?? 0);
    const characters = Math.min(4, bytes.length - i + 1);
    for (let j = 0; j < characters; j++) text += ALPHABET[(word >>> (18 - 6 * j)) & 63];
  }
  return text;
}

function fromBase64(text: string, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0, at = 0; at < length; i += 4) {
    let word = 0;
    for (let j = 0; j < 4; j++) word = (word << 6) | (i + j < text.length ? ALPHABET.indexOf(text[i + j]!) : 0);
    for (let shift = 16; shift >= 0 && at < length; shift -= 8) bytes[at++] = (word >>> shift) & 0xff;
  }
  return bytes;
}
