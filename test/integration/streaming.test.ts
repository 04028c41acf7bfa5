/** exec and port-forward against genuine programs: kubectl as the client, containerd as the server. */
import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { acceptPortForward } from "../../src/wire/streaming/port-forward.ts";
import { exitStatus } from "../../src/wire/streaming/protocols.ts";
import { acceptRemoteCommand, remoteCommandOptions } from "../../src/wire/streaming/remote-command.ts";
import type { Exchange } from "../../src/world/net.ts";
import { nodeWorld } from "../../src/world/node/index.ts";

const failures: unknown[] = [];
const world = nodeWorld({ onHandlerError: (error) => failures.push(error) });
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
