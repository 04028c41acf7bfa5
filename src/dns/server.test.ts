import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode, streamDecode, streamEncode, type Packet } from "dns-packet";
import { silent } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import type { Zone } from "./records.ts";
import { serveDns } from "./server.ts";

const many = Array.from({ length: 60 }, (_, i) => ({ addresses: [`10.244.0.${i + 1}`], conditions: { ready: true } }));
const zone: Zone = {
  name: "cluster.local",
  service: (_, name) =>
    name === "web"
      ? ({ metadata: {}, spec: { clusterIP: "10.96.0.9" } } as never)
      : name === "many"
        ? ({ metadata: {}, spec: { clusterIP: "None" } } as never)
        : name === "alias"
          ? ({ metadata: {}, spec: { type: "ExternalName", externalName: "web.default.svc.cluster.local" } } as never)
          : name === "away"
            ? ({ metadata: {}, spec: { type: "ExternalName", externalName: "example.com" } } as never)
            : undefined,
  slices: () => [{ metadata: {}, endpoints: many, ports: [] } as never],
  namespaceExists: () => true,
  servicesByIp: () => [],
  slicesByIp: () => [],
};

async function start(upstreams: readonly { host: string; port: number }[] = []) {
  const world = simulatedWorld(1);
  const server = await serveDns(
    zone,
    { host: "192.0.2.1", port: 53, upstreams, ttlSeconds: 30 },
    { ...world, log: silent, metrics: new Metrics() },
  );
  const answers: Packet[] = [];
  const socket = await world.net.datagrams({ host: "192.0.2.9", port: 5000 }, (data) =>
    answers.push(decode(Buffer.from(data))),
  );
  const ask = async (name: string, more: object = {}) => {
    socket.send(
      encode({ type: "query", id: 7, flags: 256, questions: [{ type: "A", name }], ...more }),
      server.address,
    );
    const before = answers.length;
    await world.clock.until(() => answers.length > before, 10_000);
    return answers.at(-1) as any;
  };
  return { world, server, ask };
}

test("a service's address comes back over UDP", async () => {
  const { ask } = await start();
  const answer = await ask("web.default.svc.cluster.local");
  assert.deepEqual(
    { id: answer.id, rcode: answer.rcode, data: answer.answers[0].data, ttl: answer.answers[0].ttl },
    { id: 7, rcode: "NOERROR", data: "10.96.0.9", ttl: 30 },
  );
});

test("an unknown name is NXDOMAIN with the zone's SOA", async () => {
  const { ask } = await start();
  const answer = await ask("nope.default.svc.cluster.local");
  assert.equal(answer.rcode, "NXDOMAIN");
  assert.equal(answer.authorities[0].type, "SOA");
});

test("an answer that doesn't fit a datagram is truncated, and whole over TCP", async () => {
  const { ask, world, server } = await start();
  const short = await ask("many.default.svc.cluster.local");
  assert.equal(short.flag_tc, true);
  let whole: any;
  void (async () => {
    const stream = await world.net.connect(server.address);
    await stream.write(
      streamEncode({ type: "query", id: 8, questions: [{ type: "A", name: "many.default.svc.cluster.local" }] }),
    );
    let bytes = Buffer.alloc(0);
    for await (const chunk of stream) {
      bytes = Buffer.concat([bytes, chunk]);
      if (bytes.length >= 2 + bytes.readUInt16BE(0)) break;
    }
    whole = streamDecode(bytes);
  })();
  await world.clock.until(() => whole !== undefined, 1000);
  assert.equal(whole.answers.length, 60);
});

test("other zones are asked upstream, and the next server when the first is silent", async () => {
  const { ask, world } = await start([
    { host: "192.0.2.53", port: 53 },
    { host: "192.0.2.54", port: 53 },
  ]);
  const upstream = await world.net.datagrams({ host: "192.0.2.54", port: 53 }, (data, from) => {
    const query = decode(Buffer.from(data));
    upstream.send(
      encode({ ...query, type: "response", answers: [{ type: "A", name: "example.com", data: "203.0.113.1" }] }),
      from,
    );
  });
  const answer = await ask("example.com");
  assert.deepEqual([answer.id, answer.answers[0].data], [7, "203.0.113.1"]);
});

test("an external name comes with what it stands for, in our zone and beyond it", async () => {
  const { ask, world } = await start([{ host: "192.0.2.53", port: 53 }]);
  const upstream = await world.net.datagrams({ host: "192.0.2.53", port: 53 }, (data, from) => {
    const query = decode(Buffer.from(data));
    upstream.send(
      encode({ ...query, type: "response", answers: [{ type: "A", name: "example.com", data: "203.0.113.1" }] }),
      from,
    );
  });
  const data = async (name: string) => (await ask(name)).answers.map((answer: any) => answer.data);
  assert.deepEqual(await data("alias.default.svc.cluster.local"), ["web.default.svc.cluster.local", "10.96.0.9"]);
  assert.deepEqual(await data("away.default.svc.cluster.local"), ["example.com", "203.0.113.1"]);
});

test("without an upstream that answers, other zones fail with SERVFAIL", async () => {
  const { ask } = await start();
  assert.equal((await ask("example.com")).rcode, "SERVFAIL");
});
