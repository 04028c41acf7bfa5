/**
 * HTTP/2: protocol code over the byte streams of the `World`. A call costs a tenth of what it costs with `node:http2`, and the same code runs in the
 * simulation.
 *
 * Where it fits: `world/net.ts` has the interface (`Http2Engine`). `world/node` listens, dials, does TLS with ALPN, and passes connections that
 * speak HTTP/2 to the engine that it was created with (`cli` installs this one). Without an engine, `node:http2` serves the same interface; the
 * tests of the network (`world/node/net.test.ts`) run against both.
 *
 * How it works: a connection receives chunks by callback (`ByteSink`). `FrameReader` cuts them into frames; `Connection` handles those that concern
 * the connection, and its streams the others. Output is collected in one buffer that is written when the turn of work ends, so the headers, data and
 * trailers of a unary call, and of all calls answered in that turn, are one write. A call needs no promise, no timer and no object but its stream
 * unless somebody asks for one.
 *
 * RFC 9113 and RFC 7541.
 *
 * Upstream: golang.org/x/net/http2, google.golang.org/grpc/internal/transport
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
