import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SeededRandom } from "./random.ts";
import { SparseFile } from "./sparse-file.ts";

const operation = fc.oneof(
  fc.record({ kind: fc.constant("write" as const), at: fc.nat(20_000), length: fc.nat(6000), durable: fc.boolean() }),
  fc.record({ kind: fc.constant("truncate" as const), at: fc.nat(20_000) }),
  fc.record({ kind: fc.constant("sync" as const) }),
);

test("a sparse file reads as a plain array of bytes does, and after a loss of power each sector is old or new", () => {
  fc.assert(
    fc.property(fc.array(operation, { maxLength: 30 }), fc.nat(), (operations, seed) => {
      const file = new SparseFile();
      let plain = new Uint8Array(0);
      let durable = new Uint8Array(0);
      let fill = 1;
      const resized = (bytes: Uint8Array, length: number) => {
        const result = new Uint8Array(length);
        result.set(bytes.subarray(0, length));
        return result;
      };
      for (const op of operations) {
        if (op.kind === "write") {
          const data = new Uint8Array(op.length).fill(fill++);
          file.write(op.at, data, op.durable);
          if (op.length > 0) plain = resized(plain, Math.max(plain.length, op.at + op.length));
          plain.set(data, op.at > plain.length ? 0 : op.at);
          if (op.durable && op.length > 0) {
            durable = resized(durable, Math.max(durable.length, op.at + op.length));
            durable.set(data, op.at);
          }
        } else if (op.kind === "truncate") {
          file.truncate(op.at);
          plain = resized(plain, op.at);
        } else {
          file.sync();
          durable = plain.slice();
        }
        assert.deepEqual(file.read(0, file.length), plain);
      }
      file.lose(new SeededRandom(seed));
      const left = file.read(0, file.length);
      const [least, most] = [Math.min(plain.length, durable.length), Math.max(plain.length, durable.length)];
      assert.ok(left.length >= least && left.length <= most, `${left.length} not in ${least}..${most}`);
      for (let at = 0; at < left.length; at++)
        assert.ok(left[at] === (plain[at] ?? 0) || left[at] === (durable[at] ?? 0), `byte ${at}`);
    }),
    { seed: 7, numRuns: 300 },
  );
});
