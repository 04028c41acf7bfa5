import assert from "node:assert/strict";
import { test } from "node:test";
import { planRotation } from "./log-rotation.ts";

test("older logs are compressed, the oldest removed, leftovers cleared", () => {
  const names = [
    "0.log.20260101-000001.gz",
    "0.log.20260101-000002.gz",
    "0.log.20260101-000003.gz",
    "0.log.20260101-000003",
    "0.log.20260101-000004",
    "0.log.20260101-000004.tmp",
  ];
  assert.deepEqual(planRotation("0.log", names, 5), {
    remove: ["0.log.20260101-000004.tmp", "0.log.20260101-000003", "0.log.20260101-000001.gz"],
    compress: ["0.log.20260101-000004"],
  });
});
