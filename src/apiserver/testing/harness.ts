/** A server for tests: in this process, started, gone at the end of the test; over the etcd stand-in unless the suite runs on another. */
import { generateKeyPairSync } from "node:crypto";
import { silent } from "../../observe/log.ts";
import { Metrics } from "../../observe/metrics.ts";
import type { Client } from "../../client/client.ts";
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import { createClient } from "../../client/create-client.ts";
import type { World } from "../../world/world.ts";
import type { UserInfo } from "../authn/user.ts";
import type { ApiServer, ApiServerOptions } from "../server.ts";
import { createApiServer } from "../server.ts";
import { FakeEtcd } from "./fake-etcd.ts";

/** Who runs the suite on an etcd that is one puts here what makes an empty store (`testing/etcd-of-suite.ts`). */
export const ETCD_OF_SUITE = Symbol.for("t8s.testing.etcd");
type EmptyStores = { readonly [ETCD_OF_SUITE]?: () => Promise<EtcdClient> };

const ADMIN: UserInfo = { name: "admin", groups: ["system:masters", "system:authenticated"] };

export interface Harness extends AsyncDisposable {
  readonly etcd: EtcdClient;
  readonly server: ApiServer;
  /** As an administrator, or as whom. */
  client(user?: UserInfo): Client;
}

const standIn = async (): Promise<EtcdClient> => {
  const etcd = new FakeEtcd();
  // Some history, so that there is a past to be too old for.
  etcd.revision = 5;
  return etcd;
};

/** With `stored` over what another server has stored there. */
export async function startServer(
  world: World,
  options: Partial<ApiServerOptions> = {},
  stored?: EtcdClient,
): Promise<Harness> {
  const etcd = stored ?? (await ((globalThis as EmptyStores)[ETCD_OF_SUITE] ?? standIn)());
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const server = createApiServer(
    {
      serviceAccount: {
        issuer: "https://kubernetes.default.svc.cluster.local",
        signingKey: String(privateKey.export({ type: "pkcs8", format: "pem" })),
      },
      ...options,
    },
    {
      clock: world.clock,
      random: world.random,
      net: world.net,
      fs: world.fs,
      etcd,
      log: silent,
      metrics: new Metrics(),
    },
  );
  const stop = new AbortController();
  const ready = Promise.withResolvers<void>();
  const done = server.run(stop.signal, ready.resolve);
  await Promise.race([ready.promise, done]);
  return {
    etcd,
    server,
    client: (user = ADMIN) => createClient(server.transport(user)),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await done;
    },
  };
}

const ALL_KEYS = { key: Buffer.from("/"), range_end: Buffer.from("0"), keys_only: true };

export async function keysOf({ etcd }: Harness): Promise<readonly string[]> {
  return (await etcd.kv.Range(ALL_KEYS)).kvs.map(({ key }) => Buffer.from(key).toString("latin1"));
}

async function revisionOf({ etcd }: Harness): Promise<number> {
  return (await etcd.kv.Range({ key: Buffer.from("/") })).header!.revision;
}

/** Up to the newest revision. */
export async function compact(harness: Harness): Promise<void> {
  await harness.etcd.kv.Compact({ revision: await revisionOf(harness) });
}
