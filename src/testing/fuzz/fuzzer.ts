/** What a fuzzer is: one case after the other, each from a random stream of its own, so that a failure is repeated by its number. */
import { type Random, randomInt } from "../../world/world.ts";
import { SeededRandom } from "../sim/random.ts";

export interface Fuzzer {
  readonly name: string;
  /** What it feeds to what, in a few words. */
  readonly about: string;
  /** How many cases the unit tests run, where they are slow. */
  readonly briefly?: number;
  /** Throws when something is wrong. */
  run(random: Random): void | Promise<void>;
}

export class FuzzFailure extends Error {
  readonly number: number;
  constructor(fuzzer: Fuzzer, number: number, cause: unknown) {
    super(`${fuzzer.name}, case ${number}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.number = number;
  }
}

/** Cases from `first` on. */
export async function fuzz(fuzzer: Fuzzer, seed: string, cases: number, first = 0): Promise<void> {
  for (let number = first; number < first + cases; number++) {
    try {
      await fuzzer.run(new SeededRandom(`${seed}/${number}`));
    } catch (cause) {
      throw new FuzzFailure(fuzzer, number, cause);
    }
  }
}

export function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[randomInt(random, choices.length)]!;
}

/** A copy with a few bytes changed, cut out, doubled or put in. */
export function mutated(random: Random, bytes: Uint8Array): Buffer {
  let result: Buffer = Buffer.from(bytes);
  for (let changes = 1 + randomInt(random, 4); changes > 0; changes--) {
    const at = randomInt(random, result.length + 1);
    const size = 1 + randomInt(random, random.next() < 0.8 ? 4 : 300);
    const [before, after] = [result.subarray(0, at), result.subarray(at)];
    switch (randomInt(random, 5)) {
      case 0:
        if (at < result.length) result[at]! ^= 1 << randomInt(random, 8);
        break;
      case 1:
        if (at < result.length) result[at] = pick(random, [0, 1, 0x7f, 0x80, 0xff, randomInt(random, 256)]);
        break;
      case 2:
        result = Buffer.concat([before, after.subarray(size)]);
        break;
      case 3:
        result = Buffer.concat([before, after.subarray(0, size), after]);
        break;
      default:
        result = Buffer.concat([before, random.bytes(size), after]);
    }
  }
  return result;
}

/** The same bytes in chunks of any size. */
export function* chunked(random: Random, bytes: Buffer): Generator<Buffer> {
  const most = pick(random, [1, 10, 1000, bytes.length + 1]);
  for (let at = 0; at < bytes.length;) yield bytes.subarray(at, (at += 1 + randomInt(random, most)));
}
