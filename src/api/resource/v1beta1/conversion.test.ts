import assert from "node:assert/strict";
import { test } from "node:test";
import { claimToV1 } from "./conversion.ts";

for (const [what, request, expected] of [
  ["a request that says nothing wishes for nothing", { name: "a" }, { name: "a" }],
  [
    "nor does one that says so in empty words",
    { name: "a", deviceClassName: "", allocationMode: "", count: 0 },
    { name: "a" },
  ],
  ["an empty list of selectors is a wish", { name: "a", selectors: [] }, { name: "a", exactly: { selectors: [] } }],
  ["and so is a no", { name: "a", adminAccess: false }, { name: "a", exactly: { adminAccess: false } }],
  ["a class is one", { name: "a", deviceClassName: "c" }, { name: "a", exactly: { deviceClassName: "c" } }],
] as const)
  test(what, () => {
    const claim: any = claimToV1({ spec: { devices: { requests: [request] } } });
    assert.deepEqual(claim.spec.devices.requests, [expected]);
  });
