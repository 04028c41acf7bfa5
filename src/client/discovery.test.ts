import assert from "node:assert/strict";
import { test } from "node:test";
import { failedGroups } from "./discovery.ts";

test("a failing core version is the group without a name, as a failing group is the one before the slash", () => {
  const failed = new Map([
    ["v1", "timeout"],
    ["apps/v1", "timeout"],
  ]);
  assert.deepEqual([...failedGroups(failed)], ["", "apps"]);
});
