/** The interface of fuzzers: a series of runs, each from a random stream of its own, so that a failure can be repeated by its number. */
import { type Random, randomInt } from "../../world/world.ts";
import { SeededRandom } from "../sim/random.ts";

export interface Fuzzer {
  readonly name: string;
  /** What it feeds to what, in a few words. */
  readonly about: string;
  /** How many cases are enough for the unit tests, where they are slow. */
  readonly briefly?: number;
  /** Throws when something is wrong. Gives the cases that it was, where it was more than one: damaged inputs, one after the other to the same member. */
  run(random: Random): Cases | Promise<Cases>;
}

type Cases = number | void;

export class FuzzFailure extends Error {
  readonly number: number;
  constructor(fuzzer: Fuzzer, number: number, cause: unknown) {
    super(`${fuzzer.name}, run ${number}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.number = number;
  }
}

/** Runs from `first` on, until they were so many cases. Gives how many runs it took. */
export async function fuzz(fuzzer: Fuzzer, seed: string, cases: number, first = 0): Promise<number> {
  let number = first;
  for (let done = 0; done < cases; number++) {
    try {
      done += (await fuzzer.run(new SeededRandom(`${seed}/${number}`))) ?? 1;
    } catch (cause) {
      throw new FuzzFailure(fuzzer, number, cause);
    }
  }
  return number - first;
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
