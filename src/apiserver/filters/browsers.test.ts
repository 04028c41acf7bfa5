import assert from "node:assert/strict";
import { after, test } from "node:test";
import { nodeWorld } from "../../world/node/index.ts";
import { ask, ASKABLE } from "../testing/ask.ts";
import { startServer } from "../testing/harness.ts";

const harness = await startServer(nodeWorld(), {
  ...ASKABLE,
  browsers: { origins: ["//dash\\.example(:|$)"], transportSecurity: ["max-age=31536000", "includeSubDomains"] },
});
after(() => harness[Symbol.asyncDispose]());

test("a browser on an allowed page may ask, and is told so before it does", async () => {
  const headers = { origin: "https://dash.example:8443" };
  const asked = await ask(harness, "OPTIONS", "/api/v1/pods", { headers: { ...headers, authorization: "" } });
  assert.equal(asked.status, 204);
  assert.equal(asked.headers["access-control-allow-origin"], headers.origin);
  assert.equal(asked.headers["access-control-allow-methods"], "POST, GET, OPTIONS, PUT, DELETE, PATCH");
  const got = await ask(harness, "GET", "/version", { headers });
  assert.equal(got.status, 200);
  assert.equal(got.headers["access-control-allow-credentials"], "true");
  assert.equal(got.headers["access-control-expose-headers"], "Date");
});

test("other pages get no leave", async () => {
  for (const origin of ["https://evil.example", "https://dash.example.evil"]) {
    const { headers } = await ask(harness, "GET", "/version", { headers: { origin } });
    assert.equal(headers["access-control-allow-origin"], undefined, origin);
  }
});

test("answers say that this server is reached by HTTPS alone", async () => {
  const { headers } = await ask(harness, "GET", "/version");
  assert.equal(headers["strict-transport-security"], "max-age=31536000; includeSubDomains");
});
