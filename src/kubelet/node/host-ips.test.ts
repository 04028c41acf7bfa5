import assert from "node:assert/strict";
import { test } from "node:test";
import { hostIpsOf } from "./host-ips.ts";

const at = (type: string, address: string) => ({ type, address });

test("a node has one address of each family for its pods, internal ones first", () => {
  assert.deepEqual(hostIpsOf([]), []);
  assert.deepEqual(hostIpsOf([at("Hostname", "a"), at("InternalIP", "10.0.0.1"), at("InternalIP", "10.0.0.2")]), [
    "10.0.0.1",
  ]);
  assert.deepEqual(
    hostIpsOf([at("ExternalIP", "2001:db8::9"), at("ExternalIP", "192.0.2.1"), at("InternalIP", "10.0.0.1")]),
    ["10.0.0.1", "2001:db8::9"],
  );
});
