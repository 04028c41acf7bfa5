/** Remote commands and port forwarding between our own ends, over every protocol, and through relays that change it. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import type { Exchange, HttpClient, HttpHandler } from "../../world/net.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { dialWebSocket } from "../websocket/websocket.ts";
import { dialRemoteCommand, UpgradeRefused, type RemoteCommand } from "./dial-remote-command.ts";
import { acceptPortForward, dialPortForward } from "./port-forward.ts";
import { CHANNELS, exitCodeOf, exitStatus, V1_BASE64, V4_BASE64 } from "./protocols.ts";
import { relayPortForward, relayRemoteCommand, relayUpgrade } from "./relay.ts";
import { acceptRemoteCommand, remoteCommandOptions } from "./remote-command.ts";

const { net, clock, random } = nodeWorld({
  onHandlerError: (error) => {
    throw error;
  },
});
const open: (() => Promise<void>)[] = [];
after(async () => {
  for (const close of open.reverse()) await close();
});
async function serve(handle: HttpHandler): Promise<HttpClient> {
  const listener = await net.serveHttp({ host: "127.0.0.1" }, handle);
  const http = net.httpClient({ base: `http://127.0.0.1:${listener.address.port}` });
  open.push(
    () => listener.close(),
    () => http.close(),
  );
  return http;
}
const text = async (stream: AsyncIterable<Uint8Array>) => {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString();
};
const queryOf = (exchange: Exchange) => new URL(exchange.request.url, "http://x").searchParams;

/** Says back what it reads, and ends with the length as its exit code. With a terminal it tells the first size. */
const command: HttpHandler = async (exchange) => {
  const streams = await acceptRemoteCommand(exchange, remoteCommandOptions(queryOf(exchange)), clock);
  if (!streams) return;
  if (streams.resizes) {
    for await (const { columns, rows } of streams.resizes) {
      await streams.stdout(Buffer.from(`${columns}x${rows}`));
      break;
    }
    return streams.finish(exitStatus(0));
  }
  const input = streams.stdin ? await text(streams.stdin) : "";
  await streams.stdout(Buffer.from(`out ${input}`));
  await streams.stderr(Buffer.from("err"));
  await streams.finish(exitStatus(input.length));
};
const all = { stdin: true, stdout: true, stderr: true, tty: false };
const path = "/exec?stdin=1&stdout=true&stderr=1";

async function exercise(remote: RemoteCommand): Promise<void> {
  await remote.write(Buffer.from("abc"));
  remote.closeStdin();
  const [out, err, status] = await Promise.all([text(remote.stdout), text(remote.stderr), remote.result]);
  assert.deepEqual([out, err], ["out abc", "err"]);
  assert.equal(exitCodeOf(status), 3);
  assert.equal(status.reason, "NonZeroExitCode");
}

for (const over of ["spdy", "websocket"] as const) {
  test(`a command's streams, its input's end and its exit code travel over ${over}`, async () => {
    await exercise(await dialRemoteCommand(await serve(command), random, { ...all, path, over }));
  });

  test(`a terminal's size travels over ${over}`, async () => {
    const http = await serve(command);
    const options = { stdin: false, stdout: true, stderr: false, tty: true, path: "/exec?stdout=1&tty=1", over };
    const remote = await dialRemoteCommand(http, random, options);
    remote.resize(80, 24);
    assert.equal(await text(remote.stdout), "80x24");
    assert.equal(exitCodeOf(await remote.result), 0);
  });

  test(`a client that leaves aborts the command's signal over ${over}`, async () => {
    const gone = Promise.withResolvers<void>();
    const http = await serve(async (exchange) => {
      const streams = await acceptRemoteCommand(exchange, all, clock);
      streams!.signal.addEventListener("abort", () => gone.resolve());
    });
    (await dialRemoteCommand(http, random, { ...all, path, over })).close();
    await gone.promise;
  });

  test(`a refused upgrade shows its answer over ${over}`, async () => {
    const http = await serve((exchange) => exchange.respond(404, {}, "no such pod"));
    await assert.rejects(
      dialRemoteCommand(http, random, { ...all, path, over }),
      (error: UpgradeRefused) => error.response.status === 404,
    );
  });

  test(`a relay passes the bytes of ${over} through`, async () => {
    const behind = await serve(command);
    const front = await serve((exchange) => relayUpgrade(exchange, behind, { path: exchange.request.url }));
    await exercise(await dialRemoteCommand(front, random, { ...all, path, over }));
  });

  test(`a relay from ${over} to a server that speaks the other keeps everything`, async () => {
    const behind = await serve(command);
    const front = await serve(async (exchange) => {
      const streams = await acceptRemoteCommand(exchange, all, clock);
      await relayRemoteCommand(
        streams!,
        await dialRemoteCommand(behind, random, { ...all, path, over: over === "spdy" ? "websocket" : "spdy" }),
      );
    });
    await exercise(await dialRemoteCommand(front, random, { ...all, path, over }));
  });

  test(`ports are forwarded over ${over}, each connection by itself`, async () => {
    const server: HttpHandler = async (exchange) => {
      for await (const connection of acceptPortForward(exchange, [])!) {
        if (connection.port === 81) connection.fail("connection refused");
        else
          void text(connection.data).then(async (got) => {
            await connection.data.write(Buffer.from(`${connection.port}: ${got}`));
            connection.finish();
          });
      }
    };
    const behind = await serve(server);
    const front = await serve(async (exchange) => {
      const from = acceptPortForward(exchange, []);
      await relayPortForward(from!, await dialPortForward(behind, random, { path: "/" }));
    });
    for (const http of [behind, front]) {
      const forwarder = await dialPortForward(http, random, { path: "/", over });
      const [a, b, c] = await Promise.all([forwarder.connect(80), forwarder.connect(8080), forwarder.connect(81)]);
      await a.data.write(Buffer.from("one"));
      await b.data.write(Buffer.from("two"));
      b.data.end();
      assert.equal(await text(b.data), "8080: two");
      a.data.end();
      assert.equal(await text(a.data), "80: one");
      assert.equal(await a.error, undefined);
      assert.equal(await c.error, "connection refused");
      forwarder.close();
    }
  });
}

test("the base64 protocols carry text", async () => {
  const http = await serve(command);
  for (const protocol of [V1_BASE64, V4_BASE64]) {
    const { socket } = await dialWebSocket(http, { path: "/exec?stdout=1&stderr=1" }, [protocol], random);
    const got: string[] = [];
    for await (const { text, data } of socket!) {
      assert.equal(text, true);
      got.push(Buffer.from(data).toString());
    }
    const base64 = (words: string) => Buffer.from(words).toString("base64");
    const expected = ["1", `1${base64("out ")}`, `2${base64("err")}`];
    if (protocol === V4_BASE64) expected.push(`${CHANNELS.error}${base64(JSON.stringify(exitStatus(0)))}`);
    assert.deepEqual(got, expected);
  }
});

test("a port is forwarded over a WebSocket's channels, after its number on both", async () => {
  const http = await serve(async (exchange) => {
    const ports = queryOf(exchange).getAll("port").map(Number);
    for await (const connection of acceptPortForward(exchange, ports)!)
      void (async () => {
        for await (const chunk of connection.data)
          await connection.data.write(Buffer.from(`${connection.port} ${Buffer.from(chunk)}`));
      })();
  });
  const { socket } = await dialWebSocket(http, { path: "/?port=80&port=443" }, ["v4.channel.k8s.io"], random);
  const messages = socket![Symbol.asyncIterator]();
  const next = async () => [...(await messages.next()).value.data];
  for (const expected of [
    [0, 80, 0],
    [1, 80, 0],
    [2, 187, 1],
    [3, 187, 1],
  ])
    assert.deepEqual(await next(), expected);
  await socket!.send(Buffer.concat([Buffer.from([2]), Buffer.from("hi")]));
  assert.equal(Buffer.from((await messages.next()).value.data).toString(), "\x02443 hi");
  socket!.close();
});

test("a request that asks for no upgrade is refused in upstream's words", async () => {
  const http = await serve(command);
  const answer = await http.request({ method: "POST", path });
  assert.equal(answer.status, 400);
  assert.equal(await text(answer.body), "Upgrade request required");
});
