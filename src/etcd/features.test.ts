import assert from "node:assert/strict";
import { test } from "node:test";
import { DEFAULT_FEATURES, featuresOf } from "./features.ts";

test("gates are set by name, by stage, and by name before stage", () => {
  assert.equal(DEFAULT_FEATURES.FastLeaseKeepAlive, true);
  assert.equal(DEFAULT_FEATURES.LeaseCheckpoint, false);
  assert.equal(featuresOf({ LeaseCheckpoint: "true" }).LeaseCheckpoint, true);
  const all = featuresOf({ AllAlpha: "true", AllBeta: "false", PriorityRequest: "false" });
  assert.deepEqual([all.LeaseCheckpoint, all.PriorityRequest, all.FastLeaseKeepAlive], [true, false, false]);
});

test("a gate that there is not, and a value that is none, are refused", () => {
  assert.throws(() => featuresOf({ NoSuch: "true" }), /unrecognized feature gate: NoSuch/);
  assert.throws(() => featuresOf({ LeaseCheckpoint: "maybe" }), /invalid value of LeaseCheckpoint=maybe/);
});
