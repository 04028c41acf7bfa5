/**
 * Fills in the token Secrets that users create, and deletes those whose service account is gone.
 * Upstream: pkg/controller/serviceaccount/tokens_controller.go
 */
import type { Secret, ServiceAccount } from "../../api/generated/core.v1.ts";
import type { Client } from "../../client/client.ts";
import { defineController, done } from "../../client/controller.ts";
import { secrets, serviceAccounts } from "../../client/resources.ts";
import { keyOf, splitKey } from "../../machinery/meta/object.ts";
import { hasReason } from "../../machinery/status.ts";
import { legacyToken } from "./token.ts";

const TYPE = "kubernetes.io/service-account-token";
const ACCOUNT_NAME = "kubernetes.io/service-account.name";
const ACCOUNT_UID = "kubernetes.io/service-account.uid";

export const serviceAccountTokenController = defineController({
  name: "serviceaccount-token-controller",
  aliases: ["serviceaccount-token"],
  workers: { flag: "concurrent-serviceaccount-token-syncs", default: 5 },
  retriesMax: 10,
  triggers: [
    {
      resource: secrets,
      keys: (secret: Secret) => (secret.type === TYPE ? [keyOf(secret)] : []),
    },
    {
      // An account that is gone or new concerns the secrets that name it.
      resource: serviceAccounts,
      on: ["add", "delete"],
      keys: (account: ServiceAccount, informers) =>
        informers
          .of(secrets)
          .list(account.metadata.namespace)
          .filter(
            (secret) => secret.type === TYPE && secret.metadata.annotations?.[ACCOUNT_NAME] === account.metadata.name,
          )
          .map(keyOf),
    },
  ],
  create({ informers, options }) {
    const key = options["service-account-key"];
    const ca = options["root-ca"];
    return {
      async reconcile(name, signal, client) {
        if (typeof key !== "string") return done;
        const secret = informers.of(secrets).get(name);
        if (secret === undefined) {
          await dropReference(
            client,
            informers.of(serviceAccounts).list(splitKey(name).namespace),
            splitKey(name).name,
            signal,
          );
          return done;
        }
        if (secret.type !== TYPE || secret.metadata.deletionTimestamp !== undefined) return done;
        const at = { namespace: secret.metadata.namespace ?? "", name: secret.metadata.name };
        const account = await accountOf(
          client,
          secret,
          informers.of(serviceAccounts).get(`${at.namespace}/${accountName(secret)}`),
          signal,
        );
        try {
          if (account === undefined) {
            await client.delete(secrets, at, { preconditions: { uid: secret.metadata.uid }, signal });
            return done;
          }
          const live = await client.get(secrets, at, { signal });
          if (live.metadata.resourceVersion !== secret.metadata.resourceVersion) return done; // Its event is on the way.
          const filled = fill(live, account, key, typeof ca === "string" ? ca : undefined);
          if (filled !== live) await client.update(secrets, filled, { signal });
        } catch (error) {
          if (!hasReason(error, "NotFound", "Conflict")) throw error;
        }
        return done;
      },
    };
  },
});

const accountName = ({ metadata }: Secret) => metadata.annotations?.[ACCOUNT_NAME] ?? "";

/** The account that the secret names, from the cache or, where the cache has none, from the server. */
async function accountOf(
  client: Client,
  secret: Secret,
  cached: ServiceAccount | undefined,
  signal: AbortSignal,
): Promise<ServiceAccount | undefined> {
  const uid = secret.metadata.annotations?.[ACCOUNT_UID];
  const fits = (account: ServiceAccount) => uid === undefined || uid === "" || account.metadata.uid === uid;
  if (cached !== undefined && fits(cached)) return cached;
  if (accountName(secret) === "") return undefined;
  try {
    const live = await client.get(
      serviceAccounts,
      { namespace: secret.metadata.namespace ?? "", name: accountName(secret) },
      { signal },
    );
    return fits(live) ? live : undefined;
  } catch (error) {
    if (hasReason(error, "NotFound")) return undefined;
    throw error;
  }
}

/** The secret with everything that it lacks; itself when nothing does. */
function fill(secret: Secret, account: ServiceAccount, key: string, ca: string | undefined): Secret {
  const { namespace = "", name } = secret.metadata;
  const data: Record<string, string> = { ...secret.data };
  const annotations = {
    ...secret.metadata.annotations,
    [ACCOUNT_NAME]: account.metadata.name,
    [ACCOUNT_UID]: account.metadata.uid,
  };
  if (ca !== undefined) data["ca.crt"] = base64(ca);
  data["namespace"] = base64(namespace);
  if ((data["token"] ?? "") === "")
    data["token"] = base64(
      legacyToken(key, { namespace, secret: name, name: account.metadata.name, uid: account.metadata.uid }),
    );
  const same =
    Object.keys(data).every((field) => data[field] === secret.data?.[field]) &&
    secret.metadata.annotations?.[ACCOUNT_UID] === account.metadata.uid;
  return same ? secret : { ...secret, metadata: { ...secret.metadata, annotations }, data };
}

async function dropReference(
  client: Client,
  accounts: readonly ServiceAccount[],
  secret: string,
  signal: AbortSignal,
): Promise<void> {
  for (const account of accounts) {
    if (!account.secrets?.some(({ name }) => name === secret)) continue;
    await client.update(
      serviceAccounts,
      { ...account, secrets: account.secrets.filter(({ name }) => name !== secret) },
      { signal },
    );
  }
}

const base64 = (text: string) => Buffer.from(text).toString("base64");
