/** Which answers are compressed, and what is told when time is over: as a kube-apiserver 1.36.2 answers. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { nodeWorld } from "../world/node/index.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import { FakeEtcd } from "./testing/fake-etcd.ts";
import { startServer } from "./testing/harness.ts";

const harness = await startServer(nodeWorld(), {
  ...ASKABLE,
  featureGates: new Map([["CBORServingAndStorage", true]]),
});
after(() => harness[Symbol.asyncDispose]());

const PACKED: readonly (readonly [path: string, accepted: string, isPacked: boolean, vary: string | undefined])[] = [
  ["/openapi/v2", "gzip", true, "Accept-Encoding, Accept"],
  ["/openapi/v2", "deflate", false, "Accept-Encoding, Accept"],
  ["/openapi/v3/api/v1", "gzip", false, "Accept"],
  ["/metrics", "gzip", true, undefined],
  ["/metrics", "gzip;q=0.001", true, undefined],
  ["/metrics", "gzip;q=0", false, undefined],
  ["/metrics", "GZIP", false, undefined],
  ["/api", "gzip", false, undefined],
];
for (const [path, accepted, isPacked, vary] of PACKED)
  test(`${path} for those who take ${accepted} is ${isPacked ? "" : "not "}compressed`, async () => {
    const { headers } = await ask(harness, "GET", path, { headers: { "accept-encoding": accepted } });
    assert.deepEqual([headers["content-encoding"], headers["vary"]], [isPacked ? "gzip" : undefined, vary]);
  });

const MAPS = "/api/v1/namespaces/default/configmaps";
const REFUSED: readonly (readonly [method: string, path: string, type: string, message: string])[] = [
  [
    "DELETE",
    `${MAPS}/a`,
    "application/vnd.kubernetes.protobuf",
    "provided data does not appear to be a protobuf message, expected prefix [107 56 115 0]",
  ],
  ["DELETE", `${MAPS}/a`, "application/cbor", "unable to determine group/version/kind: unexpected EOF"],
  [
    "POST",
    MAPS,
    "application/cbor",
    "the object provided is unrecognized (must be of type ConfigMap): unable to determine group/version/kind: unexpected EOF ({})",
  ],
  [
    "DELETE",
    `${MAPS}/a?timeout=99999999h`,
    "",
    'invalid timeout specified in the request URL - time: invalid duration "99999999h"',
  ],
];
for (const [method, path, type, message] of REFUSED)
  test(`${method} ${path} of ${type || "nothing"} is refused in upstream's words`, async () => {
    const { status, body } = await ask(harness, method, path, { headers: { "content-type": type }, body: "{}" });
    assert.deepEqual([status, JSON.parse(String(body)).message], [400, message]);
  });

test("a request whose time is over is told so in bare JSON, by somebody who knows no encodings", async () => {
  const etcd = new FakeEtcd();
  let isDeaf = false;
  const { Txn } = etcd.kv;
  Object.assign(etcd.kv, {
    Txn: (request: Parameters<typeof Txn>[0]) => (isDeaf ? new Promise(() => {}) : Txn(request)),
  });
  await using slow = await startServer(nodeWorld(), ASKABLE, etcd);
  isDeaf = true;
  const { status, headers, body } = await ask(slow, "POST", `${MAPS}?timeout=1ms`, {
    headers: { "content-type": "application/json" },
    body: '{"metadata":{"name":"a"}}',
  });
  isDeaf = false;
  assert.deepEqual([status, headers["content-type"]], [504, "text/plain; charset=utf-8"]);
  assert.equal(
    String(body),
    '{"metadata":{},"status":"Failure","message":"Timeout: request did not complete within the allotted timeout","reason":"Timeout","details":{},"code":504}\n',
  );
});
