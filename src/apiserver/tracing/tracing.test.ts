import assert from "node:assert/strict";
import { test } from "node:test";
import { spanName } from "../filters/tracing.ts";
import type { OtlpSpan } from "../../protocols/otlp/service.ts";
import { otlpCodec, TraceService } from "../../protocols/otlp/service.ts";
import { bind, grpcHandler } from "../../wire/rpc/grpc-server.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { requestInfo } from "../request-info.ts";
import { ask, ASKABLE } from "../testing/ask.ts";
import { startServer } from "../testing/harness.ts";
import { formatTraceparent, parseTraceparent, parseTracing } from "./tracing.ts";

const TRACE = "0af7651916cd43dd8448eb211c80319c";
const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");

test("a request's spans reach the collector, below the caller's and with etcd's below them", async (t) => {
  const world = nodeWorld();
  const spans: OtlpSpan[] = [];
  const resources: string[] = [];
  const collector = await world.net.serveHttp(
    { host: "127.0.0.1", port: 0 },
    grpcHandler({
      codec: otlpCodec(),
      clock: world.clock,
      services: [
        bind(TraceService, {
          Export({ resource_spans }) {
            for (const { resource, scope_spans } of resource_spans) {
              resources.push(resource!.attributes.map(({ key, value }) => `${key}=${value!.string_value}`)[0]!);
              for (const scope of scope_spans) spans.push(...scope.spans);
            }
            return {};
          },
        }),
      ],
    }),
  );
  t.after(() => collector.close());
  const endpoint = `127.0.0.1:${collector.address.port}`;
  const harness = await startServer(world, { ...ASKABLE, tracing: { endpoint, samplingRatePerMillion: undefined } });
  const traceparent = `00-${TRACE}-b7ad6b7169203331-01`;
  const MAPS = "/api/v1/namespaces/default/configmaps";
  await ask(harness, "POST", MAPS, { body: '{"metadata":{"name":"a"}}', headers: { traceparent } });
  await ask(harness, "GET", `${MAPS}/a`);
  await harness[Symbol.asyncDispose]();
  assert.deepEqual([...new Set(resources)], ["service.name=apiserver"]);
  assert.ok(
    spans.every(({ trace_id }) => hex(trace_id) === TRACE),
    "only what the caller wants traced is",
  );
  const root = spans.find(({ name }) => name === "POST /api/v1/namespaces/{:namespace}/configmaps")!;
  assert.equal(hex(root.parent_span_id), "b7ad6b7169203331");
  assert.equal(root.kind, 2);
  const of = (name: string) => spans.find((span) => span.name === name)!;
  for (const name of ["etcdserverpb.KV/Txn", "Mutating admission", "Validating admission"])
    assert.equal(hex(of(name).parent_span_id), hex(root.span_id), name);
  const code = root.attributes.find(({ key }) => key === "http.response.status_code");
  assert.equal(code!.value!.int_value, 201);
  assert.ok(root.end_time_unix_nano >= root.start_time_unix_nano);
  assert.ok(Math.abs(root.start_time_unix_nano / 1e6 - Date.now()) < 60_000);
});

test("spans are named by what is asked for", () => {
  for (const [method, path, name] of [
    ["GET", "/healthz", "GET"],
    ["GET", "/api/v1/pods", "GET /api/v1/pods"],
    ["GET", "/api/v1/namespaces/a/pods/b", "GET /api/v1/namespaces/{:namespace}/pods/{:name}"],
    [
      "PUT",
      "/apis/apps/v1/namespaces/a/deployments/b/status",
      "PUT /apis/apps/v1/namespaces/{:namespace}/deployments/{:name}/status",
    ],
  ] as const)
    assert.equal(spanName({ method }, requestInfo(method, path, new URLSearchParams())), name);
});

test("a traceparent is read as W3C says, or not at all", () => {
  const good = `00-${TRACE}-b7ad6b7169203331-01`;
  assert.equal(formatTraceparent(parseTraceparent(good)!), good);
  for (const bad of [
    "",
    `ff-${TRACE}-b7ad6b7169203331-01`,
    `00-${"0".repeat(32)}-b7ad6b7169203331-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE}-b7ad6b7169203331-01-more`,
    `00-${TRACE.toUpperCase()}-b7ad6b7169203331-01`,
  ])
    assert.equal(parseTraceparent(bad), undefined, bad);
  assert.ok(parseTraceparent(`01-${TRACE}-b7ad6b7169203331-01-more`), "a later version may say more");
});

test("a tracing configuration is checked", () => {
  const head = "apiVersion: apiserver.config.k8s.io/v1\nkind: TracingConfiguration\n";
  assert.deepEqual(parseTracing(head), { endpoint: "localhost:4317", samplingRatePerMillion: undefined });
  for (const [text, words] of [
    [`${head}samplingRatePerMillion: -1`, /samplingRatePerMillion: Invalid value: -1: sampling rate must be positive/],
    [`${head}samplingRatePerMillion: 1000001`, /sampling rate per million must be less than or equal to one million/],
    [`${head}endpoint: "http://a"`, /endpoint: Invalid value: "http:\/\/a": unsupported scheme: http/],
    ["kind: A", /no kind "A" is registered for version ""/],
  ] as const)
    assert.throws(() => parseTracing(text), words);
});
