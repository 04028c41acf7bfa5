/** Whole servers in virtual time, talking upstream's peer protocol over links with faults: one-way cuts, resets, delays, dead processes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../observe/log.ts";
import { Metrics } from "../observe/metrics.ts";
import type { EtcdClient } from "../protocols/etcd/client.ts";
import { mortal, type MortalWorld } from "../testing/sim/mortal.ts";
import { simulatedWorld, type SimulatedWorld } from "../testing/sim/world.ts";
import { createEtcd, type EtcdServer } from "./server.ts";

const NAMES = ["a", "b", "c"];
const urlOf = (name: string) => `http://10.0.0.${NAMES.indexOf(name) + 1}:2380`;
const CLUSTER = NAMES.map((name) => `${name}=${urlOf(name)}`).join(",");

class Servers {
  readonly world: SimulatedWorld;
  readonly servers = new Map<string, EtcdServer>();
  readonly #machines = new Map<string, MortalWorld>();
  readonly failures: unknown[] = [];

  constructor(seed: number) {
    this.world = simulatedWorld(seed);
  }

  start(name: string): void {
    const machine = mortal({ ...this.world, net: this.world.net.host(name) }, name);
    const server = createEtcd(
      {
        name,
        dataDir: `/data/${name}`,
        listenPeerUrls: [urlOf(name)],
        initialAdvertisePeerUrls: [urlOf(name)],
        advertiseClientUrls: [`http://10.0.0.${NAMES.indexOf(name) + 1}:2379`],
        initialCluster: CLUSTER,
        walSegmentBytes: 1 << 20,
      },
      { ...machine, log: silent, metrics: new Metrics() },
    );
    this.#machines.set(name, machine);
    this.servers.set(name, server);
    server
      .run(machine.end, () => {})
      .catch((error: unknown) => {
        if (!machine.end.aborted) this.failures.push(error);
      });
  }

  kill(name: string): void {
    this.#machines.get(name)!.kill();
    this.servers.delete(name);
  }

  client(name: string): EtcdClient {
    return this.servers.get(name)!.client();
  }

  /** Runs in virtual time until the promise settles. */
  async settle<T>(work: Promise<T>): Promise<T> {
    let done = false;
    const watched = work.finally(() => (done = true));
    watched.catch(() => {});
    await this.world.clock.until(() => done, 600_000);
    return watched;
  }

  /** Tries until it succeeds. */
  retry<T>(call: () => Promise<T>): Promise<T> {
    return this.settle(
      (async () => {
        for (;;) {
          try {
            return await call();
          } catch {
            await new Promise<void>((resolve) => void this.world.clock.after(200, resolve));
          }
        }
      })(),
    );
  }

  put(name: string, key: string, value: string): Promise<unknown> {
    return this.retry(() => this.client(name).kv.Put({ key: Buffer.from(key), value: Buffer.from(value) }));
  }

  async get(name: string, key: string): Promise<string | undefined> {
    const { kvs } = await this.retry(() => this.client(name).kv.Range({ key: Buffer.from(key) }));
    return kvs[0] && Buffer.from(kvs[0].value).toString();
  }

  /** The name of the one that leads by the word of `asked`. */
  async leader(asked: readonly string[]): Promise<string> {
    return this.retry(async () => {
      for (const name of asked) {
        const { header, leader } = await this.client(name).maintenance.Status({});
        if (leader !== 0n && leader === header!.member_id) return name;
      }
      throw new Error("no leader yet");
    });
  }
}

function cluster(seed: number): Servers {
  const servers = new Servers(seed);
  for (const name of NAMES) servers.start(name);
  return servers;
}

test("three servers form a cluster over upstream's peer protocol, in virtual time", async () => {
  const servers = cluster(1);
  await servers.put("a", "k", "1");
  for (const name of NAMES) assert.equal(await servers.get(name, "k"), "1");
  const lease = await servers.retry(() => servers.client("b").lease.LeaseGrant({ TTL: 60 }));
  for (const name of NAMES) {
    const { TTL } = await servers.retry(() => servers.client(name).lease.LeaseTimeToLive({ ID: lease.ID }));
    assert.ok(TTL > 50, `${name} asks the leader`);
  }
  assert.deepEqual(servers.failures, []);
});

test("whatever is asked of a peer port is answered, and the member goes on", async () => {
  const servers = cluster(7);
  await servers.put("a", "k", "1");
  const clusterId = (await servers.retry(() => servers.client("a").maintenance.Status({}))).header!.cluster_id;
  const client = servers.world.net.host("stranger").httpClient({ base: urlOf("a") });
  const headers = {
    "x-server-from": "1",
    "x-server-version": "3.7.0",
    "x-min-cluster-version": "3.0.0",
    "x-etcd-cluster-id": clusterId.toString(16),
  };
  const paths = ["/raft", "/raft/snapshot", "/leases", "/leases/internal", "/members/hashkv", "/members/promote/7"];
  const more = ["/members", "/version", "/downgrade/enabled", "/raft/probing", "/raft/stream/message/zz", "/nowhere"];
  const statuses = new Map<string, Set<number>>();
  const ask = async (method: string, path: string, body?: Uint8Array): Promise<void> => {
    const request = { method, path, headers, ...(body && { body }) };
    const { status } = await servers.settle(client.request(request));
    statuses.set(path, (statuses.get(path) ?? new Set()).add(status));
  };
  const random = servers.world.random.fork("garbage");
  for (let i = 0; i < 300; i++) {
    const garbage = random.bytes(Math.floor(random.next() * 40));
    for (const path of paths) await ask(path === "/members/hashkv" ? "GET" : "POST", path, garbage);
  }
  for (const path of more) {
    await ask("GET", path);
    await ask("DELETE", path);
  }
  assert.deepEqual(
    [...statuses.get("/raft")!].filter((status) => ![204, 400, 403].includes(status)),
    [],
  );
  assert.deepEqual([...statuses.get("/raft/snapshot")!], [400]);
  assert.deepEqual(
    [...statuses.get("/leases/internal")!].filter((status) => ![400, 404].includes(status)),
    [],
  );
  assert.deepEqual([...statuses.get("/members")!], [200, 405]);
  assert.deepEqual([...statuses.get("/raft/stream/message/zz")!].sort(), [404, 405]);
  assert.deepEqual([...statuses.get("/nowhere")!], [404]);
  assert.equal(await servers.get("a", "k"), "1");
  assert.deepEqual(servers.failures, []);
});

test("a leader that can't be heard any more is replaced, though it still hears the others", async () => {
  const servers = cluster(2);
  await servers.put("a", "k", "1");
  const old = await servers.leader(NAMES);
  const others = NAMES.filter((name) => name !== old);
  for (const other of others) servers.world.net.links.cut(old, other);
  const next = await servers.leader(others);
  assert.notEqual(next, old);
  await servers.put(next, "k", "2");
  for (const other of others) servers.world.net.links.heal(old, other);
  assert.equal(await servers.get(old, "k"), "2");
  assert.deepEqual(servers.failures, []);
});

test("a member that died comes back to links that break, and has every acknowledged write", async () => {
  for (let seed = 3; seed < 6; seed++) {
    const servers = cluster(seed);
    await servers.put("a", "k", "0");
    servers.world.net.links.default = { delayMs: [0.1, 40], resetRate: 0.01, datagramLoss: 0, datagramRepeat: 0 };
    const gone = await servers.leader(NAMES);
    servers.kill(gone);
    const [one] = NAMES.filter((name) => name !== gone) as [string, string];
    for (let i = 1; i <= 20; i++) await servers.put(one, "k", String(i));
    servers.start(gone);
    assert.equal(await servers.get(gone, "k"), "20", `seed ${seed}`);
    assert.deepEqual(servers.failures, []);
  }
});
