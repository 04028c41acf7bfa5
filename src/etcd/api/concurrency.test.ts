import assert from "node:assert/strict";
import { test } from "node:test";
import { ComponentGroup } from "../../base/component-group.ts";
import { silent } from "../../observe/log.ts";
import { Metrics } from "../../observe/metrics.ts";
import { etcdCodec } from "../../protocols/etcd/connect.ts";
import { Election, KV, Lease, Lock } from "../../protocols/etcd/generated.ts";
import {
  Health,
  ProtobufFileDescriptorProto,
  ServerReflection,
  type HealthCheckResponse,
} from "../../protocols/grpc/generated.ts";
import { simulatedWorld, type SimulatedWorld } from "../../testing/sim/world.ts";
import { grpcClient } from "../../wire/rpc/grpc-client.ts";
import type { Client } from "../../wire/rpc/service.ts";
import { createEtcd } from "../server.ts";

const b = (text: string) => Buffer.from(text);
const s = (bytes: Uint8Array | undefined) => Buffer.from(bytes ?? []).toString();

interface Clients {
  readonly world: SimulatedWorld;
  readonly kv: Client<typeof KV>;
  readonly lease: Client<typeof Lease>;
  readonly lock: Client<typeof Lock>;
  readonly election: Client<typeof Election>;
  readonly health: Client<typeof Health>;
  readonly reflection: Client<typeof ServerReflection>;
  stop(): Promise<void>;
}

async function withClients(body: (clients: Clients) => Promise<void>): Promise<void> {
  const world = simulatedWorld(7);
  const base = "http://127.0.0.1:2379";
  let done = false;
  const work = (async () => {
    const group = new ComponentGroup();
    await group.start(
      createEtcd({ dataDir: "/data", listenClientUrls: [base] }, { ...world, log: silent, metrics: new Metrics() }),
    );
    const http = world.net.httpClient({ base, version: "2" });
    const grpc = { http, clock: world.clock, codec: etcdCodec() };
    await body({
      world,
      kv: grpcClient(KV, grpc),
      lease: grpcClient(Lease, grpc),
      lock: grpcClient(Lock, grpc),
      election: grpcClient(Election, grpc),
      health: grpcClient(Health, grpc),
      reflection: grpcClient(ServerReflection, grpc),
      stop: () => group[Symbol.asyncDispose](),
    });
    await http.close();
    await group[Symbol.asyncDispose]();
  })().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 3_600_000);
  await work;
}

test("a lock goes from holder to holder in the order they came, and past one who gave up", () =>
  withClients(async ({ lock, lease, kv }) => {
    const lease1 = (await lease.LeaseGrant({ TTL: 60 })).ID;
    const first = await lock.Lock({ name: b("l"), lease: lease1 });
    assert.equal(s(first.key), `l/${lease1.toString(16)}`);
    assert.equal(s((await lock.Lock({ name: b("l"), lease: lease1 })).key), s(first.key), "its holder has it already");

    const leaving = new AbortController();
    const second = lock.Lock({ name: b("l") }, { signal: leaving.signal });
    second.catch(() => {});
    while ((await kv.Range({ key: b("l/"), range_end: b("l0") })).count < 2);
    let third = "";
    const thirdHas = lock.Lock({ name: b("l") }).then(({ key }) => (third = s(key)));
    while ((await kv.Range({ key: b("l/"), range_end: b("l0") })).count < 3);
    leaving.abort();
    await assert.rejects(second);
    while ((await kv.Range({ key: b("l/"), range_end: b("l0") })).count > 2);
    assert.equal(third, "", "the first still has it");
    await lock.Unlock({ key: first.key });
    await thirdHas;
    assert.match(third, /^l\/[0-9a-f]+$/);
  }));

test("a lock is free when its holder's lease has gone, and a lease that is missing is told as upstream tells it", () =>
  withClients(async ({ lock, lease }) => {
    const { ID } = await lease.LeaseGrant({ TTL: 5 });
    await lock.Lock({ name: b("l"), lease: ID });
    await lock.Lock({ name: b("l") });
    await assert.rejects(lock.Lock({ name: b("l"), lease: 77n }), {
      code: "Unknown",
      message: "etcdserver: requested lease not found",
    });
  }));

test("the oldest candidate leads, may say more, and hands over when it resigns", () =>
  withClients(async ({ election, lease }) => {
    await assert.rejects(election.Leader({ name: b("e") }), { code: "Unknown", message: "election: no leader" });
    await assert.rejects(election.Proclaim({ value: b("x") }), { message: '"leader" field must be provided' });
    const seen: string[] = [];
    const watching = new AbortController();
    const observed = (async () => {
      for await (const { kv } of election.Observe({ name: b("e") }, { signal: watching.signal })) {
        seen.push(s(kv?.value));
        if (seen.length === 4) return;
      }
    })();
    const grant = async () => (await lease.LeaseGrant({ TTL: 60 })).ID;
    const one = await election.Campaign({ name: b("e"), lease: await grant(), value: b("one") });
    assert.equal(s((await election.Leader({ name: b("e") })).kv?.value), "one");
    while (seen.length < 1) await election.Leader({ name: b("e") });
    await election.Proclaim({ leader: one.leader, value: b("one again") });
    const two = election.Campaign({ name: b("e"), lease: await grant(), value: b("two") });
    while (seen.length < 2) await election.Leader({ name: b("e") });
    await election.Resign({ leader: one.leader });
    const { leader } = await two;
    await assert.rejects(election.Proclaim({ leader: one.leader, value: b("still") }), {
      message: "election: not leader",
    });
    while (seen.length < 3) await election.Leader({ name: b("e") });
    await election.Proclaim({ leader, value: b("two again") });
    await observed;
    assert.deepEqual(seen, ["one", "one again", "two", "two again"]);
  }));

test("health is told under no name, as a list and as a stream that ends with the server's stop", () =>
  withClients(async ({ health, stop }) => {
    assert.deepEqual(await health.Check({}), { status: "SERVING" });
    await assert.rejects(health.Check({ service: "etcdserverpb.KV" }), {
      code: "NotFound",
      message: "unknown service",
    });
    assert.deepEqual((await health.List({})).statuses, { "": { status: "SERVING" } });
    const told: HealthCheckResponse["status"][] = [];
    const watching = (async () => {
      for await (const { status } of health.Watch({})) {
        told.push(status);
        if (told.length === 1) void stop();
      }
    })();
    await watching.catch(() => {});
    assert.deepEqual(told, ["SERVING", "NOT_SERVING"]);
  }));

test("reflection gives descriptors that hold what the tables hold, with all they import", () =>
  withClients(async ({ reflection }) => {
    const stream = reflection.ServerReflectionInfo();
    const ask = async (request: Parameters<typeof stream.send>[0]) => {
      stream.send(request);
      const { value } = await stream[Symbol.asyncIterator]().next();
      return value!;
    };
    const { list_services_response: list } = await ask({ list_services: "*" });
    const names = list!.service.map(({ name }: { name: string }) => name);
    for (const name of ["etcdserverpb.KV", "v3lockpb.Lock", "grpc.reflection.v1.ServerReflection"])
      assert.ok(names.includes(name), name);
    const { file_descriptor_response: files } = await ask({ file_containing_symbol: "etcdserverpb.KV.Txn" });
    const codec = etcdCodec();
    const [own, ...imported] = files!.file_descriptor_proto.map((bytes: Uint8Array) =>
      codec.decode(ProtobufFileDescriptorProto, bytes),
    );
    const compare = own.message_type.find(({ name }: { name: string }) => name === "Compare");
    assert.deepEqual(
      compare.field.map(({ name, number, oneof_index }: Record<string, unknown>) => [name, number, oneof_index]).at(-1),
      ["range_end", 64, undefined],
    );
    assert.deepEqual(compare.enum_type.map(({ name }: { name: string }) => name).sort(), [
      "CompareResult",
      "CompareTarget",
    ]);
    assert.deepEqual(
      own.dependency.toSorted(),
      imported
        .map(({ name }: { name: string }) => name)
        .filter((name: string) => own.dependency.includes(name))
        .sort(),
    );
    const { error_response: missing } = await ask({ file_containing_symbol: "no.Such" });
    assert.equal(missing!.error_code, 5);
    stream.end();
  }));
