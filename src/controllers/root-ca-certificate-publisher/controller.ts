/** Publishes in every namespace the CA bundle with which pods verify the API server. Upstream: pkg/controller/certificates/rootcacertpublisher */
import type { ConfigMap } from "../../api/generated/core.v1.ts";
import { defineController, done } from "../../client/controller.ts";
import { isNamespaceTerminating, itself } from "../../client/controller-runner.ts";
import { configMaps, namespaces } from "../../client/resources.ts";
import { hasReason } from "../../machinery/status.ts";

const CONFIG_MAP = "kube-root-ca.crt";
const DESCRIPTION = "kubernetes.io/description";
const WORDS =
  "Contains a CA bundle that can be used to verify the kube-apiserver when using internal endpoints such as the internal service IP or " +
  "kubernetes.default.svc. No other usage is guaranteed across distributions of Kubernetes clusters.";

export const rootCaPublisher = defineController({
  name: "root-ca-certificate-publisher-controller",
  aliases: ["root-ca-cert-publisher"],
  workers: { default: 1 },
  triggers: [
    itself(namespaces),
    { resource: configMaps, keys: ({ metadata }) => (metadata.name === CONFIG_MAP ? [metadata.namespace ?? ""] : []) },
  ],
  create({ informers, options }) {
    const ca = options["root-ca"];
    return {
      async reconcile(namespace, signal, client) {
        if (typeof ca !== "string" || informers.of(namespaces).get(namespace)?.status.phase === "Terminating")
          return done;
        const current = informers.of(configMaps).get(`${namespace}/${CONFIG_MAP}`);
        if (!informers.of(namespaces).get(namespace)) return done;
        try {
          if (current === undefined) await client.create(configMaps, desired(namespace, ca), { signal });
          else if (!isRight(current, ca))
            await client.update(
              configMaps,
              {
                ...current,
                metadata: {
                  ...current.metadata,
                  annotations: { ...current.metadata.annotations, [DESCRIPTION]: WORDS },
                },
                data: { "ca.crt": ca },
              },
              { signal },
            );
        } catch (error) {
          if (!hasReason(error, "NotFound", "AlreadyExists") && !isNamespaceTerminating(error)) throw error;
        }
        return done;
      },
    };
  },
});

function desired(namespace: string, ca: string) {
  return { metadata: { name: CONFIG_MAP, namespace, annotations: { [DESCRIPTION]: WORDS } }, data: { "ca.crt": ca } };
}

function isRight({ data = {}, metadata }: ConfigMap, ca: string): boolean {
  return data["ca.crt"] === ca && Object.keys(data).length === 1 && (metadata.annotations?.[DESCRIPTION] ?? "") !== "";
}
