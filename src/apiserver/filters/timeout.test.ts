import assert from "node:assert/strict";
import { test } from "node:test";
import { timeoutMs } from "./timeout.ts";

test("a client shortens its request's time, and can't lengthen it", () => {
  for (const [asked, ms] of [
    [null, 60_000],
    ["", 60_000],
    ["1.5s", 1_500],
    ["1h", 60_000],
    ["0s", 60_000],
    ["-5s", 60_000],
  ] as const)
    assert.equal(timeoutMs(asked, 60_000), ms, String(asked));
  assert.throws(() => timeoutMs("soon", 60_000), {
    code: 400,
    message: 'invalid timeout specified in the request URL - time: invalid duration "soon"',
  });
});
