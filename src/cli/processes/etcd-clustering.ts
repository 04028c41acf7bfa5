/** Turns the clustering flags into the options of a member. Upstream: server/embed/config.go */
import type { EtcdOptions } from "../../etcd/options.ts";
import type { World } from "../../world/world.ts";
import { CommandError } from "../command.ts";
import type { Values } from "../flags.ts";
import type { etcdFlags } from "../flags/etcd.ts";
import { readOptional, readPair } from "./files.ts";

type Options = Values<typeof etcdFlags>;

export async function clusteringOf(world: World, options: Options): Promise<Partial<EtcdOptions>> {
  const state = options["initial-cluster-state"];
  if (state !== "new" && state !== "existing")
    throw new CommandError(`invalid value ${JSON.stringify(state)} for flag -initial-cluster-state`);
  const token = options["discovery-token"];
  const endpoints = options["discovery-endpoints"];
  const domain = options["discovery-srv"];
  const ways = [options["initial-cluster"] !== "", endpoints.length > 0, domain !== ""].filter(Boolean).length;
  if (ways > 1)
    throw new CommandError(
      'multiple discovery or bootstrap flags are set. Choose one of "initial-cluster", "discovery-endpoints" or "discovery-srv"',
    );
  if (token === "" && endpoints.length > 0)
    throw new CommandError("both --discovery-endpoints and --discovery-token must be set");
  if (token !== "" && endpoints.length === 0)
    throw new CommandError("both --discovery-endpoints and --discovery-token must be set");
  return {
    listenPeerUrls: options["listen-peer-urls"],
    initialAdvertisePeerUrls: options["initial-advertise-peer-urls"],
    initialCluster: options["initial-cluster"],
    initialClusterState: state,
    initialClusterToken: options["initial-cluster-token"],
    strictReconfigCheck: options["strict-reconfig-check"],
    preVote: options["pre-vote"],
    initialElectionTickAdvance: options["initial-election-tick-advance"],
    maxLearners: options["max-learners"],
    snapshotCatchupEntries: options["snapshot-catchup-entries"],
    downgradeCheckTimeMs: options["downgrade-check-time"],
    raftReadTimeoutMs: options["raft-read-timeout"],
    raftWriteTimeoutMs: options["raft-write-timeout"],
    forceNewCluster: options["force-new-cluster"],
    ...(endpoints.length > 0 && { discovery: await discoveryOf(world, options) }),
    ...(domain !== "" && { discoverySrv: { domain, serviceName: options["discovery-srv-name"] } }),
  };
}

async function discoveryOf(world: World, options: Options): Promise<NonNullable<EtcdOptions["discovery"]>> {
  const [user = "", password = options["discovery-password"]] = options["discovery-user"].split(":");
  const pair = await readPair(
    world.fs,
    ["discovery-cert", options["discovery-cert"]],
    ["discovery-key", options["discovery-key"]],
  );
  const ca = await readOptional(world.fs, options["discovery-cacert"]);
  const insecureSkipVerify = options["discovery-insecure-skip-tls-verify"];
  return {
    token: options["discovery-token"],
    endpoints: options["discovery-endpoints"],
    requestTimeoutMs: options["discovery-request-timeout"],
    tls: { ...pair, ...(ca !== undefined && { ca }), ...(insecureSkipVerify && { insecureSkipVerify }) },
    ...(user !== "" && { user, password }),
  };
}
