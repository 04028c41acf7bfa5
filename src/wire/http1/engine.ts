/**
 * HTTP/1.1 of our own, the server's side: protocol code over the World's byte streams, as `wire/http2` is.
 *
 * Where it stands: `world/net.ts` has the interface (`Http1Engine`), `world/node` listens, does TLS with ALPN, and hands connections that speak
 * HTTP/1 to the engine that whoever made the world put in (`cli` puts in this one). Without an engine the world's `node:http` serves the same
 * interface: it is the second implementation, and the network's suite (`world/node/net.test.ts`) runs on both.
 *
 * How it goes: a connection is told of chunks by callback (`ByteSink`). A client that asks again says its headers in the same bytes, so they are
 * compared with those of its last requests before anybody reads them (`#known`). One request is at hand at a time; what comes behind it waits. An
 * answer's head and a small body leave in one write. What is accepted and what is refused, and in which words, is as net/http has it.
 *
 * RFC 9110 and RFC 9112. Upstream: net/http, net/textproto
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
