/**
 * etcd as a component: opens the data folder, replays, serves.
 *
 * Upstream: server/embed/etcd.go
 */
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
import { SHOWN_AT_ZERO } from "./metrics.ts";
import { serve, type Serving } from "./serving.ts";
import { Member, type MemberDeps } from "./member.ts";
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
};

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
      const failure = deferred<never>();
      failure.promise.catch(() => {});
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
      const memberDeps: MemberDeps = {
        ...deps,
        ...clustering(whole, deps, etcdCodec()),
        tokens,
        ...(found && { bootstrap: found }),
      };
      const member = await Member.open(whole, memberDeps, (error) =>
        failure.reject(new Error("etcd: the log can't be written any more", { cause: error })),
      );
      peers.serve(peerHandler(member));
      const stopping = new AbortController();
      const health = new HealthState();
      const reading = deps.metrics.from(() => memberReadings(member));
      deps.metrics.declare(...SHOWN_AT_ZERO);
      let serving: Serving | undefined;
      let compacting: Promise<void> | undefined;
      try {
        // A member that the cluster hasn't heard of has nothing to say to clients.
        const ended = Promise.race([aborted, member.removed, failure.promise]).then(() => true);
        if (await Promise.race([ended, member.published])) return;
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
        await serving?.close(DRAIN_MS);
        await compacting;
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
