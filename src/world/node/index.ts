/** The real world: this machine's clock, randomness, files, sockets and programs. The only folder below `cli` that touches them. */
import type { Http1Engine, Http2Engine } from "../net.ts";
import type { Clock, World } from "../world.ts";
import { nodeClock } from "./clock.ts";
import { nodeFs } from "./fs.ts";
import { nodeHost } from "./host.ts";
import type { OnHandlerError } from "./http-server.ts";
import { nodeNet } from "./net.ts";
import { nodeRandom } from "./random.ts";

export interface NodeWorldOptions {
  /** Told of each error that an HTTP handler threw; its client got a 500. */
  readonly onHandlerError?: OnHandlerError;
  /** What serves HTTP/1; without it `node:http` does. */
  readonly http1?: (clock: Clock) => Http1Engine;
  /** What speaks HTTP/2; without it `node:http2` does. */
  readonly http2?: (clock: Clock) => Http2Engine;
}

export function nodeWorld({ onHandlerError = () => {}, http1, http2 }: NodeWorldOptions = {}): World {
  const random = nodeRandom();
  return {
    clock: nodeClock,
    random,
    net: nodeNet(onHandlerError, { http1: http1?.(nodeClock), http2: http2?.(nodeClock) }),
    fs: nodeFs(random),
    host: nodeHost(),
  };
}
