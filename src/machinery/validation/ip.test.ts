import assert from "node:assert/strict";
import { test } from "node:test";
import { isCidr, isEndpointIp, isIp } from "./ip.ts";

test("addresses are taken in their strict form only", () => {
  for (const [text, messages] of [
    ["10.0.0.1", []],
    ["::1", []],
    ["2001:db8::ffff", []],
    ["fe80::1:2", []],
    ["10.0.0.01", ["must not have leading 0s"]],
    ["::ffff:1.2.3.4", ["must not be an IPv4-mapped IPv6 address"]],
    ["", ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]],
    ["1.2.3", ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]],
  ] as const)
    assert.deepEqual(isIp(text), messages, text);
});

test("a range has no bits beyond its prefix", () => {
  assert.deepEqual(isCidr("10.0.0.0/8"), []);
  assert.deepEqual(isCidr("2001:db8::/64"), []);
  assert.deepEqual(isCidr("0.0.0.0/0"), []);
  assert.deepEqual(isCidr("10.0.0.1/8"), ["must not have bits set beyond the prefix length"]);
  assert.deepEqual(isCidr("10.0.0.0/33"), ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]);
  assert.deepEqual(isCidr("10.0.0.0/08"), ["must not have leading 0s in IP or prefix length"]);
});

test("an endpoint is an address that others can reach", () => {
  assert.deepEqual(isEndpointIp("10.1.2.3"), []);
  assert.deepEqual(isEndpointIp("127.0.0.1"), ["may not be in the loopback range (127.0.0.0/8, ::1/128)"]);
  assert.equal(isEndpointIp("0.0.0.0").length, 1);
  assert.equal(isEndpointIp("fe80::1").length, 1);
});
