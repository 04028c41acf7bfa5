/** The real machine as a `World`, with our own HTTP. `T8S_HTTP1=node` and `T8S_HTTP2=node` select Node's instead. */
import { http1Engine } from "../wire/http1/engine.ts";
import { http2Engine } from "../wire/http2/engine.ts";
import { nodeWorld, type NodeWorldOptions } from "../world/node/index.ts";
import type { World } from "../world/world.ts";

export function machineWorld(options: Omit<NodeWorldOptions, "http1" | "http2"> = {}): World {
  return nodeWorld({
    ...options,
    ...(process.env["T8S_HTTP1"] !== "node" && { http1: http1Engine }),
    ...(process.env["T8S_HTTP2"] !== "node" && { http2: http2Engine }),
  });
}
