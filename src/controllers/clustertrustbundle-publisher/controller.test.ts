import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterTrustBundle } from "../../api/generated/certificates.v1beta1.ts";
import { namespaces } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { clusterTrustBundlePublisher, clusterTrustBundles } from "./controller.ts";

test("one bundle holds the authority there is; those of the past go, those of others stay", async () => {
  await using world = controllerWorld([clusterTrustBundlePublisher], {
    options: { "root-ca": "PEM" },
    resources: [namespaces, clusterTrustBundles],
  });
  const { client, server } = world;
  const signerName = "kubernetes.io/kube-apiserver-serving";
  const bundle = (name: string, signer: string) => ({
    metadata: { name },
    spec: { signerName: signer, trustBundle: "OLD" },
  });
  await client.create(clusterTrustBundles, bundle("kubernetes.io:kube-apiserver-serving:old", signerName));
  await client.create(clusterTrustBundles, bundle("example.com:a:b", "example.com/a"));
  await client.create(namespaces, { metadata: { name: "kube-system" } });
  await world.settle();
  assert.deepEqual(
    server
      .objects<ClusterTrustBundle>(clusterTrustBundles)
      .map(({ metadata, spec }) => [metadata.name, spec.trustBundle]),
    [
      ["example.com:a:b", "OLD"],
      // sha256 of PEM, twelve bytes of it.
      ["kubernetes.io:kube-apiserver-serving:384fb9a44fabe158be2757b9", "PEM"],
    ],
  );
});
