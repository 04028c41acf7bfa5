import assert from "node:assert/strict";
import { test } from "node:test";
import type { Client } from "../../client/client.ts";
import { simulatedWorld } from "../../testing/sim/world.ts";
import type { HttpRequest } from "../../world/net.ts";
import { delegatedAuth } from "./delegated-auth.ts";

/** An API server that knows one token and lets its user read /metrics. */
function server(asked: string[]): Client {
  return {
    async create(resource: { readonly plural: string }, { spec }: any) {
      asked.push(resource.plural);
      if (resource.plural === "tokenreviews")
        return { status: { authenticated: spec.token === "good", user: { username: "prometheus", groups: [] } } };
      const { path } = spec.nonResourceAttributes;
      return { status: { allowed: spec.user === "prometheus" && path === "/metrics" } };
    },
  } as unknown as Client;
}

const request = (url: string, token?: string): HttpRequest =>
  ({
    method: "GET",
    url,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
    peer: { address: { host: "", port: 0 } },
  }) as unknown as HttpRequest;

test("open paths are open, others are for whom the API server lets", async () => {
  const asked: string[] = [];
  const client = server(asked);
  const refusalOf = delegatedAuth({
    clock: simulatedWorld(1).clock,
    authentication: client,
    authorization: client,
    openPaths: ["/healthz", "/debug/*"],
  });
  assert.equal(await refusalOf(request("/healthz")), undefined);
  assert.equal(await refusalOf(request("/debug/pprof?x=1")), undefined);
  assert.deepEqual(asked, []);
  assert.equal((await refusalOf(request("/healthz/x")))?.status, 403);
  assert.equal(
    (await refusalOf(request("/metrics")))?.message,
    'forbidden: User "system:anonymous" cannot get path "/metrics"',
  );
  assert.equal((await refusalOf(request("/metrics", "bad")))?.status, 401);
  assert.equal(await refusalOf(request("/metrics", "good")), undefined);
  assert.equal((await refusalOf(request("/configz", "good")))?.status, 403);
  const before = asked.length;
  assert.equal(await refusalOf(request("/metrics", "good")), undefined);
  assert.equal(asked.length, before, "the answer is remembered");
});

test("without a server to ask, tokens are worth nothing and only open paths are open", async () => {
  const refusalOf = delegatedAuth({
    clock: simulatedWorld(1).clock,
    authentication: undefined,
    authorization: undefined,
    openPaths: ["/livez"],
  });
  assert.equal(await refusalOf(request("/livez")), undefined);
  assert.equal((await refusalOf(request("/metrics", "good")))?.status, 401);
  assert.equal((await refusalOf(request("/metrics")))?.status, 403);
});
