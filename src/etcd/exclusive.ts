/**
 * Locks a data folder for one process. The lock is a socket in that folder: the kernel releases it when the process ends, however that happens, and
 * what a killed process leaves behind cannot be mistaken for a live lock.
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
