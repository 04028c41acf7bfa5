/**
 * How a member without data learns of its cluster: from its flags, from the members that are running, from DNS, or from another etcd where all
 * members register. A member with data knows it from its log.
 * Upstream: server/etcdserver/bootstrap.go, server/embed/config.go (PeerURLsMapAndToken)
 */
import type { Logger } from "../../observe/log.ts";
import type { Member } from "../../protocols/etcd/generated.ts";
import type { NodeId } from "../../raft/types.ts";
import type { World } from "../../world/world.ts";
import type { EtcdOptions } from "../options.ts";
import { joinByDiscovery } from "./discovery.ts";
import { discoverBySrv } from "./discovery-srv.ts";
import { clusterId, hexId } from "./identity.ts";
import {
  byAddress,
  checkExisting,
  checkNew,
  formatInitialCluster,
  membersOf,
  parseInitialCluster,
  parseUrls,
  plainUrl,
  refuseDuplicates,
  sameUrls,
  type Canonical,
  type InitialCluster,
} from "./initial-cluster.ts";
import { remotes, type Remotes } from "./remote.ts";
import { resolver } from "./resolver.ts";
import { mayJoin } from "./versions.ts";

export interface Bootstrap {
  readonly id: NodeId;
  readonly clusterId: bigint;
  /** All members, this one included. */
  readonly members: readonly Member[];
  /** The cluster runs already: its log and its members come from the others. */
  readonly joins: boolean;
}

export type BootstrapDeps = Pick<World, "clock" | "net" | "fs"> & { readonly log: Logger };

const ASK_TIMEOUT_MS = 10_000;

/** For a member whose log doesn't exist yet. Throws why it can't start. */
export async function bootstrap(options: EtcdOptions, deps: BootstrapDeps): Promise<Bootstrap> {
  const { cluster, token } = await initialCluster(options, deps);
  const asking = remotes({ ...peerTls(options), requestTimeoutMs: requestTimeoutMs(options) }, deps);
  return options.initialClusterState === "existing"
    ? joinExisting(options, cluster, token, asking, deps)
    : startNew(options, cluster, token, asking, deps);
}

/** What upstream grants a request: a disk's time, and two elections. */
export function requestTimeoutMs({ electionTimeoutMs }: EtcdOptions): number {
  return 5000 + 2 * electionTimeoutMs;
}

export function peerTls({ peerClientTls }: EtcdOptions): { readonly tls?: NonNullable<EtcdOptions["peerClientTls"]> } {
  return peerClientTls === undefined ? {} : { tls: peerClientTls };
}

/** The cluster as the flags tell it, and the token that goes into the members' ids. */
async function initialCluster(
  options: EtcdOptions,
  deps: BootstrapDeps,
): Promise<{ readonly cluster: InitialCluster; readonly token: string }> {
  const { name, initialClusterToken: token, initialAdvertisePeerUrls, discovery, discoverySrv } = options;
  const own: InitialCluster = new Map([[name, parseUrls(initialAdvertisePeerUrls)]]);
  if (discovery !== undefined) return { cluster: own, token: discovery.token };
  if (discoverySrv !== undefined) return { cluster: await discoverBySrv(discoverySrv, options, deps), token };
  return { cluster: options.initialCluster === "" ? own : parseInitialCluster(options.initialCluster), token };
}

async function startNew(
  options: EtcdOptions,
  cluster: InitialCluster,
  token: string,
  asking: Remotes,
  deps: BootstrapDeps,
): Promise<Bootstrap> {
  const { name, initialAdvertisePeerUrls: advertisedUrls, discovery } = options;
  const local = { name, advertisedUrls };
  const canonical = await byAddress([...(cluster.get(name) ?? []), ...advertisedUrls], addressesBy(options, deps));
  checkNew(cluster, local, discovery !== undefined, canonical);
  const members = membersOf(cluster, token);
  const self = members.find((member) => member.name === name)!;
  if (await isBootstrapped(self, members, asking, options))
    throw new Error(`member ${hexId(self.ID)} has already been bootstrapped`);
  if (discovery === undefined) return fresh(self.ID, members);
  deps.log.info("Bootstrapping cluster using v3 discovery.");
  const joined = parseInitialCluster(await joinByDiscovery(discovery, self.ID, formatInitialCluster(cluster), deps));
  refuseDuplicates(joined, "discovery cluster");
  return fresh(self.ID, membersOf(joined, token));
}

function fresh(id: NodeId, members: readonly Member[]): Bootstrap {
  return { id, clusterId: clusterId(members.map((member) => member.ID)), members, joins: false };
}

/** Flags and members may name the same host by its name and by its address. */
function addressesBy({ discoverySrv }: EtcdOptions, deps: BootstrapDeps): (host: string) => Promise<readonly string[]> {
  const dns = resolver(deps, discoverySrv?.nameServers);
  return (host) => dns.addresses(host);
}

/** A member that the others know as started has lost its data: started anew, it would forget what it has promised. */
async function isBootstrapped(
  self: Member,
  members: readonly Member[],
  asking: Remotes,
  options: EtcdOptions,
): Promise<boolean> {
  const urls = urlsOfOthers(members, self.name);
  if (urls.length === 0) return false;
  try {
    const { members: known } = await asking.cluster(urls, bootstrapTimeoutMs(options), true);
    return (known.find((member) => member.ID === self.ID)?.clientURLs.length ?? 0) > 0;
  } catch {
    return false; // Nobody runs yet.
  }
}

function bootstrapTimeoutMs({ electionTimeoutMs }: EtcdOptions): number {
  return 1000 + electionTimeoutMs;
}

async function joinExisting(
  options: EtcdOptions,
  cluster: InitialCluster,
  token: string,
  asking: Remotes,
  deps: BootstrapDeps,
): Promise<Bootstrap> {
  const { log } = deps;
  const { name, initialAdvertisePeerUrls: advertisedUrls, discovery, maxLearners } = options;
  checkExisting(cluster, { name, advertisedUrls }, discovery !== undefined);
  const told = membersOf(cluster, token);
  let running;
  try {
    running = await asking.cluster(urlsOfOthers(told, name), ASK_TIMEOUT_MS);
  } catch (error) {
    throw new Error(`cannot fetch cluster info from peer urls: ${error instanceof Error ? error.message : error}`, {
      cause: error,
    });
  }
  const urls = [...told, ...running.members].flatMap((member) => member.peerURLs);
  const members = matchMembers(told, running.members, await byAddress(urls, addressesBy(options, deps)));
  const self = members.find((member) => member.name === name)!;
  const others = members.filter((member) => member !== self);
  const versions = await Promise.all(others.map((member) => asking.versions(member)));
  if (!mayJoin(versions, await isDowngrading(others, asking)))
    throw new Error("incompatible with current running cluster");
  if (running.members.filter((member) => member.isLearner).length > maxLearners)
    throw new Error("membership: too many learner members in cluster");
  log.info("joining a running cluster", {
    "local-member-id": hexId(self.ID),
    "cluster-id": hexId(running.clusterId),
  });
  return { id: self.ID, clusterId: running.clusterId, members, joins: true };
}

/** The members that were told of, under the ids that they have in the running cluster. */
export function matchMembers(
  told: readonly Member[],
  running: readonly Member[],
  canonical: Canonical = plainUrl,
): readonly Member[] {
  const words = (reason: string) =>
    `error validating peerURLs {Members:[${running.map((member) => `${hexId(member.ID)} ${member.peerURLs.join(",")}`).join(" ")}]}: ${reason}`;
  if (told.length !== running.length) throw new Error(words("member count is unequal"));
  const left = [...told];
  return running.map((member) => {
    const at = left.findIndex((one) => sameUrls(one.peerURLs, member.peerURLs, canonical));
    if (at < 0)
      throw new Error(
        words(`PeerURLs: no match found for existing member (${hexId(member.ID)}, [${member.peerURLs.join(" ")}])`),
      );
    const [match] = left.splice(at, 1);
    return { ...member, name: match!.name };
  });
}

async function isDowngrading(others: readonly Member[], asking: Remotes): Promise<boolean> {
  for (const member of others) {
    const enabled = await asking.downgradeEnabled(member);
    if (enabled !== undefined) return enabled;
  }
  return false;
}

function urlsOfOthers(members: readonly Member[], name: string): readonly string[] {
  return members
    .filter((member) => member.name !== name)
    .flatMap((member) => member.peerURLs)
    .sort();
}
