import assert from "node:assert/strict";
import { connect as connectHttp2 } from "node:http2";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import type { Exchange, HttpClient, HttpHandler, Listener } from "../net.ts";
import { http1Engine } from "../../wire/http1/engine.ts";
import { http2Engine } from "../../wire/http2/engine.ts";
import { nodeWorld } from "./index.ts";

for (const [name, world] of [
  ["node:http", nodeWorld()],
  ["HTTP of our own", nodeWorld({ http1: http1Engine, http2: http2Engine })],
] as const)
  describe(`the network of this machine with ${name}`, () => {
    const opened: AsyncDisposable[] = [];
    after(async () => {
      for (const one of opened.reverse()) await one[Symbol.asyncDispose]();
    });

    async function serve(
      handle: HttpHandler,
      where: { path?: string } = {},
    ): Promise<{ base: string; listener: Listener }> {
      const listener = await world.net.serveHttp(where.path ? where : { host: "127.0.0.1" }, handle);
      opened.push(listener);
      return { base: where.path ? `unix:${where.path}` : `http://127.0.0.1:${listener.address.port}`, listener };
    }
    function client(base: string, version?: "1.1" | "2"): HttpClient {
      const made = world.net.httpClient({ base, ...(version && { version }) });
      opened.push(made);
      return made;
    }
    async function text(body: AsyncIterable<Uint8Array>): Promise<string> {
      const chunks: Uint8Array[] = [];
      for await (const chunk of body) chunks.push(chunk);
      return Buffer.concat(chunks).toString();
    }
    const echo = async (exchange: Exchange) => {
      const { method, url, httpVersion, body } = exchange.request;
      exchange.respond(200, { "content-type": "text/plain" }, `${method} ${url} ${httpVersion} ${await text(body)}`);
    };

    for (const version of ["1.1", "2"] as const) {
      test(`one plain port answers HTTP/${version}`, async () => {
        const { base } = await serve(echo);
        const http = client(base, version);
        for (const body of ["first", "second"]) {
          const answer = await http.request({ method: "POST", path: "/a?b=c", body });
          assert.equal(answer.status, 200);
          assert.equal(await text(answer.body), `POST /a?b=c ${version === "2" ? "2.0" : "1.1"} ${body}`);
        }
      });

      test(`trailers follow a streamed answer over HTTP/${version}`, async () => {
        const { base } = await serve((exchange) => {
          const out = exchange.stream(200, { trailer: "x-sum" });
          out.write("one ");
          out.write(Buffer.from("two"));
          out.end({ "x-sum": "2" });
        });
        const answer = await client(base, version).request({ method: "GET", path: "/" });
        assert.equal(await text(answer.body), "one two");
        assert.equal((await answer.trailers)["x-sum"], "2");
      });

      test(`a client that leaves aborts the request's signal over HTTP/${version}`, async () => {
        let left!: () => void;
        const gone = new Promise<void>((resolve) => (left = resolve));
        const { base } = await serve((exchange) => {
          exchange.request.signal.addEventListener("abort", left);
          exchange.stream(200, {}).write("more follows");
        });
        const abort = new AbortController();
        const answer = await client(base, version).request({ method: "GET", path: "/", signal: abort.signal });
        const reading = text(answer.body);
        abort.abort(new Error("enough"));
        await assert.rejects(reading, /enough/);
        await gone;
      });

      test(`an answer cut short is an error to the reader over HTTP/${version}`, async () => {
        const { base } = await serve((exchange) => {
          const out = exchange.stream(200, {});
          out.write("half");
          setImmediate(() => out.destroy());
        });
        const answer = await client(base, version).request({ method: "GET", path: "/" });
        await assert.rejects(text(answer.body));
      });

      test(`absent headers and those of another connection do no harm over HTTP/${version}`, async () => {
        const { base } = await serve((exchange) =>
          exchange.respond(200, { "x-absent": undefined, "x-list": ["a", "b"], connection: "close" }, "ok"),
        );
        const answer = await client(base, version).request({
          method: "GET",
          path: "/",
          headers: { "x-none": undefined },
        });
        assert.equal(answer.headers["x-list"], "a, b");
        assert.equal(await text(answer.body), "ok");
      });

      test(`an answer before the request's end leaves the connection usable over HTTP/${version}`, async () => {
        const { base } = await serve(async (exchange) => {
          for await (const _ of exchange.request.body) break;
          exchange.respond(413, {}, "too much");
        });
        const http = client(base, version);
        for (let i = 0; i < 2; i++) {
          const answer = await http.request({ method: "POST", path: "/", body: Buffer.alloc(3 << 20) });
          assert.equal(answer.status, 413);
          assert.equal(await text(answer.body), "too much");
        }
      });

      test(`a handler that throws gives a 500 over HTTP/${version}`, async () => {
        const { base } = await serve(async () => {
          throw new Error("broken");
        });
        const answer = await client(base, version).request({ method: "GET", path: "/" });
        assert.equal(answer.status, 500);
      });

      test(`a unix socket serves HTTP/${version}`, async () => {
        const path = join(tmpdir(), `typernetes-net-${process.pid}-${version}.sock`);
        const { base } = await serve(echo, { path });
        const answer = await client(base, version).request({ method: "GET", path: "/" });
        assert.match(await text(answer.body), /^GET \//);
      });

      test(`a slow client holds the writer back over HTTP/${version}`, async () => {
        const chunk = Buffer.alloc(1 << 20);
        let slow = 0;
        const { base } = await serve(async (exchange) => {
          const out = exchange.stream(200, {});
          for (let i = 0; i < 40; i++)
            if (!out.write(chunk)) {
              slow++;
              await out.drained;
            }
          out.end();
        });
        const answer = await client(base, version).request({ method: "GET", path: "/" });
        let total = 0;
        for await (const part of answer.body) total += part.length;
        assert.equal(total, 40 << 20);
        assert.ok(slow > 0);
      });
    }

    test("a request that offers h2c is answered as any other, with its body", async () => {
      const { base } = await serve(echo);
      const headers = { connection: "Upgrade, HTTP2-Settings", upgrade: "h2c", "http2-settings": "AAMAAABkAAQAAP__" };
      const answer = await client(base).request({ method: "POST", path: "/", headers, body: "all of it" });
      assert.equal(await text(answer.body), "POST / 1.1 all of it");
    });

    test("an upgraded connection carries bytes both ways", async () => {
      const { base } = await serve(async (exchange) => {
        const stream = exchange.upgrade({ Connection: "Upgrade", Upgrade: "echo" });
        for await (const chunk of stream) await stream.write(chunk);
        stream.end();
      });
      const { response, stream } = await client(base).upgrade({
        method: "GET",
        path: "/",
        headers: { upgrade: "echo" },
      });
      assert.equal(response.status, 101);
      await stream!.write(Buffer.from("hello"));
      stream!.end();
      assert.equal(await text(stream!), "hello");
    });

    test("a refused upgrade is an ordinary answer", async () => {
      const { base } = await serve((exchange) => exchange.respond(403, {}, "no"));
      const { response, stream } = await client(base).upgrade({
        method: "GET",
        path: "/",
        headers: { upgrade: "echo" },
      });
      assert.equal(stream, undefined);
      assert.equal(response.status, 403);
      assert.equal(await text(response.body), "no");
    });

    test("a client survives thousands of cancelled requests on one HTTP/2 connection", async () => {
      const { base } = await serve((exchange) => void exchange.stream(200, {}).write("x"));
      const http = client(base, "2");
      for (let i = 0; i < 30; i++) {
        await Promise.all(
          Array.from({ length: 50 }, async () => {
            const abort = new AbortController();
            const answer = await http.request({ method: "GET", path: "/", signal: abort.signal });
            assert.equal(answer.status, 200);
            abort.abort();
          }),
        );
      }
    });

    test("a client connects anew when its HTTP/2 connection is gone", async () => {
      const first = await serve(echo);
      const http = client(first.base, "2");
      await text((await http.request({ method: "GET", path: "/" })).body);
      await first.listener.close();
      await assert.rejects(http.request({ method: "GET", path: "/" }));
      const again = await world.net.serveHttp({ host: "127.0.0.1", port: first.listener.address.port }, echo);
      opened.push(again);
      assert.equal((await http.request({ method: "GET", path: "/" })).status, 200);
    });

    test("close lets an exchange end within its grace", async () => {
      let finish!: () => void;
      const { base, listener } = await serve((exchange) => {
        const out = exchange.stream(200, {});
        out.write("a");
        finish = () => out.end();
      });
      const answer = await client(base, "2").request({ method: "GET", path: "/" });
      const closing = listener.close(5000);
      finish();
      assert.equal(await text(answer.body), "a");
      await closing;
    });

    test("request headers name the host over HTTP/2 too", async () => {
      const { base, listener } = await serve((exchange) =>
        exchange.respond(200, {}, String(exchange.request.headers["host"])),
      );
      const session = connectHttp2(base);
      const stream = session.request({ ":path": "/" });
      assert.equal(await text(stream), `127.0.0.1:${listener.address.port}`);
      session.destroy();
    });

    test("a read is asked again when the server closes a kept connection under it, a write is not", async () => {
      let connections = 0;
      const listener = await world.net.listen({ host: "127.0.0.1" }, async (stream) => {
        connections++;
        let requests = 0;
        try {
          for await (const _ of stream) {
            if (++requests === 2) return stream.destroy();
            await stream.write(Buffer.from("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"));
          }
        } catch {
          // The client is done.
        }
      });
      opened.push(listener);
      const http = client(`http://127.0.0.1:${listener.address.port}`);
      const ask = async (method: string) => text((await http.request({ method, path: "/" })).body);
      assert.equal(await ask("GET"), "ok");
      assert.equal(await ask("GET"), "ok");
      assert.equal(connections, 2);
      await assert.rejects(ask("POST"), { code: "ECONNRESET" });
    });

    test("byte streams connect over TCP", async () => {
      const listener = await world.net.listen({ host: "127.0.0.1" }, async (stream) => {
        for await (const chunk of stream) await stream.write(chunk);
        stream.end();
      });
      opened.push(listener);
      const stream = await world.net.connect({ host: "127.0.0.1", port: listener.address.port });
      await stream.write(Buffer.from("ping"));
      stream.end();
      assert.equal(await text(stream), "ping");
      await stream.closed;
    });

    test("datagrams arrive with their sender", async () => {
      const got = Promise.withResolvers<string>();
      const a = await world.net.datagrams({ host: "127.0.0.1", port: 0 }, (data, from) =>
        got.resolve(`${Buffer.from(data)} ${from.port}`),
      );
      const b = await world.net.datagrams({ host: "127.0.0.1", port: 0 }, () => {});
      opened.push(a, b);
      b.send(Buffer.from("hi"), a.address);
      assert.equal(await got.promise, `hi ${b.address.port}`);
    });
  });
