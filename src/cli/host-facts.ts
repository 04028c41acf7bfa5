/** What `up` finds out about the machine before it starts. */
import type { Address } from "../world/net.ts";
import type { World } from "../world/world.ts";

/** The machine's first IPv4 address that others can reach; the loopback address where there is none. */
export function primaryAddress({ host }: Pick<World, "host">): string {
  return (
    host
      .interfaces()
      .find(({ family, internal, name }) => family === 4 && !internal && !/^(cni|docker|veth|br-)/.test(name))
      ?.address ?? "127.0.0.1"
  );
}

/** The name servers of /etc/resolv.conf, without ones on the loopback that would be us. */
export async function nameServers({ fs }: Pick<World, "fs">, path = "/etc/resolv.conf"): Promise<readonly Address[]> {
  if ((await fs.stat(path)) === undefined) return [];
  const text = Buffer.from(await fs.readFile(path)).toString();
  return [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, host]) => ({ host: host!, port: 53 }));
}

/** A port that is free now, `wanted` if it can be had. */
export async function freePort({ net }: Pick<World, "net">, host: string, wanted: number): Promise<number> {
  for (const port of [wanted, 0]) {
    try {
      await using listener = await net.listen({ host, port }, (stream) => stream.destroy());
      return listener.address.port;
    } catch (error) {
      if (port === 0) throw error;
    }
  }
  return 0;
}
