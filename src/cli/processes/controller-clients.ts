/**
 * `--use-service-account-credentials`: each controller acts as a service account in kube-system, with tokens that are requested on first use and
 * renewed before they expire.
 * Upstream: controller-manager/pkg/clientbuilder/client_builder_dynamic.go
 */
import type { Client } from "../../client/client.ts";
import { createClient } from "../../client/create-client.ts";
import { type HttpsTransportOptions, httpsTransport } from "../../client/https.ts";
import { serviceAccounts } from "../../client/resources.ts";
import { hasReason } from "../../machinery/status.ts";
import type { World } from "../../world/world.ts";

const NAMESPACE = "kube-system";
const LIFETIME_SECONDS = 3600;

/** All on one connection: what a request may do is in its token. */
export function controllerClients(
  world: Pick<World, "net" | "clock">,
  own: Client,
  { cert: _, key: __, token: ___, ...server }: HttpsTransportOptions,
  nameOf: (controller: string) => string,
): { clientFor(controller: string): Client; close(): Promise<void> } {
  const shared = httpsTransport(world, server);
  const clients = new Map<string, Client>();
  return {
    clientFor(controller) {
      const name = nameOf(controller);
      let client = clients.get(name);
      if (client === undefined) {
        const token = tokenSource(world, own, name);
        const userAgent = `${server.userAgent}/system:serviceaccount:${NAMESPACE}:${name}`;
        client = createClient(httpsTransport(world, { ...server, token, userAgent }, shared));
        clients.set(name, client);
      }
      return client;
    },
    close: () => shared.close(),
  };
}

/** One request at a time, however many wait for its answer. */
function tokenSource({ clock }: Pick<World, "clock">, client: Client, name: string): () => Promise<string> {
  let asked: Promise<string> | undefined;
  let renewAt = 0;
  return () => {
    if (asked === undefined || clock.monotonic() >= renewAt) {
      renewAt = clock.monotonic() + LIFETIME_SECONDS * 1000 * 0.8;
      asked = requestToken(client, name);
      asked.catch(() => {
        asked = undefined;
      });
    }
    return asked;
  };
}

async function requestToken(client: Client, name: string): Promise<string> {
  const ask = () =>
    client.createSubresource(serviceAccounts, { namespace: NAMESPACE, name }, "token", {
      apiVersion: "authentication.k8s.io/v1",
      kind: "TokenRequest",
      metadata: { name, namespace: NAMESPACE },
      spec: { audiences: [], expirationSeconds: LIFETIME_SECONDS },
    });
  let answer: unknown;
  try {
    answer = await ask();
  } catch (error) {
    if (!hasReason(error, "NotFound")) throw error;
    const exists = (cause: unknown) => {
      if (!hasReason(cause, "AlreadyExists")) throw cause;
    };
    await client.create(serviceAccounts, { metadata: { name, namespace: NAMESPACE } } as never).catch(exists);
    answer = await ask();
  }
  const { status } = answer as { readonly status?: { readonly token?: string } };
  if (!status?.token) throw new Error(`the token request for ${NAMESPACE}/${name} was answered without a token`);
  return status.token;
}
