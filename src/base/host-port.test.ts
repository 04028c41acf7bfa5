import assert from "node:assert/strict";
import { test } from "node:test";
import { hostPort } from "./host-port.ts";

test("only IPv6 addresses are put in brackets", () => {
  assert.equal(hostPort("fd00::1", 443), "[fd00::1]:443");
  assert.equal(hostPort("10.0.0.1", "http"), "10.0.0.1:http");
  assert.equal(hostPort("example.com", 80), "example.com:80");
});
