/** This machine as the world that commands live in, with HTTP/2 of our own. `T8S_HTTP2=node` is the way back to Node's. */
import { http2Engine } from "../wire/http2/engine.ts";
import { nodeWorld, type NodeWorldOptions } from "../world/node/index.ts";
import type { World } from "../world/world.ts";

export function machineWorld(options: Omit<NodeWorldOptions, "http2"> = {}): World {
  return nodeWorld(process.env["T8S_HTTP2"] === "node" ? options : { ...options, http2: http2Engine });
}
