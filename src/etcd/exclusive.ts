/**
 * One process at a time in a data folder. A socket in it stands for the lock: the kernel lets go of it with the process, however that
 * ends, and nobody mistakes what a killed one left behind for a living one.
 */
import { createHash } from "node:crypto";
import type { World } from "../world/world.ts";

/** Longer socket paths don't fit into the kernel's address. */
const SOCKET_PATH_MAX = 100;

export async function lockDataDir({ fs, net }: Pick<World, "fs" | "net">, dataDir: string): Promise<AsyncDisposable> {
  const folder = `${dataDir}/member`;
  await fs.mkdir(folder, { recursive: true, mode: 0o700 });
  const inside = `${await fs.realpath(folder)}/lock`;
  // A name without a file, in Linux's other space of socket names.
  const path =
    Buffer.byteLength(inside) <= SOCKET_PATH_MAX
      ? inside
      : `\0t8s-etcd-${createHash("sha1").update(inside).digest("hex")}`;
  try {
    return await net.listen({ path }, (stream) => stream.destroy());
  } catch (cause) {
    if ((cause as { code?: string }).code !== "EADDRINUSE") throw cause;
    throw new Error(`etcd: ${dataDir} is in use by another process`, { cause });
  }
}
