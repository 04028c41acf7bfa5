import assert from "node:assert/strict";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { silent } from "../../observe/log.ts";
import { Metrics } from "../../observe/metrics.ts";
import { simulatedWorld } from "../../testing/sim/world.ts";
import type { Backend } from "./backends.ts";
import { logBackend, truncating, withMode } from "./backends.ts";
import type { AuditEvent } from "./event.ts";
import { eventJson, eventLine } from "./event.ts";
import { LogFile } from "./log-file.ts";

const EVENT: AuditEvent = {
  level: "Request",
  auditID: "id",
  stage: "ResponseComplete",
  requestURI: "/api/v1/namespaces/default/pods/a?pretty=1",
  verb: "get",
  user: { username: "bob", groups: ["system:authenticated"] },
  impersonatedUser: { username: "ann" },
  sourceIPs: ["10.0.0.1"],
  userAgent: "kubectl",
  objectRef: { resource: "pods", namespace: "default", name: "a", apiVersion: "v1" },
  responseStatus: { metadata: {}, code: 200 },
  receivedMs: Date.UTC(2030, 0, 1) + 1.5,
  stageMs: Date.UTC(2030, 0, 1) + 12.25,
  annotations: { b: "2", a: "1" },
};

function deps() {
  const world = simulatedWorld(1);
  return { ...world, clock: world.clock, log: silent, metrics: new Metrics() };
}

test("an event is written as upstream writes it", () => {
  assert.equal(
    eventJson(EVENT),
    '{"kind":"Event","apiVersion":"audit.k8s.io/v1","level":"Request","auditID":"id","stage":"ResponseComplete","requestURI":"/api/v1/namespaces/default/pods/a?pretty=1","verb":"get","user":{"username":"bob","groups":["system:authenticated"]},"impersonatedUser":{"username":"ann"},"sourceIPs":["10.0.0.1"],"userAgent":"kubectl","objectRef":{"resource":"pods","namespace":"default","name":"a","apiVersion":"v1"},"responseStatus":{"metadata":{},"code":200},"requestReceivedTimestamp":"2030-01-01T00:00:00.001500Z","stageTimestamp":"2030-01-01T00:00:00.012250Z","annotations":{"a":"1","b":"2"}}',
  );
  assert.equal(
    eventLine(EVENT),
    '2030-01-01T00:00:00.0015Z AUDIT: id="id" stage="ResponseComplete" ip="10.0.0.1" method="get" user="bob" groups="\\"system:authenticated\\"" as="ann" asgroups="<lookup>" user-agent="kubectl" namespace="default" uri="/api/v1/namespaces/default/pods/a?pretty=1" response="200"',
  );
});

test("a full log is put aside, old ones are compressed and thrown away", async () => {
  const world = deps();
  const file = await LogFile.open(
    { path: "/var/log/audit.log", maxAgeDays: 1, maxBackups: 2, maxBytes: 30, compress: true },
    world,
  );
  const names = () => world.fs.list("/var/log");
  for (let i = 0; i < 4; i++) {
    for (const word of ["first", "second"]) file.write(`${word} line ${i} ..\n`);
    let settled = false;
    void world.clock.until(() => settled, world.clock.monotonic() + 5_000);
    world.clock.after(1_000, () => (settled = true));
    await world.clock.until(() => settled, world.clock.monotonic() + 5_000);
  }
  await file.close();
  const found = await names();
  assert.equal(found.length, 3, found.join(" "));
  assert.match(found[0]!, /^audit-2030-01-01T00-00-0\d\.000\.log\.gz$/);
  const newest = found.filter((name) => name.endsWith(".gz")).at(-1)!;
  assert.match(
    gunzipSync(await world.fs.readFile(`/var/log/${newest}`)).toString(),
    /^second line 2 \.\.\n|^first line 3 \.\.\n/,
  );
  assert.match(Buffer.from(await world.fs.readFile("/var/log/audit.log")).toString(), /second line 3 \.\.\n$/);
});

test("what is too large loses its objects, and what is too large even so is lost", async () => {
  const world = deps();
  const seen: (readonly AuditEvent[])[] = [];
  const sink: Backend = { process: (events) => Boolean(seen.push(events)), close: async () => {} };
  const backend = truncating(world, sink, { maxEventSize: 900, maxBatchSize: 1_500 });
  backend.process([
    { ...EVENT, requestObject: "x".repeat(2_000) },
    { ...EVENT, requestURI: "y".repeat(2_000) },
    EVENT,
    EVENT,
  ]);
  assert.deepEqual(
    seen.map((events) => events.length),
    [2, 1],
  );
  assert.equal(seen[0]![0]!.requestObject, undefined);
  assert.equal(seen[0]![0]!.annotations!["audit.k8s.io/truncated"], "true");
  assert.match(await world.metrics.render(), /apiserver_audit_error_total\{plugin="truncate"\} 1/);
});

test("a batch goes when it is full or old, and what comes too fast is lost", async () => {
  const world = deps();
  const batches: number[] = [];
  const sink: Backend = { process: (events) => Boolean(batches.push(events.length)), close: async () => {} };
  const batch = { bufferSize: 5, maxSize: 3, maxWaitMs: 30_000 };
  const backend = withMode(world, sink, "batch", batch);
  backend.process([EVENT, EVENT]);
  assert.deepEqual(batches, []);
  await world.clock.until(() => batches.length === 1, 31_000);
  assert.deepEqual([batches, world.clock.monotonic()], [[2], 30_000]);
  backend.process([EVENT, EVENT, EVENT, EVENT, EVENT, EVENT, EVENT]);
  await world.clock.until(() => batches.length === 3, 70_000);
  assert.deepEqual(batches, [2, 3, 2]);
  assert.match(await world.metrics.render(), /apiserver_audit_error_total\{plugin="buffered"\} 2/);
  backend.process([EVENT]);
  await backend.close();
  assert.deepEqual(batches, [2, 3, 2, 1]);
});

test("only the strict mode says that an event is lost", () => {
  const world = deps();
  const out = {
    write() {
      throw new Error("disk full");
    },
    async close() {},
  };
  const batch = { bufferSize: 1, maxSize: 1, maxWaitMs: 1 };
  for (const [mode, answer] of [
    ["blocking-strict", false],
    ["blocking", true],
  ] as const)
    assert.equal(withMode(world, logBackend(world, out, "json"), mode, batch).process([EVENT]), answer);
});
