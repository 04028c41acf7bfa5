/** Each fuzzer for a moment. `npm run fuzz` takes its time. */
import { test } from "node:test";
import { fuzz } from "./fuzzer.ts";
import { fuzzers } from "./index.ts";

for (const fuzzer of fuzzers)
  test(`${fuzzer.name}: ${fuzzer.about}`, async () => {
    await fuzz(fuzzer, "unit", fuzzer.briefly ?? 300);
  });
