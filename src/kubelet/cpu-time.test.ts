import assert from "node:assert/strict";
import { test } from "node:test";
import { machineNanoseconds, processNanoseconds } from "./cpu-time.ts";

const stat = (times: string) => `42 (a) name) S 1 42 42 0 -1 4194560 9 0 0 0 ${times} 20 0 1 0 77 0 350`;

test("a process has used what it and the children that it waited for have", () =>
  assert.equal(processNanoseconds(stat("1 2 30 40"), "5000000 0 3\n"), 730_000_000));

test("a process that used less than a tick has used something", () =>
  assert.equal(processNanoseconds(stat("0 0 0 0"), "1234567 8 9\n"), 1_234_567));

test("a process whose scheduling isn't told has used its ticks", () =>
  assert.equal(processNanoseconds(stat("0 1 0 0"), ""), 10_000_000));

test("a machine has worked whenever it neither slept nor waited", () =>
  assert.equal(machineNanoseconds("cpu  100 1 10 9999 8888 2 3 4 50 60\ncpu0 7 7 7 7\n"), 1_200_000_000));
