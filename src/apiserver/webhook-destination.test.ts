import assert from "node:assert/strict";
import { connect } from "node:net";
import { test } from "node:test";
import { unreachable } from "./webhook-destination.ts";

test("a webhook that nobody serves is told in Go's words", async () => {
  const error = await new Promise<unknown>((resolve) => connect(1, "127.0.0.1").on("error", resolve));
  assert.equal(unreachable(error), "dial tcp 127.0.0.1:1: connect: connection refused");
  assert.equal(unreachable(new Error("self-signed certificate")), "self-signed certificate");
});
