/**
 * HTTP/2 of our own: protocol code over the World's byte streams, so that a call costs a tenth of what it costs over `node:http2`, and the same code
 * runs in the simulator.
 *
 * Where it stands: `world/net.ts` has the interface (`Http2Engine`), `world/node` listens, dials, does TLS with ALPN, and hands connections
 * that speak HTTP/2 to the engine that whoever made the world put in (`cli` puts in this one). Without an engine the world's
 * `node:http2` serves the same interface: it is the second implementation, and the network's suite (`world/node/net.test.ts`) runs on both.
 *
 * How it goes: a connection is told of chunks by callback (`ByteSink`), `FrameReader` cuts them into frames, `Connection` does what is the
 * connection's business, and its streams what is theirs. What is sent is put into one buffer, which leaves when the turn of work ends; so a unary
 * call's headers, data and trailers, and those of all calls answered in that turn, are one write. No promise, timer, or object but the stream is made
 * for a call unless someone asks for it.
 *
 * RFC 9113 and RFC 7541. Upstream: golang.org/x/net/http2, google.golang.org/grpc/internal/transport
 */
import type { Http2Engine } from "../../world/net.ts";
import type { Clock } from "../../world/world.ts";
import { dates } from "../dates.ts";
import { ClientConnection } from "./client.ts";
import { Slabs } from "./frame-writer.ts";
import { ServerConnection } from "./server.ts";

export function http2Engine(clock: Clock): Http2Engine {
  const date = dates(clock);
  const slabs = new Slabs();
  return {
    serve: (stream, context) => new ServerConnection(stream, context, { clock, slabs, date }),
    dial: (stream, options) => new ClientConnection(stream, options, { clock, slabs }),
  };
}
