/**
 * Discovery through another etcd: each member registers under the cluster's token until there are as many as the size that is stored there. The
 * first to register form the cluster.
 * Upstream: server/etcdserver/api/v3discovery/discovery.go
 */
import type { Logger } from "../../observe/log.ts";
import { connectEtcd, etcdCodec } from "../../protocols/etcd/connect.ts";
import { Auth } from "../../protocols/etcd/generated.ts";
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import { grpcClient } from "../../wire/rpc/grpc-client.ts";
import type { ClientTls } from "../../world/net.ts";
import { deadline, sleep } from "../../world/time.ts";
import type { World } from "../../world/world.ts";
import { hexId } from "./identity.ts";

export interface DiscoveryOptions {
  readonly token: string;
  readonly endpoints: readonly string[];
  readonly requestTimeoutMs: number;
  readonly tls?: ClientTls;
  readonly user?: string;
  readonly password?: string;
}

const POLL_MS = 500;
const BACKOFF_MAX = 8;

type Deps = Pick<World, "clock" | "net"> & { readonly log: Logger };

/** Registers, waits for the others, and gives the cluster as `--initial-cluster` would. */
export async function joinByDiscovery(
  options: DiscoveryOptions,
  id: bigint,
  config: string,
  deps: Deps,
): Promise<string> {
  const log = deps.log.with({ "discovery-token": options.token, "discovery-endpoints": options.endpoints.join(",") });
  const registry = new Registry(await connect(options, deps), options, { ...deps, log });
  try {
    const cluster = await registry.join(hexId(id), config);
    log.info("discovery joined cluster successfully", { cluster });
    return cluster;
  } catch (error) {
    log.error("discovery failed to join cluster", error);
    throw new Error(`failed to join discovery cluster (${error instanceof Error ? error.message : error})`, {
      cause: error,
    });
  } finally {
    await registry.close();
  }
}

async function connect(options: DiscoveryOptions, deps: Deps): Promise<EtcdClient> {
  const { endpoints, tls, user, password = "" } = options;
  const base = endpoints.map((endpoint) => (endpoint.includes("://") ? endpoint : `http://${endpoint}`));
  const known = { endpoints: base, ...(tls && { tls }) };
  if (user === undefined || user === "") return connectEtcd(deps, known);
  await using http = deps.net.httpClient({ base: base[0]!, version: "2", ...(tls && { tls }) });
  const { token } = await grpcClient(Auth, { http, clock: deps.clock, codec: etcdCodec() }).Authenticate({
    name: user,
    password,
  });
  return connectEtcd(deps, { ...known, metadata: { token } });
}

class Registry {
  readonly #client: EtcdClient;
  readonly #options: DiscoveryOptions;
  readonly #deps: Deps;
  readonly #prefix: string;

  constructor(client: EtcdClient, options: DiscoveryOptions, deps: Deps) {
    this.#client = client;
    this.#options = options;
    this.#deps = deps;
    this.#prefix = `/_etcd/registry/${options.token}`;
  }

  async join(id: string, config: string): Promise<string> {
    const { log, clock } = this.#deps;
    const memberKey = `${this.#prefix}/members/${id}`;
    const size = await this.#retried("cluster status check", () => this.#size());
    refuseFull(await this.#retried("cluster status check", () => this.#members()), size, memberKey);
    await this.#retried("register member itself", () =>
      this.#limited((signal) =>
        this.#client.kv.Put({ key: Buffer.from(memberKey), value: Buffer.from(config) }, { signal }),
      ),
    );
    log.info("register member itself successfully", { memberKey, memberInfo: config });
    for (;;) {
      const members = await this.#retried("cluster status check", () => this.#members());
      refuseFull(members, size, memberKey);
      if (members.length >= size) {
        log.info("found all needed peers from discovery service", { clusterSize: size, "found-peers": members.length });
        return members
          .slice(0, size)
          .map(({ info }) => info)
          .join(",");
      }
      await sleep(clock, POLL_MS);
    }
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  async #size(): Promise<number> {
    const { kvs } = await this.#limited((signal) =>
      this.#client.kv.Range({ key: Buffer.from(`${this.#prefix}/_config/size`) }, { signal }),
    );
    if (kvs[0] === undefined) throw new Refusal("discovery: size key not found");
    const size = Number(Buffer.from(kvs[0].value).toString());
    if (!Number.isInteger(size) || size <= 0) throw new Refusal("discovery: size key is bad");
    return size;
  }

  /** Those who registered, first come first. */
  async #members(): Promise<readonly { readonly key: string; readonly info: string }[]> {
    const prefix = `${this.#prefix}/members`;
    const { kvs } = await this.#limited((signal) =>
      this.#client.kv.Range({ key: Buffer.from(`${prefix}/`), range_end: Buffer.from(`${prefix}0`) }, { signal }),
    );
    return [...kvs]
      .sort((a, b) => a.create_revision - b.create_revision)
      .map(({ key, value }) => ({
        key: Buffer.from(key).toString().trim(),
        info: Buffer.from(value).toString().trim(),
      }))
      .filter(({ info }) => info.includes("="));
  }

  #limited<T>(call: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const limit = deadline(this.#deps.clock, this.#options.requestTimeoutMs);
    return call(limit.signal).finally(() => limit[Symbol.dispose]());
  }

  /** Until the service answers: a cluster that is being made may come before it. */
  async #retried<T>(step: string, call: () => Promise<T>): Promise<T> {
    for (let retry = 1; ; retry++) {
      try {
        return await call();
      } catch (error) {
        if (error instanceof Refusal) throw error;
        const backoffMs = 2 ** Math.min(retry, BACKOFF_MAX) * 1000;
        this.#deps.log.warn("retry connecting to discovery service", {
          reason: step,
          backoff: `${backoffMs / 1000}s`,
          error: String(error),
        });
        await sleep(this.#deps.clock, backoffMs);
      }
    }
  }
}

/** What trying again doesn't change. */
class Refusal extends Error {}

function refuseFull(members: readonly { readonly key: string }[], size: number, memberKey: string): void {
  const at = members.findIndex(({ key }) => key === memberKey);
  if (at >= size || (at < 0 && members.length >= size)) throw new Refusal("discovery: cluster is full");
}
