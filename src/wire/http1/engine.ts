/**
 * HTTP/1.1, the server side: protocol code over the byte streams of the `World`, as `wire/http2` is.
 *
 * Where it fits: `world/net.ts` has the interface (`Http1Engine`). `world/node` listens, does TLS with ALPN, and passes connections that speak
 * HTTP/1 to the engine that it was created with (`cli` installs this one). Without an engine, `node:http` serves the same interface; the tests of
 * the network (`world/node/net.test.ts`) run against both.
 *
 * How it works: a connection receives chunks by callback (`ByteSink`). A client that repeats a request sends the same header bytes, so they are
 * compared with those of its last requests before they are parsed (`#known`). One request is processed at a time; what follows it waits. The head
 * and a small body of a response are one write. What is accepted and what is rejected, and with which messages, is as in net/http.
 *
 * RFC 9110 and RFC 9112.
 *
 * Upstream: net/http, net/textproto
 */
import type { Http1Engine } from "../../world/net.ts";
import type { Clock } from "../../world/world.ts";
import { dates } from "../dates.ts";
import { HeadWriter } from "./answer-head.ts";
import { ServerConnection } from "./connection.ts";

export function http1Engine(clock: Clock): Http1Engine {
  const heads = new HeadWriter(dates(clock));
  return { serve: (stream, context) => new ServerConnection(stream, context, { clock, heads }) };
}
