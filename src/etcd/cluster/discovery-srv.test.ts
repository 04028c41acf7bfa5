import assert from "node:assert/strict";
import { test } from "node:test";
import { decode, encode, type Answer } from "dns-packet";
import { silent } from "../../observe/log.ts";
import { simulatedWorld } from "../../testing/sim/world.ts";
import { discoverBySrv } from "./discovery-srv.ts";
import { formatInitialCluster } from "./initial-cluster.ts";
import { nameServers } from "./resolver.ts";

const SERVER = { host: "10.0.0.53", port: 53 };

/** A world with a name server that knows these records; questions about others get NXDOMAIN, or nothing at all. */
async function discover(
  records: Readonly<Record<string, readonly string[]>>,
  local: { readonly name: string; readonly initialAdvertisePeerUrls: readonly string[] },
  serviceName = "",
): Promise<string> {
  const world = simulatedWorld(1);
  const server = await world.net.datagrams(SERVER, (data, from) => {
    const query = decode(Buffer.from(data));
    const { name, type } = query.questions![0]!;
    const found = records[name];
    const answers = (found ?? []).map((text): Answer => {
      if (type === "A") return { type, name, data: text };
      const [target, port] = text.split(":");
      return { type: "SRV", name, data: { target: target!, port: Number(port), priority: 0, weight: 0 } };
    });
    server.send(encode({ type: "response", id: query.id ?? 0, flags: found === undefined ? 3 : 0, answers }), from);
  });
  let result: string | undefined;
  let failure: unknown;
  void discoverBySrv({ domain: "example.com", serviceName, nameServers: [SERVER] }, local, {
    ...world,
    log: silent,
  }).then(
    (cluster) => (result = formatInitialCluster(cluster)),
    (error: unknown) => (failure = error),
  );
  await world.clock.until(() => result !== undefined || failure !== undefined, 60_000);
  if (failure !== undefined) throw failure;
  return result!;
}

const RECORDS = {
  "_etcd-server._tcp.example.com": ["infra0.example.com:2380", "infra1.example.com:2380", "10.0.0.3:2380"],
  "infra0.example.com": ["10.0.0.1"],
  "infra1.example.com": ["10.0.0.2"],
};

test("members come from SRV records, this one known by its address and the others by numbers", async () => {
  const cluster = await discover(RECORDS, { name: "me", initialAdvertisePeerUrls: ["http://infra1.example.com:2380"] });
  assert.equal(cluster, "0=http://infra0.example.com:2380,1=http://10.0.0.3:2380,me=http://infra1.example.com:2380");
});

test("a service's name may have a suffix, and TLS has a service of its own", async () => {
  const cluster = await discover(
    { "_etcd-server-ssl-blue._tcp.example.com": ["10.0.0.1:2380"] },
    { name: "me", initialAdvertisePeerUrls: ["https://10.0.0.1:2380"] },
    "blue",
  );
  assert.equal(cluster, "me=https://10.0.0.1:2380");
});

test("records without this member, of another scheme, or none at all are refused", async () => {
  const local = { name: "me", initialAdvertisePeerUrls: ["http://10.0.0.9:2380"] };
  await assert.rejects(discover(RECORDS, local), /cannot find local etcd member "me" in SRV records/);
  await assert.rejects(discover({}, local), /error querying DNS SRV records for _etcd-server .*no such host/);
  await assert.rejects(
    discover({ "_etcd-server-ssl._tcp.example.com": ["10.0.0.9:2380"] }, local),
    /scheme mismatch with expected peer http:\/\/10.0.0.9:2380|no such host/,
  );
});

test("name servers are those of resolv.conf", () => {
  assert.deepEqual(nameServers("search x\nnameserver 10.1.1.1\n# nameserver 1.1.1.1\nnameserver ::1\n"), [
    { host: "10.1.1.1", port: 53 },
    { host: "::1", port: 53 },
  ]);
});
