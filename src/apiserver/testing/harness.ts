/** A server over the etcd stand-in, for tests: in this process, started, gone at the end of the test. */
import { generateKeyPairSync } from "node:crypto";
import { silent } from "../../observe/log.ts";
import { Metrics } from "../../observe/metrics.ts";
import type { Client } from "../../client/client.ts";
import { createClient } from "../../client/create-client.ts";
import type { World } from "../../world/world.ts";
import type { UserInfo } from "../authn/user.ts";
import type { ApiServer, ApiServerOptions } from "../server.ts";
import { createApiServer } from "../server.ts";
import { FakeEtcd } from "./fake-etcd.ts";

export const ADMIN: UserInfo = { name: "admin", groups: ["system:masters", "system:authenticated"] };

export interface Harness extends AsyncDisposable {
  readonly etcd: FakeEtcd;
  readonly server: ApiServer;
  /** As an administrator, or as whom. */
  client(user?: UserInfo): Client;
}

/** With `etcd` over what another server has stored there. */
export async function startServer(
  world: World,
  options: Partial<ApiServerOptions> = {},
  etcd = new FakeEtcd(),
): Promise<Harness> {
  // Some history, so that there is a past to be too old for.
  etcd.revision = Math.max(etcd.revision, 5);
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
