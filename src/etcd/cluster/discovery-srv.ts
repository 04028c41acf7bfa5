/**
 * DNS discovery: `_etcd-server-ssl._tcp.DOMAIN` and `_etcd-server._tcp.DOMAIN` list the hosts and ports of the members. This member recognizes
 * itself by its address; the others are given numbers as names.
 * Upstream: client/pkg/srv/srv.go
 */
import type { Logger } from "../../observe/log.ts";
import type { Address } from "../../world/net.ts";
import type { World } from "../../world/world.ts";
import { parseInitialCluster, type InitialCluster } from "./initial-cluster.ts";
import { resolver, type Resolver } from "./resolver.ts";

export interface SrvOptions {
  readonly domain: string;
  /** `--discovery-srv-name`: a suffix of the service's name. */
  readonly serviceName: string;
  /** In place of those in /etc/resolv.conf. */
  readonly nameServers?: readonly Address[];
}

interface Local {
  readonly name: string;
  readonly initialAdvertisePeerUrls: readonly string[];
}

export async function discoverBySrv(
  { domain, serviceName, nameServers }: SrvOptions,
  { name, initialAdvertisePeerUrls }: Local,
  deps: Pick<World, "clock" | "net" | "fs"> & { readonly log: Logger },
): Promise<InitialCluster> {
  const dns = resolver(deps, nameServers);
  const suffix = serviceName === "" ? "" : `-${serviceName}`;
  const own = await ownAddresses(initialAdvertisePeerUrls, dns);
  const found: string[] = [];
  const failures: unknown[] = [];
  let unnamed = 0;
  for (const [scheme, service] of [
    ["https", `etcd-server-ssl${suffix}`],
    ["http", `etcd-server${suffix}`],
  ] as const) {
    const nodes: string[] = [];
    let failure: unknown;
    try {
      for (const { target, port } of await dns.srv(`_${service}._tcp.${domain}`)) {
        const host = target.includes(":") ? `[${target}]:${port}` : `${target}:${port}`;
        const addresses = await dns.addresses(target);
        if (addresses.length === 0) continue;
        const url = addresses.map((address) => own.get(`${address}:${port}`)).find((one) => one !== undefined);
        if (url !== undefined && !url.startsWith(`${scheme}:`)) {
          failure = new Error(
            `bootstrap at ${scheme}://${host} from DNS for ${service} has scheme mismatch with expected peer ${url}`,
          );
          continue;
        }
        nodes.push(`${url === undefined ? unnamed++ : name}=${scheme}://${host}`);
      }
    } catch (error) {
      failure = error;
    }
    deps.log.info(`get cluster for ${service} SRV`, {
      "service-scheme": scheme,
      "service-name": service,
      "server-name": name,
      "discovery-srv": domain,
      "found-cluster": nodes,
    });
    if (nodes.length === 0 && failure !== undefined) failures.push(failure);
    found.push(...nodes);
  }
  if (found.length === 0)
    throw new Error(`error querying DNS SRV records for _etcd-server${suffix} ${words(failures.at(-1))}`);
  for (const node of found) deps.log.info("got bootstrap from DNS for etcd-server", { node });
  const cluster = parseInitialCluster(found.join(","));
  if (!cluster.has(name)) throw new Error(`cannot find local etcd member ${JSON.stringify(name)} in SRV records`);
  return cluster;
}

/** This member's URLs by address and port. */
async function ownAddresses(urls: readonly string[], dns: Resolver): Promise<ReadonlyMap<string, string>> {
  const own = new Map<string, string>();
  for (const url of urls) {
    const { hostname, port, protocol } = new URL(url);
    for (const address of await dns.addresses(hostname))
      own.set(`${address}:${port || (protocol === "https:" ? 443 : 80)}`, url);
  }
  return own;
}

function words(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
