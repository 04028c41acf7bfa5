/**
 * Publishes the authority of the API server's certificate as a trust bundle that pods can mount, under a name that contains the hash of its content,
 * and removes outdated ones.
 * Upstream: pkg/controller/certificates/clustertrustbundlepublisher
 */
import { createHash } from "node:crypto";
import type { ClusterTrustBundle } from "../../api/generated/certificates.v1beta1.ts";
import { defineController, done } from "../../client/controller.ts";
import { namespaces } from "../../client/resources.ts";
import type { ResourceOf } from "../../machinery/resource.ts";
import { hasReason } from "../../machinery/status.ts";

export const clusterTrustBundles: ResourceOf<ClusterTrustBundle> = {
  group: "certificates.k8s.io",
  version: "v1beta1",
  kind: "ClusterTrustBundle",
  plural: "clustertrustbundles",
  scope: "Cluster",
};

const SIGNER = "kubernetes.io/kube-apiserver-serving";
/** There is one thing to see to. */
const KEY = SIGNER;

function bundleName(signer: string, bundle: string): string {
  return `${signer.replaceAll("/", ":")}:${createHash("sha256").update(bundle).digest().subarray(0, 12).toString("hex")}`;
}

/** Runs where the gate ClusterTrustBundle is on: else nobody serves the objects. */
export const clusterTrustBundlePublisher = defineController({
  name: "kube-apiserver-serving-clustertrustbundle-publisher-controller",
  workers: { default: 1 },
  triggers: [
    { resource: clusterTrustBundles, keys: ({ spec }) => (spec.signerName === SIGNER ? [KEY] : []) },
    // Something that is always there says to begin.
    { resource: namespaces, keys: ({ metadata }) => (metadata.name === "kube-system" ? [KEY] : []), on: ["add"] },
  ],
  create: ({ informers, options }) => ({
    async reconcile(_, signal, client) {
      const trustBundle = options["root-ca"];
      if (typeof trustBundle !== "string" || trustBundle === "") return done;
      const name = bundleName(SIGNER, trustBundle);
      const all = informers
        .of(clusterTrustBundles)
        .list()
        .filter(({ spec }) => spec.signerName === SIGNER);
      const current = all.find(({ metadata }) => metadata.name === name);
      const spec = { signerName: SIGNER, trustBundle };
      if (current === undefined) await client.create(clusterTrustBundles, { metadata: { name }, spec }, { signal });
      else if (current.spec.trustBundle !== trustBundle)
        await client.update(clusterTrustBundles, { ...current, spec: { ...current.spec, trustBundle } }, { signal });
      for (const { metadata } of all) {
        if (metadata.name === name) continue;
        try {
          await client.delete(clusterTrustBundles, { name: metadata.name }, { signal });
        } catch (error) {
          if (!hasReason(error, "NotFound")) throw error;
        }
      }
      return done;
    },
  }),
});
