/** etcd as a component: opens the data folder, replays the log, and serves. Upstream: server/embed/etcd.go */
import type { Component } from "../base/component-group.ts";
import { deferred } from "../base/deferred.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { EtcdClient } from "../protocols/etcd/client.ts";
import { etcdCodec } from "../protocols/etcd/connect.ts";
import { etcdError } from "../protocols/etcd/errors.ts";
import type { World } from "../world/world.ts";
import { authService } from "./api/auth.ts";
import { clusterService } from "./api/cluster.ts";
import type { Failpoints } from "./failpoints.ts";
import { HealthState } from "./api/health.ts";
import { kvService } from "./api/kv.ts";
import { leaseService } from "./api/lease.ts";
import { maintenanceService } from "./api/maintenance.ts";
import { watchService } from "./api/watch.ts";
import { tokenProvider } from "./auth/tokens.ts";
import { bootstrap } from "./cluster/bootstrap.ts";
import { directClient } from "./direct-client.ts";
import { lockDataDir } from "./exclusive.ts";
import { runAutoCompaction } from "./auto-compaction.ts";
import { memberReadings } from "./readings.ts";
import { CorruptionCheck } from "./corruption.ts";
import { hashRevDuration, SHOWN_AT_ZERO } from "./metrics.ts";
import { serve, type Serving } from "./serving.ts";
import { duration } from "./duration.ts";
import { ETCD_VERSION, Member, type MemberDeps } from "./member.ts";
import { DEFAULTS, type EtcdOptions } from "./options.ts";
import { peerHandler } from "./peer/handler.ts";
import { clustering, listenToPeers } from "./peers.ts";
import { Wal } from "./wal/wal.ts";

export type EtcdDeps = Pick<World, "clock" | "random" | "fs" | "net"> & {
  readonly log: Logger;
  readonly metrics: Metrics;
  /** How the process was started, for `/debug/vars`. */
  readonly commandLine?: readonly string[];
  readonly failpoints?: Failpoints;
  /** For who tests the member from within. */
  readonly seams?: MemberSeams;
};

export interface MemberSeams {
  /** What the member is given, changed. */
  given?(deps: MemberDeps): MemberDeps;
  /** The member has been opened, and takes part from now on. */
  opened?(member: Member): void;
}

export interface EtcdServer extends Component {
  /** Calls the member in this process. It may be made at any time, and fails with "no leader" while the member doesn't run. */
  client(): EtcdClient;
}

/** What requests under way get to end when the member stops. */
const DRAIN_MS = 500;

/** Everything but the data folder has upstream's default. */
export function createEtcd(options: Partial<EtcdOptions> & Pick<EtcdOptions, "dataDir">, deps: EtcdDeps): EtcdServer {
  const whole: EtcdOptions = { ...DEFAULTS, ...options };
  let services: EtcdServices | undefined;
  return {
    name: "etcd",
    client: () =>
      directClient(() => {
        if (services === undefined) throw etcdError("noLeader");
        return services;
      }),
    async run(signal, ready) {
      logStart(whole, deps);
      const failure = deferred<never>();
      failure.promise.catch(() => {}); // A start that fails otherwise never awaits it.
      await using _lock = await lockDataDir(deps, whole.dataDir);
      const tokens = await tokenProvider(whole.authToken, whole.authTokenTtlSeconds, deps);
      // Before the member has a data folder: a taken port leaves nothing behind.
      await using peers = await listenToPeers(whole, deps);
      const isNew = !(await Wal.exists(deps.fs, walFolder(whole)));
      const aborted = new Promise<undefined>((resolve) => {
        if (signal.aborted) resolve(undefined);
        else signal.addEventListener("abort", () => resolve(undefined), { once: true });
      });
      const found = isNew ? await Promise.race([bootstrap(whole, deps), aborted]) : undefined;
      if (signal.aborted) return;
      const given: MemberDeps = {
        ...deps,
        ...clustering(whole, deps, etcdCodec()),
        tokens,
        ...(found && { bootstrap: found }),
      };
      const member = await Member.open(whole, deps.seams?.given?.(given) ?? given, (error) =>
        failure.reject(new Error("etcd: the member can't go on", { cause: error })),
      );
      deps.seams?.opened?.(member);
      await mayDefragment(whole, member, deps);
      peers.serve(peerHandler(member));
      const stopping = new AbortController();
      const health = new HealthState(deps.log);
      const reading = deps.metrics.from(() => memberReadings(member));
      deps.metrics.declare(...SHOWN_AT_ZERO);
      let serving: Serving | undefined;
      let compacting: Promise<void> | undefined;
      let checking: Promise<void> | undefined;
      try {
        // A member that the cluster hasn't heard of has nothing to say to clients.
        const ended = Promise.race([aborted, member.removed, failure.promise]).then(() => true);
        if (await Promise.race([ended, member.published])) return;
        // Where the gate says so, balancers send nobody here while the file is being tidied.
        if (whole.features.StopGRPCServiceOnDefrag)
          member.maintenance.onDefragment = (isActive) => health.set(isActive ? "NOT_SERVING" : "SERVING");
        const corruption = corruptionCheck(member, deps);
        if (whole.features.InitialCorruptCheck && !isNew) await corruption.initial();
        checking = corruption.run(
          {
            periodicMs: whole.corruptCheckTimeMs,
            compactionsMs: whole.features.CompactHashCheck ? whole.compactHashCheckTimeMs : 0,
          },
          stopping.signal,
        );
        services = servicesOf(member, deps);
        serving = await serve(whole, member, services, health, deps);
        if (whole.autoCompaction !== undefined)
          compacting = runAutoCompaction(
            whole.autoCompaction,
            {
              ...deps,
              revision: () => member.store.revision,
              isLeader: () => member.leader === member.id,
              compact: (revision) => member.propose({ compaction: { revision } }, member.auth.asRoot),
            },
            stopping.signal,
          );
        deps.log.info("ready to serve client requests", { revision: member.store.revision });
        ready();
        await ended;
      } finally {
        services = undefined;
        deps.log.info("closing etcd server", { name: whole.name, "data-dir": whole.dataDir });
        // Streams end with the reason, requests under way with their answer; what takes longer is cut.
        stopping.abort();
        health.close();
        member.stopStreams();
        await serving?.close(member.isStopped ? 0 : DRAIN_MS);
        await compacting;
        await checking;
        await member.close();
        reading[Symbol.dispose]();
        deps.log.info("closed etcd server", { name: whole.name, "data-dir": whole.dataDir });
      }
    },
  };
}

/** Where the log is. */
function walFolder({ walDir, dataDir }: EtcdOptions): string {
  return walDir || `${dataDir}/member/wal`;
}

/** As upstream tells them: what it runs with. */
function logStart(options: EtcdOptions, { log }: EtcdDeps): void {
  log.info("starting an etcd server", {
    "etcd-version": ETCD_VERSION,
    name: options.name,
    "data-dir": options.dataDir,
    "wal-dir": options.walDir,
    "member-dir": `${options.dataDir}/member`,
    "force-new-cluster": options.forceNewCluster,
    "heartbeat-interval": `${options.heartbeatIntervalMs}ms`,
    "election-timeout": duration(options.electionTimeoutMs),
    "initial-election-tick-advance": options.initialElectionTickAdvance,
    "snapshot-count": options.snapshotCount,
    "snapshot-catchup-entries": options.snapshotCatchupEntries,
    "initial-advertise-peer-urls": options.initialAdvertisePeerUrls,
    "listen-peer-urls": options.listenPeerUrls,
    "advertise-client-urls": options.advertiseClientUrls,
    "listen-client-urls": options.listenClientUrls,
    "listen-metrics-urls": options.listenMetricsUrls,
    cors: options.cors,
    "host-whitelist": options.hostWhitelist,
    "initial-cluster": options.initialCluster,
    "initial-cluster-state": options.initialClusterState,
    "initial-cluster-token": options.initialClusterToken,
    "quota-backend-bytes": options.quotaBackendBytes,
    "max-request-bytes": options.maxRequestBytes,
    "pre-vote": options.preVote,
    "feature-gates": Object.entries(options.features)
      .map(([name, on]) => `${name}=${on}`)
      .join(","),
    "auto-compaction-mode": options.autoCompaction?.mode ?? "",
    "max-learners": options.maxLearners,
  });
}

function corruptionCheck(member: Member, { clock, log }: EtcdDeps): CorruptionCheck {
  return new CorruptionCheck({
    clock,
    log,
    localId: member.id,
    isLeader: () => member.leadership.isLeader,
    hash: async (revision) => {
      const { hash, compactRevision } = await member.maintenance.hash(hashRevDuration, revision);
      return { hash, compactRevision, revision: member.store.revision };
    },
    compactions: () => member.compactions.hashes.all,
    peerHashes: (revision) => member.maintenance.peerHashes(revision),
    linearizable: () => member.linearizable(),
    raiseAlarm: (memberID) => member.propose({ alarm: { action: "ACTIVATE", memberID, alarm: "CORRUPT" } }),
  });
}

/** At the start, when nobody waits yet, and where it is worth it. */
async function mayDefragment(options: EtcdOptions, member: Member, { log }: EtcdDeps): Promise<void> {
  const threshold = options.bootstrapDefragThresholdMegabytes * 1024 * 1024;
  if (threshold === 0) return;
  const { sizeBytes, inUseBytes } = member.store.backend;
  if (sizeBytes - inUseBytes >= threshold) return member.maintenance.defragment();
  log.info("Skipping defragmentation", {
    "current-db-size-bytes": sizeBytes,
    "current-db-size-in-use-bytes": inUseBytes,
    "bootstrap-defrag-threshold-bytes": threshold,
  });
}

export type EtcdServices = ReturnType<typeof servicesOf>;

export function servicesOf(member: Member, { random }: EtcdDeps) {
  return {
    kv: kvService(member),
    watch: watchService(member),
    lease: leaseService(member, random),
    maintenance: maintenanceService(member),
    cluster: clusterService(member),
    auth: authService(member),
  };
}
