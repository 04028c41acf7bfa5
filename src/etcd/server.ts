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
import { etcdError } from "../protocols/etcd/errors.ts";
import type { World } from "../world/world.ts";
import { clusterService } from "./api/cluster.ts";
import { kvService } from "./api/kv.ts";
import { leaseService } from "./api/lease.ts";
import { maintenanceService } from "./api/maintenance.ts";
import { watchService } from "./api/watch.ts";
import { directClient } from "./direct-client.ts";
import { Member } from "./member.ts";
import { DEFAULTS, type EtcdOptions } from "./options.ts";

export type EtcdDeps = Pick<World, "clock" | "random" | "fs" | "net"> & {
  readonly log: Logger;
  readonly metrics: Metrics;
};

export interface EtcdServer extends Component {
  /** Calls the member in this process. It may be made at any time, and fails with "no leader" while the member doesn't run. */
  client(): EtcdClient;
}

/** Everything but the data folder has upstream's default. */
export function createEtcd(options: Partial<EtcdOptions> & Pick<EtcdOptions, "dataDir">, deps: EtcdDeps): EtcdServer {
  const whole: EtcdOptions = { ...DEFAULTS, ...options };
  let services: ReturnType<typeof servicesOf> | undefined;
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
      const member = await Member.open(whole, deps, (error) =>
        failure.reject(new Error("etcd: the log can't be written any more", { cause: error })),
      );
      try {
        services = servicesOf(member, deps);
        deps.log.info("ready to serve client requests", { revision: member.store.revision });
        ready();
        const aborted = new Promise<void>((resolve) => {
          if (signal.aborted) resolve();
          else signal.addEventListener("abort", () => resolve(), { once: true });
        });
        await Promise.race([aborted, failure.promise]);
      } finally {
        services = undefined;
        await member.close();
      }
    },
  };
}

function servicesOf(member: Member, { random }: EtcdDeps) {
  return {
    kv: kvService(member),
    watch: watchService(member),
    lease: leaseService(member, random),
    maintenance: maintenanceService(member),
    cluster: clusterService(member),
  };
}
