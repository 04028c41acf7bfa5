/** exec and port-forward against genuine programs: kubectl as the client, containerd as the server. */
import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { rmdir } from "node:fs/promises";
import { gzipSync } from "node:zlib";
import { connectCri } from "../../src/protocols/cri/connect.ts";
import { dialRemoteCommand } from "../../src/wire/streaming/dial-remote-command.ts";
import { acceptPortForward, dialPortForward } from "../../src/wire/streaming/port-forward.ts";
import { exitCodeOf, exitStatus } from "../../src/wire/streaming/protocols.ts";
import { acceptRemoteCommand, remoteCommandOptions } from "../../src/wire/streaming/remote-command.ts";
import type { Exchange } from "../../src/world/net.ts";
import { machineWorld } from "../../src/cli/world.ts";

const failures: unknown[] = [];
const world = machineWorld({ onHandlerError: (error) => failures.push(error) });
const scratch = mkdtempSync(join(tmpdir(), "typernetes-streaming-"));
const children: ChildProcess[] = [];
const closing: (() => Promise<void>)[] = [];
after(async () => {
  for (const child of children) {
    const ended = new Promise((resolve) => child.once("exit", resolve));
    if (child.exitCode === null && child.signalCode === null && child.kill("SIGKILL")) await ended;
  }
  for (const close of closing) await close();
  rmSync(scratch, { recursive: true, force: true });
});
const lacks = (program: string): string | false =>
  spawnSync("which", [program]).status === 0 ? false : `${program} is not installed`;

/** As little of an API server as kubectl's exec and port-forward need. */
async function serveOnePod(refuseWebSockets: boolean): Promise<{ port: number; seen: string[] }> {
  const seen: string[] = [];
  const json = (exchange: Exchange, body: unknown) =>
    exchange.respond(200, { "content-type": "application/json" }, JSON.stringify(body));
  const listener = await world.net.serveHttp({ host: "127.0.0.1" }, async (exchange) => {
    const { pathname, searchParams } = new URL(exchange.request.url, "http://x");
    const upgrade = exchange.request.headers["upgrade"];
    if (upgrade) seen.push(`${exchange.request.method} ${String(upgrade)}`);
    if (refuseWebSockets && upgrade === "websocket") return exchange.respond(403, {}, "no websockets");
    switch (pathname) {
      case "/api":
        return json(exchange, { kind: "APIVersions", versions: ["v1"] });
      case "/apis":
        return json(exchange, { kind: "APIGroupList", apiVersion: "v1", groups: [] });
      case "/api/v1": {
        const pods = { name: "pods", singularName: "pod", namespaced: true, kind: "Pod", verbs: ["get", "list"] };
        return json(exchange, { kind: "APIResourceList", groupVersion: "v1", resources: [pods] });
      }
      case "/api/v1/namespaces/default/pods/p": {
        const spec = { containers: [{ name: "c", image: "i" }] };
        const status = { phase: "Running", containerStatuses: [{ name: "c", ready: true, restartCount: 0 }] };
        return json(exchange, {
          kind: "Pod",
          apiVersion: "v1",
          metadata: { name: "p", namespace: "default" },
          spec,
          status,
        });
      }
      case "/api/v1/namespaces/default/pods/p/exec": {
        const options = remoteCommandOptions(searchParams);
        const streams = await acceptRemoteCommand(exchange, options, world.clock);
        if (!streams) return;
        const child = world.host.spawn(searchParams.get("command")!, searchParams.getAll("command").slice(1));
        const pump = async (from: AsyncIterable<Uint8Array>, to: (data: Uint8Array) => Promise<void>) => {
          for await (const chunk of from) await to(chunk);
        };
        if (streams.stdin) void pump(streams.stdin, (data) => child.write(data)).then(() => child.closeStdin());
        await Promise.all([pump(child.stdout!, streams.stdout), pump(child.stderr!, streams.stderr)]);
        return streams.finish(exitStatus((await child.exited).code));
      }
      case "/api/v1/namespaces/default/pods/p/portforward": {
        const forwards = acceptPortForward(exchange, []);
        if (!forwards) return;
        for await (const connection of forwards)
          void (async () => {
            for await (const chunk of connection.data)
              await connection.data.write(Buffer.from(`port ${connection.port} got ${Buffer.from(chunk).toString()}`));
            connection.finish();
          })().catch(() => {}); // kubectl was ended.
        return;
      }
      default:
        exchange.respond(404, { "content-type": "application/json" }, '{"kind":"Status","apiVersion":"v1","code":404}');
    }
  });
  closing.push(() => listener.close());
  return { port: listener.address.port, seen };
}

function kubectl(port: number, ...args: readonly string[]): readonly string[] {
  const config = join(scratch, "config");
  writeFileSync(config, "apiVersion: v1\nkind: Config\n");
  return [
    "--kubeconfig",
    config,
    "--cache-dir",
    join(scratch, "cache"),
    "--server",
    `http://127.0.0.1:${port}`,
    ...args,
  ];
}

for (const [over, refuseWebSockets, request] of [
  ["WebSockets", false, "GET websocket"],
  ["SPDY", true, "POST SPDY/3.1"],
] as const) {
  test(`kubectl exec over ${over}: input, both outputs, the exit code`, { skip: lacks("kubectl") }, async () => {
    const { port, seen } = await serveOnePod(refuseWebSockets);
    const script = "sort; echo complaint >&2; exit 3";
    const { code, stdout, stderr } = await world.host.exec(
      "kubectl",
      kubectl(port, "exec", "-i", "p", "--", "sh", "-c", script),
      { stdin: `b\na\n${"c".repeat(300_000)}\n` },
    );
    const output = Buffer.from(stdout).toString();
    assert.equal(output.slice(0, 4), "a\nb\n", Buffer.from(stderr).toString());
    assert.equal(output.length, 4 + 300_001);
    assert.match(Buffer.from(stderr).toString(), /complaint\ncommand terminated with exit code 3/);
    assert.equal(code, 3);
    assert.equal(seen.at(-1), request);
    assert.deepEqual(failures, []);
  });

  test(`kubectl port-forward over ${over}`, { skip: lacks("kubectl") }, async () => {
    const { port, seen } = await serveOnePod(refuseWebSockets);
    const child = spawn("kubectl", kubectl(port, "port-forward", "pod/p", "0:8080", "--address", "127.0.0.1"));
    children.push(child);
    const local = await new Promise<number>((resolve, reject) => {
      let text = "";
      child.stdout.on("data", (chunk: Buffer) => {
        text += chunk.toString();
        const match = /127\.0\.0\.1:(\d+) -> 8080/.exec(text);
        if (match) resolve(Number(match[1]));
      });
      child.stderr.on("data", (chunk: Buffer) => (text += chunk.toString()));
      child.on("exit", () => reject(new Error(text)));
    });
    for (const words of ["one", "two"]) {
      const answer = await new Promise<string>((resolve, reject) => {
        const socket = connectTcp(local, "127.0.0.1", () => socket.write(words));
        socket.on("error", reject);
        socket.on("data", (chunk: Buffer) => {
          resolve(chunk.toString());
          socket.end();
        });
      });
      assert.equal(answer, `port 8080 got ${words}`);
    }
    assert.equal(seen.at(-1), request);
    assert.deepEqual(failures, []);
  });
}

/** A tar archive with one entry a file; `mode` in octal, a link where there is a target. */
function tar(
  entries: readonly {
    readonly name: string;
    readonly data?: Uint8Array;
    readonly mode?: string;
    readonly link?: string;
  }[],
): Buffer {
  const blocks = entries.flatMap(({ name, data = new Uint8Array(0), mode = "0000644", link }) => {
    const head = Buffer.alloc(512);
    head.write(name, 0);
    head.write(`${mode}\0`, 100);
    head.write("0000000\0", 108);
    head.write("0000000\0", 116);
    head.write(`${data.length.toString(8).padStart(11, "0")}\0`, 124);
    head.write("00000000000\0", 136);
    head.write("        ", 148);
    head.write(link === undefined ? (name.endsWith("/") ? "5" : "0") : "2", 156);
    head.write(link ?? "", 157);
    head.write("ustar\x0000", 257);
    head.write(
      `${head
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, "0")}\0 `,
      148,
    );
    return [head, data, Buffer.alloc((512 - (data.length % 512)) % 512)];
  });
  return Buffer.concat([...blocks, Buffer.alloc(1024)]);
}

/** An OCI archive with busybox as an image, so that no registry is needed. */
function busyboxArchive(image: string): Buffer {
  const layer = tar([
    { name: "bin/", mode: "0000755" },
    { name: "bin/busybox", mode: "0000755", data: readFileSync("/bin/busybox") },
    ...["sh", "sleep", "cat", "stty", "sort"].map((name) => ({ name: `bin/${name}`, link: "busybox" })),
    { name: "tmp/", mode: "0001777" },
  ]);
  const zipped = gzipSync(layer, { level: 1 });
  const digest = (data: Uint8Array) => `sha256:${createHash("sha256").update(data).digest("hex")}`;
  const config = Buffer.from(
    JSON.stringify({
      architecture: process.arch === "x64" ? "amd64" : process.arch,
      os: "linux",
      config: { Env: ["PATH=/bin"], Cmd: ["sleep", "100000"] },
      rootfs: { type: "layers", diff_ids: [digest(layer)] },
    }),
  );
  const described = (mediaType: string, data: Uint8Array) => ({ mediaType, digest: digest(data), size: data.length });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      config: described("application/vnd.oci.image.config.v1+json", config),
      layers: [described("application/vnd.oci.image.layer.v1.tar+gzip", zipped)],
    }),
  );
  const entry = described("application/vnd.oci.image.manifest.v1+json", manifest);
  const index = { schemaVersion: 2, manifests: [{ ...entry, annotations: { "io.containerd.image.name": image } }] };
  return tar([
    { name: "oci-layout", data: Buffer.from('{"imageLayoutVersion":"1.0.0"}') },
    { name: "index.json", data: Buffer.from(JSON.stringify(index)) },
    ...[config, zipped, manifest].map((data) => ({ name: `blobs/sha256/${digest(data).slice(7)}`, data })),
  ]);
}

const needsContainerd =
  lacks("containerd") || lacks("runc") || lacks("busybox") || (process.getuid?.() !== 0 && "needs root");

test(
  "containerd's exec and port-forward through our clients",
  { skip: needsContainerd, timeout: 300_000 },
  async () => {
    const home = join(scratch, "containerd");
    const image = "example.test/busybox:1";
    const cgroup = `/typernetes-streaming-${process.pid}`;
    await world.fs.mkdir(join(home, "cni"), { recursive: true });
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
  sandbox_image = "${image}"
  stream_server_address = "127.0.0.1"
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
    const daemon = spawn("containerd", ["-c", join(home, "config.toml")], { stdio: "ignore" });
    children.push(daemon);
    const client = connectCri(world, `${home}/containerd.sock`);
    const end = performance.now() + 120_000;
    for (;;) {
      try {
        await client.runtime.Version({});
        break;
      } catch (error) {
        if (performance.now() > end) throw error;
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    }
    writeFileSync(join(home, "image.tar"), busyboxArchive(image));
    const socket = ["-a", join(home, "containerd.sock"), "-n", "k8s.io"];
    const imported = await world.host.exec("ctr", [...socket, "images", "import", join(home, "image.tar")]);
    assert.equal(imported.code, 0, Buffer.from(imported.stderr).toString());

    const config = {
      metadata: { name: "p", uid: "u", namespace: "default", attempt: 0 },
      log_directory: home,
      linux: { cgroup_parent: cgroup, security_context: { namespace_options: { network: "NODE" as const } } },
    };
    const { pod_sandbox_id } = await client.runtime.RunPodSandbox({ config });
    try {
      const { container_id } = await client.runtime.CreateContainer({
        pod_sandbox_id,
        sandbox_config: config,
        config: {
          metadata: { name: "c" },
          image: { image },
          log_path: "c.log",
          linux: { security_context: { namespace_options: { network: "NODE" } } },
        },
      });
      await client.runtime.StartContainer({ container_id });
      const text = async (stream: AsyncIterable<Uint8Array>) => {
        const chunks: Uint8Array[] = [];
        for await (const chunk of stream) chunks.push(chunk);
        return Buffer.concat(chunks).toString();
      };
      const open = (url: string) => {
        const { origin, pathname, search } = new URL(url);
        return { http: world.net.httpClient({ base: origin }), path: pathname + search };
      };
      for (const over of ["spdy", "websocket"] as const) {
        const streams = { stdin: true, stdout: true, stderr: true, tty: false };
        const cmd = [
          "sh",
          "-c",
          over === "spdy"
            ? "sort; echo complaint >&2; exit 3"
            : "read a; read b; echo $b; echo $a; echo complaint >&2; exit 3",
        ];
        const { url } = await client.runtime.Exec({ container_id, cmd, ...streams });
        const { http, path } = open(url);
        const remote = await dialRemoteCommand(http, world.random, { ...streams, path, over });
        await remote.write(Buffer.from("b\na\n"));
        remote.closeStdin();
        assert.deepEqual(await Promise.all([text(remote.stdout), text(remote.stderr)]), ["a\nb\n", "complaint\n"]);
        assert.equal(exitCodeOf(await remote.result), 3);
        remote.close();
        await http.close();
      }
      {
        const streams = { stdin: true, stdout: true, stderr: false, tty: true };
        const { url } = await client.runtime.Exec({
          container_id,
          cmd: ["sh", "-c", 'until [ "$(stty size)" = "33 91" ]; do sleep 0.01; done; stty size'],
          ...streams,
        });
        const { http, path } = open(url);
        const remote = await dialRemoteCommand(http, world.random, { ...streams, path });
        remote.resize(91, 33);
        assert.match(await text(remote.stdout), /33 91/);
        assert.equal(exitCodeOf(await remote.result), 0);
        await http.close();
      }
      const listener = await world.net.listen({ host: "127.0.0.1" }, async (stream) => {
        for await (const chunk of stream) await stream.write(chunk);
        stream.end();
      });
      closing.push(() => listener.close());
      const { url } = await client.runtime.PortForward({ pod_sandbox_id });
      const { http, path } = open(url);
      const forwarder = await dialPortForward(http, world.random, { path });
      const { data, error } = await forwarder.connect(listener.address.port);
      await data.write(Buffer.from("through the sandbox"));
      const { value } = await data[Symbol.asyncIterator]().next();
      assert.equal(Buffer.from(value as Uint8Array).toString(), "through the sandbox");
      data.end();
      assert.equal(await error, undefined);
      assert.match((await (await forwarder.connect(1)).error)!, /refused/);
      forwarder.close();
      await http.close();
    } finally {
      await client.runtime.StopPodSandbox({ pod_sandbox_id });
      await client.runtime.RemovePodSandbox({ pod_sandbox_id });
      await client.close();
      // A pod's cgroup is the kubelet's to remove.
      for (const controller of ["", ...(await world.fs.list("/sys/fs/cgroup"))])
        await rmdir(join("/sys/fs/cgroup", controller, cgroup)).catch(() => {});
    }
  },
);
