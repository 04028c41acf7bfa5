import assert from "node:assert/strict";
import { test } from "node:test";
import { conversionError } from "./patch.ts";

const at = "Go struct field DeploymentSpec.spec.minReadySeconds of type";

test("what a strategic merge leaves in the wrong type is told as Go's conversion of maps tells it", () => {
  for (const [said, told] of [
    [`json: cannot unmarshal string into ${at} int32`, "unrecognized type: int32"],
    [`json: cannot unmarshal bool into ${at} string`, "unrecognized type: string"],
    [`json: cannot unmarshal number into ${at} string`, "cannot convert int64 to string"],
    [`json: cannot unmarshal number 1.5 into ${at} int32`, "cannot convert float64 to int32"],
    [`json: cannot unmarshal string into ${at} map[string]string`, "cannot restore map from string"],
    [`json: cannot unmarshal number into ${at} []v1.Container`, "cannot restore slice from int64"],
    ["quantities must match the regular expression", "quantities must match the regular expression"],
  ] as const)
    assert.equal(conversionError(said), told);
});
