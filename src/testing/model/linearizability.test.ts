import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "../sim/random.ts";
import { keyValueModel, type KvInput, type KvOutput } from "./key-value.ts";
import { checkLinearizable, type Model, type Operation } from "./linearizability.ts";

type Op = Operation<KvInput, KvOutput>;
const put = (client: number, call: number, back: number, value: string, revision: number | undefined): Op => ({
  client,
  call,
  return: back,
  input: { kind: "put", key: "a", value },
  output: revision === undefined ? undefined : { revision },
});
const get = (client: number, call: number, back: number, revision: number, value: string, modRevision: number): Op => ({
  client,
  call,
  return: back,
  input: { kind: "get", key: "a" },
  output: { revision, kvs: [{ key: "a", value, modRevision, createRevision: 2, version: modRevision - 1 }] },
});
const verdict = (history: Op[]) => checkLinearizable(keyValueModel, history).kind;

test("a read that overlaps a write may see it or not", () => {
  assert.equal(verdict([put(1, 0, 1, "x", 2), put(2, 2, 9, "y", 3), get(3, 3, 4, 2, "x", 2)]), "linearizable");
  assert.equal(verdict([put(1, 0, 1, "x", 2), put(2, 2, 9, "y", 3), get(3, 3, 4, 3, "y", 3)]), "linearizable");
});

test("a read that began after a write returned must see it", () => {
  assert.equal(verdict([put(1, 0, 1, "x", 2), put(2, 2, 3, "y", 3), get(3, 4, 5, 2, "x", 2)]), "illegal");
});

test("once one reader saw a write, later readers do too", () => {
  const history = [put(1, 0, 1, "x", 2), put(2, 2, 9, "y", 3), get(3, 3, 4, 3, "y", 3), get(4, 5, 6, 2, "x", 2)];
  const result = checkLinearizable(keyValueModel, history);
  assert.ok(result.kind === "illegal" && result.stuck.some(({ client }) => client === 4));
});

test("a write of unknown outcome may have happened, later or never", () => {
  assert.equal(verdict([put(1, 0, 1, "x", 2), put(2, 2, 3, "y", undefined), get(3, 4, 5, 2, "x", 2)]), "linearizable");
  assert.equal(verdict([put(1, 0, 1, "x", 2), put(2, 2, 3, "y", undefined), get(3, 4, 5, 3, "y", 3)]), "linearizable");
  assert.equal(verdict([put(1, 0, 1, "x", 2), get(3, 4, 5, 3, "y", 3), put(2, 6, 7, "y", undefined)]), "illegal");
});

test("two swaps on the same version don't both succeed", () => {
  const swap = (client: number, succeeded: boolean, revision: number): Op => ({
    client,
    call: 2,
    return: 9,
    input: { kind: "swap", key: "a", modRevision: 2, value: `by ${client}` },
    output: { succeeded, revision },
  });
  assert.equal(verdict([put(1, 0, 1, "x", 2), swap(1, true, 3), swap(2, false, 3)]), "linearizable");
  assert.equal(verdict([put(1, 0, 1, "x", 2), swap(1, true, 3), swap(2, true, 4)]), "illegal");
});

/** A register without revisions: here the checker has to search. */
const register: Model<number, number | "read", number> = {
  initial: 0,
  step: (state, input, output) =>
    input === "read" ? (output === undefined || output === state ? state : undefined) : input,
  key: String,
};

/** Every order of the operations that time allows, tried one after the other. */
function naive(history: readonly Operation<number | "read", number>[], state = 0): boolean {
  if (history.every(({ output }) => output === undefined)) return true;
  const first = Math.min(...history.map((operation) => (operation.output === undefined ? Infinity : operation.return)));
  return history.some(({ input, output, call }, i) => {
    if (call > first) return false;
    const next = register.step(state, input, output);
    return next !== undefined && naive(history.toSpliced(i, 1), next);
  });
}

test("the verdict is that of trying every order", () => {
  let illegal = 0;
  fc.assert(
    fc.property(fc.nat(), (seed) => {
      const random = new SeededRandom(seed);
      const dice = (limit: number) => Math.floor(random.next() * limit);
      const moments = Array.from({ length: 12 }, (_, i) => i).sort(() => random.next() - 0.5);
      const history = Array.from({ length: 6 }, (_, client): Operation<number | "read", number> => {
        const [call, back] = [moments[2 * client]!, moments[2 * client + 1]!].sort((a, b) => a - b) as [number, number];
        const input = dice(2) === 0 ? "read" : 1 + dice(3);
        const isLost = dice(5) === 0;
        return {
          client,
          call,
          return: isLost ? Infinity : back,
          input,
          output: isLost ? undefined : input === "read" ? dice(4) : 0,
        };
      });
      const expected = naive(history);
      if (!expected) illegal++;
      assert.equal(checkLinearizable(register, history).kind, expected ? "linearizable" : "illegal");
    }),
    { seed: 11, numRuns: 2000 },
  );
  assert.ok(illegal > 200 && illegal < 1800, `${illegal} of 2000 were illegal`);
});
