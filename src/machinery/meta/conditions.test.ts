import assert from "node:assert/strict";
import { test } from "node:test";
import { conditionOf, isTrue } from "./conditions.ts";

test("a condition is true only where it says so", () => {
  const status = {
    conditions: [
      { type: "Ready", status: "True" },
      { type: "Synced", status: "Unknown" },
    ],
  };
  assert.equal(isTrue(status, "Ready"), true);
  assert.equal(isTrue(status, "Synced"), false);
  assert.equal(isTrue(status, "Absent"), false);
  assert.equal(isTrue(undefined, "Ready"), false);
  assert.equal(conditionOf(status, "Synced")?.status, "Unknown");
});
