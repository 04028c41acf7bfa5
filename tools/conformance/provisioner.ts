/**
 * A provisioner of volumes for tests that need a default storage class: folders of this machine, which is that of all nodes. `FILE KUBECONFIG FOLDER`, until
 * it is ended.
 */
import { mkdirSync, rmSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { connection } from "../../src/cli/processes/connection.ts";
import { createClient } from "../../src/client/create-client.ts";
import { httpsTransport } from "../../src/client/https.ts";
import { persistentVolumeClaims, persistentVolumes, storageClasses } from "../../src/client/resources.ts";
import { nodeWorld } from "../../src/world/node/index.ts";

const NAME = "conformance.example/folder";
const ASKED = "volume.kubernetes.io/storage-provisioner";
const GIVEN = "pv.kubernetes.io/provisioned-by";

const [kubeconfig = "", folder = ""] = process.argv.slice(2);
const world = nodeWorld();
const client = createClient(httpsTransport(world, await connection(world, { kubeconfig }, "provisioner")));

await client.create(storageClasses, {
  metadata: { name: "standard", annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
  provisioner: NAME,
  reclaimPolicy: "Delete",
  volumeBindingMode: "Immediate",
});
console.log("ready");
for (;;) {
  await provide();
  await takeBack();
  await sleep(500);
}

async function provide(): Promise<void> {
  const [claims, volumes] = await Promise.all([client.list(persistentVolumeClaims), client.list(persistentVolumes)]);
  const there = new Set(volumes.items.map(({ metadata }) => metadata.name));
  for (const { metadata, spec } of claims.items) {
    const name = `pvc-${metadata.uid}`;
    if (metadata.annotations?.[ASKED] !== NAME || (spec.volumeName ?? "") !== "" || there.has(name)) continue;
    const path = `${folder}/${name}`;
    mkdirSync(path, { recursive: true, mode: 0o777 });
    await client.create(persistentVolumes, {
      metadata: { name, annotations: { [GIVEN]: NAME } },
      spec: {
        capacity: spec.resources!.requests!,
        accessModes: spec.accessModes!,
        persistentVolumeReclaimPolicy: "Delete",
        storageClassName: spec.storageClassName!,
        claimRef: {
          kind: "PersistentVolumeClaim",
          apiVersion: "v1",
          namespace: metadata.namespace!,
          name: metadata.name,
          uid: metadata.uid,
        },
        hostPath: { path },
      },
    });
  }
}

async function takeBack(): Promise<void> {
  for (const { metadata, spec, status } of (await client.list(persistentVolumes)).items) {
    if (metadata.annotations?.[GIVEN] !== NAME || status?.phase !== "Released") continue;
    rmSync(spec.hostPath!.path, { recursive: true, force: true });
    await client.delete(persistentVolumes, { name: metadata.name });
  }
}
