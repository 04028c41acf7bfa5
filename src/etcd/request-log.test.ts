import assert from "node:assert/strict";
import { test } from "node:test";
import type { Fields, Logger } from "../observe/log.ts";
import { Simulation } from "../testing/sim/simulation.ts";
import type { EndedCall } from "../wire/rpc/grpc-server.ts";
import { describeRequest } from "./apply/describe.ts";
import { requestLog } from "./request-log.ts";

const b = (text: string) => Buffer.from(text);

function logged(call: Partial<EndedCall>, every = false): { readonly lines: [string, string, Fields][]; slow: number } {
  const lines: [string, string, Fields][] = [];
  const at = (level: string): Logger => ({
    info: (message, fields = {}) => void lines.push([level, message, fields]),
    warn: (message, fields = {}) => void lines.push(["warn", message, fields]),
    error() {},
    v: () => at("debug"),
    with: () => at(level),
  });
  const result = { lines, slow: 0 };
  requestLog({
    clock: new Simulation(),
    log: at("info"),
    warningMs: 300,
    warningApplyMs: 100,
    every,
    onSlowRead: () => void result.slow++,
  })({
    path: "/etcdserverpb.KV/Range",
    kind: "unary",
    peer: () => "127.0.0.1:1",
    clientVersion: undefined,
    startedMs: 0,
    tookMs: 1,
    code: 0,
    request: { key: b("k") },
    response: { kvs: [1, 2, 3] },
    requestBytes: 5,
    responseBytes: 50,
    ...call,
  });
  return result;
}

test("a quick request is no line, and one at debug level", () => {
  assert.deepEqual(logged({}).lines, []);
  const [[level, message, fields]] = logged({}, true).lines as [[string, string, Fields]];
  assert.deepEqual([level, message], ["debug", "request stats"]);
  assert.equal(fields["response count"], 3);
  assert.equal(fields["request content"], 'key:"k"');
});

test("a slow request is a warning, and a slow read is one to apply as well", () => {
  const put = logged({ path: "/etcdserverpb.KV/Put", tookMs: 301 });
  assert.deepEqual(
    [put.slow, ...put.lines.map(([level, message]) => `${level} ${message}`)],
    [0, "warn request stats"],
  );
  const range = logged({ tookMs: 101 });
  const [, message, fields] = range.lines[0]!;
  assert.deepEqual([range.slow, message], [1, "apply request took too long"]);
  assert.equal(fields["prefix"], "read-only range ");
  assert.equal(fields["took"], "101ms");
  assert.equal(fields["expected-duration"], "100ms");
  assert.equal(fields["response"], "range_response_count:3 size:50");
});

test("a request in the log tells keys and sizes, and neither values nor passwords", () => {
  const text = describeRequest({
    header: { ID: 5n },
    put: { key: b("name"), value: b("secret"), lease: 0n },
    auth_user_add: { name: "u", password: "hidden" },
    success: [{ request_range: { key: b("a"), limit: 2 } }],
  });
  assert.equal(
    text,
    'header:<ID:5 > put:<key:"name" value_size:6 > auth_user_add:<name:"u" password:"***" > success:<request_range:<key:"a" limit:2 > >',
  );
  assert.ok(describeRequest({ key: b("k".repeat(5000)) }).length < 1100);
});
