/** The back ends of `--proxy-mode`, in upstream's order. ipvs, nftables and userspace are missing. Each is a folder with `render.ts` and `apply.ts`. */
import type { Logger } from "../../observe/log.ts";
import type { World } from "../../world/world.ts";
import type { Backend } from "./backend.ts";
import { iptablesBackend } from "./iptables/apply.ts";
import type { RenderOptions } from "./iptables/render.ts";

export type BackendFactory = (world: Pick<World, "host" | "fs">, options: RenderOptions, log: Logger) => Backend;

export const backends: Readonly<Record<string, BackendFactory>> = {
  iptables: iptablesBackend,
};
