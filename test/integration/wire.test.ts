/** The wires against genuine programs: etcd, etcdctl and containerd. Each test is skipped where its program is missing. */
import assert from "node:assert/strict";
import { execFileSync, spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { connectCri } from "../../src/protocols/cri/connect.ts";
import { connectEtcd, etcdCodec } from "../../src/protocols/etcd/connect.ts";
import { KV, type MvccpbKeyValue, type WatchResponse } from "../../src/protocols/etcd/generated.ts";
import { bind, grpcHandler } from "../../src/wire/rpc/grpc-server.ts";
import { RpcError, type Implementation } from "../../src/wire/rpc/service.ts";
import { acceptWebSocket, dialWebSocket } from "../../src/wire/websocket/websocket.ts";
import { http1Engine } from "../../src/wire/http1/engine.ts";
import { http2Engine } from "../../src/wire/http2/engine.ts";
import { nodeWorld } from "../../src/world/node/index.ts";
import type { Listener, ServerTls } from "../../src/world/net.ts";
import { freePorts } from "../../src/testing/free-ports.ts";

const scratch = mkdtempSync(join(tmpdir(), "typernetes-wire-"));
const children: ChildProcess[] = [];
const listeners: Listener[] = [];
after(async () => {
  for (const listener of listeners) await listener.close();
  for (const child of children) {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null && child.signalCode === null && child.kill("SIGTERM")) await ended;
  }
  rmSync(scratch, { recursive: true, force: true });
});

const lacks = (program: string): string | false =>
  spawnSync("which", [program]).status === 0 ? false : `${program} is not installed`;
const utf8 = (text: string) => new TextEncoder().encode(text);
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();

/** Repeats `attempt` until it succeeds. */
async function eventually<T>(attempt: () => Promise<T>, timeoutMs = 120_000): Promise<T> {
  const end = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() > end) throw error;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
  }
}

for (const [name, world] of [
  ["node:http", nodeWorld()],
  ["HTTP of our own", nodeWorld({ http1: http1Engine, http2: http2Engine })],
] as const)
  describe(`with ${name}`, () => {
    test("put, get, txn, watch and lease against a genuine etcd", { skip: lacks("etcd") }, async () => {
      const [clientPort = 0, peerPort = 0] = await freePorts(2);
      const url = `http://127.0.0.1:${clientPort}`;
      children.push(
        spawn(
          "etcd",
          [
            ["--data-dir", mkdtempSync(join(scratch, "etcd-"))],
            ["--listen-client-urls", url],
            ["--advertise-client-urls", url],
            ["--listen-peer-urls", `http://127.0.0.1:${peerPort}`],
            ["--initial-advertise-peer-urls", `http://127.0.0.1:${peerPort}`],
            ["--initial-cluster", `default=http://127.0.0.1:${peerPort}`],
            ["--log-level", "error"],
          ].flat(),
          { stdio: "ignore", env: { ...process.env, ETCD_UNSUPPORTED_ARCH: process.arch } },
        ),
      );
      // The first endpoint refuses: the client goes on to the second.
      const client = connectEtcd(world, { endpoints: [`http://127.0.0.1:${peerPort + 1}`, url] });
      await eventually(() => client.maintenance.Status({}, { timeoutMs: 2000 }));

      const watching = client.watch.Watch();
      watching.send({ create_request: { key: utf8("/a"), range_end: utf8("/b"), prev_kv: true } });
      const answers = watching[Symbol.asyncIterator]();
      const nextAnswer = async (): Promise<WatchResponse> => (await answers.next()).value as WatchResponse;
      assert.equal((await nextAnswer()).created, true);

      const put = await client.kv.Put({ key: utf8("/a/1"), value: utf8("one") });
      assert.equal(typeof put.header!.member_id, "bigint");
      assert.ok(put.header!.revision > 1);
      const { events } = await nextAnswer();
      assert.equal(events.length, 1);
      assert.equal(events[0]!.type, "PUT");
      assert.equal(text(events[0]!.kv!.value), "one");

      const txn = await client.kv.Txn({
        compare: [{ key: utf8("/a/1"), target: "MOD", result: "EQUAL", mod_revision: put.header!.revision }],
        success: [{ request_put: { key: utf8("/a/1"), value: utf8("two") } }],
        failure: [{ request_range: { key: utf8("/a/1") } }],
      });
      assert.equal(txn.succeeded, true);
      assert.equal(txn.responses[0]!.response_put!.header!.revision, put.header!.revision + 1);
      assert.equal(text((await nextAnswer()).events[0]!.prev_kv!.value), "one");

      // A zero in a oneof is a value: "create only where there is none".
      const create = await client.kv.Txn({
        compare: [{ key: utf8("/a/new"), target: "MOD", result: "EQUAL", mod_revision: 0 }],
        success: [{ request_put: { key: utf8("/a/new"), value: utf8("x".repeat(100_000)) } }],
        failure: [],
      });
      assert.equal(create.succeeded, true);
      assert.equal((await nextAnswer()).events[0]!.kv!.value.length, 100_000);

      const range = await client.kv.Range({ key: utf8("/a"), range_end: utf8("/b"), sort_order: "DESCEND" });
      assert.deepEqual(
        range.kvs.map((kv: MvccpbKeyValue) => text(kv.key)),
        ["/a/new", "/a/1"],
      );
      assert.equal(range.count, 2);

      const lease = await client.lease.LeaseGrant({ TTL: 60 });
      assert.equal(typeof lease.ID, "bigint");
      await client.kv.Put({ key: utf8("/leased"), value: utf8("v"), lease: lease.ID });
      const alive = client.lease.LeaseKeepAlive();
      alive.send({ ID: lease.ID });
      const kept = (await alive[Symbol.asyncIterator]().next()).value as { ID: bigint; TTL: number };
      assert.deepEqual([kept.ID, kept.TTL], [lease.ID, 60]);
      alive.end();
      const left = await client.lease.LeaseTimeToLive({ ID: lease.ID, keys: true });
      assert.deepEqual(left.keys.map(text), ["/leased"]);

      await assert.rejects(
        client.kv.Range({ key: utf8("/a"), revision: 1_000_000 }),
        (error: RpcError) =>
          error.code === "OutOfRange" && /required revision is a future revision/.test(error.message),
      );
      watching.cancel();
      await assert.rejects(answers.next(), (error: RpcError) => error.code === "Canceled");
      const snapshot: number[] = [];
      for await (const { blob } of client.maintenance.Snapshot({})) snapshot.push(blob.length);
      assert.ok(snapshot.reduce((sum, length) => sum + length) > 10_000);
      await client.close();
    });

    /** As little of an etcd as etcdctl's put and get need. */
    function tinyKv(): Implementation<typeof KV> {
      const store = new Map<string, Uint8Array>();
      const header = { cluster_id: 1n, member_id: 2n, revision: 7, raft_term: 1 };
      const unimplemented = () => {
        throw new RpcError("Unimplemented", "not in this test");
      };
      return {
        Put(request) {
          if (request.value.length === 0) throw new RpcError("InvalidArgument", "etcdserver: 100% empty — value");
          store.set(text(request.key), request.value);
          return { header };
        },
        Range(request) {
          const value = store.get(text(request.key));
          return { header, count: value ? 1 : 0, kvs: value ? [{ key: request.key, value, mod_revision: 7 }] : [] };
        },
        DeleteRange: unimplemented,
        Txn: unimplemented,
        Compact: unimplemented,
        RangeStream: unimplemented,
      };
    }

    async function serveTinyKv(tls?: ServerTls): Promise<number> {
      const handle = grpcHandler({ services: [bind(KV, tinyKv())], codec: etcdCodec(), clock: world.clock });
      const listener = await world.net.serveHttp({ host: "127.0.0.1", ...(tls && { tls }) }, handle);
      listeners.push(listener);
      return listener.address.port;
    }

    async function run(program: string, ...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
      const { code, stdout, stderr } = await world.host.exec(program, args, {
        env: { ...(process.env as Record<string, string>), ETCDCTL_API: "3" },
      });
      return { code, stdout: text(stdout), stderr: text(stderr) };
    }

    test("etcdctl talks to a service of ours on a plain port", { skip: lacks("etcdctl") }, async () => {
      const endpoint = `--endpoints=127.0.0.1:${await serveTinyKv()}`;
      assert.deepEqual(await run("etcdctl", endpoint, "put", "k", "some value"), {
        code: 0,
        stdout: "OK\n",
        stderr: "",
      });
      assert.equal((await run("etcdctl", endpoint, "get", "k")).stdout, "k\nsome value\n");
      assert.match((await run("etcdctl", endpoint, "put", "k", "")).stderr, /etcdserver: 100% empty — value/);
      assert.match((await run("etcdctl", endpoint, "del", "k")).stderr, /not in this test/);
      assert.match(
        (await run("etcdctl", endpoint, "lease", "grant", "5")).stderr,
        /unknown service etcdserverpb.Lease/,
      );
    });

    test(
      "etcdctl talks to a service of ours over TLS with a client certificate",
      { skip: lacks("etcdctl") || lacks("openssl") },
      async () => {
        const file = (name: string) => join(scratch, name);
        const openssl = (...args: string[]) =>
          execFileSync("openssl", args, { stdio: ["ignore", "pipe", "ignore"] }).toString();
        const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
        openssl(
          "req",
          "-x509",
          ...key,
          "-keyout",
          file("ca.key"),
          "-out",
          file("ca.crt"),
          "-subj",
          "/CN=ca",
          "-days",
          "2",
        );
        for (const name of ["server", "client", "other"]) {
          openssl("req", ...key, "-keyout", file(`${name}.key`), "-out", file(`${name}.csr`), "-subj", `/CN=${name}`);
          writeFileSync(
            file("ext"),
            `subjectAltName=${name === "other" ? "DNS:elsewhere" : "IP:127.0.0.1"}\nextendedKeyUsage=serverAuth,clientAuth\n`,
          );
          openssl(
            ..."x509 -req -CAcreateserial -days 2".split(" "),
            ...Object.entries({
              in: `${name}.csr`,
              CA: "ca.crt",
              CAkey: "ca.key",
              out: `${name}.crt`,
              extfile: "ext",
            }).flatMap(([flag, value]) => [`-${flag}`, file(value)]),
          );
        }
        const read = async (name: string) => text(await world.fs.readFile(file(name)));
        const [ca, cert, serverKey] = [await read("ca.crt"), await read("server.crt"), await read("server.key")];
        const port = await serveTinyKv({ cert, key: serverKey, clientCa: ca, requireClientCert: true });
        const flags = [`--endpoints=https://127.0.0.1:${port}`, `--cacert=${file("ca.crt")}`];
        const identity = [`--cert=${file("client.crt")}`, `--key=${file("client.key")}`];
        assert.equal((await run("etcdctl", ...flags, ...identity, "put", "k", "v")).stdout, "OK\n");
        assert.equal((await run("etcdctl", ...flags, ...identity, "get", "k")).stdout, "k\nv\n");
        assert.notEqual(
          (await run("etcdctl", ...flags, "--dial-timeout=300ms", "--command-timeout=300ms", "get", "k")).code,
          0,
        );

        const clientTls = { ca, cert: await read("client.crt"), key: await read("client.key") };
        const ours = connectEtcd(world, { endpoints: [`https://127.0.0.1:${port}`], tls: clientTls });
        assert.equal(text((await ours.kv.Range({ key: utf8("k") })).kvs[0]!.value), "v");
        await ours.close();

        // The same handler sees who is there, over both protocols.
        const listener = await world.net.serveHttp(
          { host: "127.0.0.1", tls: { cert, key: serverKey, clientCa: ca } },
          (exchange) => {
            const { certificate } = exchange.request.peer;
            exchange.respond(
              200,
              {},
              `${exchange.request.httpVersion} ${certificate?.authorized} ${certificate?.chain.length}`,
            );
          },
        );
        listeners.push(listener);
        // Upgrades go through TLS too, and a large answer at the reader's pace.
        const upgrading = await world.net.serveHttp(
          { host: "127.0.0.1", tls: { cert, key: serverKey, clientCa: ca } },
          async (exchange) => {
            assert.equal(exchange.request.peer.certificate?.authorized, true);
            const socket = acceptWebSocket(exchange, ["v5.channel.k8s.io"]);
            if (!socket) return;
            for await (const { data } of socket) for (let i = 0; i < 100; i++) await socket.send(data);
          },
        );
        listeners.push(upgrading);
        const secure = world.net.httpClient({ base: `https://127.0.0.1:${upgrading.address.port}`, tls: clientTls });
        const { socket } = await dialWebSocket(secure, { path: "/" }, ["v5.channel.k8s.io"], world.random);
        await socket!.send(new Uint8Array(100_000));
        let received = 0;
        for await (const { data } of socket!) if ((received += data.length) === 10_000_000) socket!.close();
        assert.equal(received, 10_000_000);
        await secure.close();

        // Without a version ALPN decides.
        for (const http1Only of [false, true]) {
          const other = await world.net.serveHttp(
            { host: "127.0.0.1", tls: { cert, key: serverKey }, http1Only },
            (exchange) => exchange.respond(200, {}, exchange.request.httpVersion),
          );
          listeners.push(other);
          const base = `https://127.0.0.1:${other.address.port}`;
          const http = world.net.httpClient({ base, tls: { ca } });
          for (let i = 0; i < 2; i++) {
            const answer = await http.request({ method: "GET", path: "/" });
            for await (const chunk of answer.body) assert.equal(text(chunk), http1Only ? "1.1" : "2.0");
          }
          await http.close();
          const stranger = world.net.httpClient({ base });
          await assert.rejects(stranger.request({ method: "GET", path: "/" }), {
            code: "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
          });
          await stranger.close();
          // A new certificate is for new connections: this one's names are others.
          other.reload({ cert: await read("other.crt"), key: await read("other.key") });
          const again = world.net.httpClient({ base, tls: { ca } });
          await assert.rejects(again.request({ method: "GET", path: "/" }), { code: "ERR_TLS_CERT_ALTNAME_INVALID" });
          await again.close();
        }

        for (const version of ["1.1", "2"] as const) {
          for (const [tls, expected] of [
            [clientTls, "true 2"],
            [{ ca }, "undefined undefined"],
          ] as const) {
            const http = world.net.httpClient({ base: `https://127.0.0.1:${listener.address.port}`, version, tls });
            const answer = await http.request({ method: "GET", path: "/" });
            const chunks: Uint8Array[] = [];
            for await (const chunk of answer.body) chunks.push(chunk);
            assert.equal(Buffer.concat(chunks).toString(), `${version === "2" ? "2.0" : "1.1"} ${expected}`);
            await http.close();
          }
        }
      },
    );

    test(
      "containerd answers through its unix socket",
      { skip: lacks("containerd") || (process.getuid?.() !== 0 && "needs root") },
      async () => {
        const home = mkdtempSync(join(scratch, "containerd-"));
        mkdirSync(join(home, "cni"), { recursive: true });
        const cri = `plugins."io.containerd.grpc.v1.cri"`;
        writeFileSync(
          join(home, "config.toml"),
          `version = 2
root = "${home}/root"
state = "${home}/state"
oom_score = 0
[grpc]
  address = "${home}/containerd.sock"
[ttrpc]
  address = "${home}/containerd.sock.ttrpc"
[plugins."io.containerd.internal.v1.opt"]
  path = "${home}/opt"
[${cri}]
  stream_server_port = "0"
  disable_apparmor = true
  restrict_oom_score_adj = true
  tolerate_missing_hugetlb_controller = true
  disable_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  [${cri}.cni]
    conf_dir = "${home}/cni"
`,
        );
        children.push(spawn("containerd", ["-c", join(home, "config.toml")], { stdio: "ignore" }));
        const client = connectCri(world, `unix://${home}/containerd.sock`);
        const version = await eventually(() => client.runtime.Version({ version: "v1" }, { timeoutMs: 5000 }));
        assert.equal(version.runtime_name, "containerd");
        assert.equal(version.runtime_api_version, "v1");
        const status = await client.runtime.Status({ verbose: true });
        assert.ok(status.status!.conditions.some((condition) => condition.type === "RuntimeReady" && condition.status));
        assert.ok(status.info["config"]!.includes(home), "maps are decoded");
        assert.deepEqual((await client.runtime.ListPodSandbox({})).items, []);
        assert.deepEqual((await client.images.ListImages({})).images, []);
        await assert.rejects(
          client.runtime.PodSandboxStatus({ pod_sandbox_id: "none" }),
          (error: RpcError) => error.code === "NotFound",
        );
        await client.close();
      },
    );
  });
