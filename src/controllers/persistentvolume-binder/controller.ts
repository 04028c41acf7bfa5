/**
 * Binds claims and volumes in both directions, in an order that survives a crash after each step, and reclaims or retains the volume of a deleted
 * claim. External provisioners create and delete volumes.
 * Upstream: pkg/controller/volume/persistentvolume
 */
import type { PersistentVolume, PersistentVolumeClaim } from "../../api/generated/core.v1.ts";
import type { StorageClass } from "../../api/generated/storage.v1.ts";
import type { Client } from "../../client/client.ts";
import { type ControllerContext, again, defineController, done } from "../../client/controller.ts";
import { persistentVolumeClaims, persistentVolumes, pods, storageClasses } from "../../client/resources.ts";
import { keyOf } from "../../machinery/meta/object.ts";
import { hasReason } from "../../machinery/status.ts";
import { sameStatus } from "../shared/equality.ts";
import { BY_CLAIM, addClaimIndex } from "../shared/pod-claims.ts";
import { isFinished } from "../shared/pods.ts";
import {
  BETA_PROVISIONER,
  BIND_COMPLETED,
  BOUND_BY_CONTROLLER,
  PROVISIONED_BY,
  PROVISIONER,
  SELECTED_NODE,
  classOfClaim,
  defaultClass,
  findVolume,
  isClaimedFor,
  mismatch,
} from "./plan.ts";

const SYNC_MS = 15_000;
/** Keys of both kinds go through one queue, so that the two sides of a binding never work at once. */
const claimKey = (claim: PersistentVolumeClaim) => `claim:${keyOf(claim)}`;
const volumeKey = (volume: PersistentVolume) => `volume:${keyOf(volume)}`;

export const persistentVolumeBinder = defineController({
  name: "persistentvolume-binder-controller",
  aliases: ["persistentvolume-binder"],
  eventsAs: "persistentvolume-controller",
  workers: { default: 1 },
  triggers: [
    { resource: persistentVolumeClaims, keys: (claim: PersistentVolumeClaim) => [claimKey(claim), ...volumeOf(claim)] },
    {
      resource: persistentVolumes,
      keys(volume: PersistentVolume, informers) {
        const reference = volume.spec.claimRef;
        if (reference !== undefined) return [volumeKey(volume), `claim:${reference.namespace}/${reference.name}`];
        // A free volume may be what someone waits for.
        const waiting = informers
          .of(persistentVolumeClaims)
          .list()
          .filter(({ status }) => status?.phase !== "Bound");
        return [volumeKey(volume), ...waiting.map(claimKey)];
      },
    },
    {
      resource: storageClasses,
      keys: (_, informers) =>
        informers
          .of(persistentVolumeClaims)
          .list()
          .filter(({ spec }) => (spec.volumeName ?? "") === "")
          .map(claimKey),
    },
  ],
  reads: [pods],
  create(context) {
    addClaimIndex(context.informers.of(pods));
    return {
      async reconcile(key, signal, client) {
        const binder = new Binder(context, client, signal);
        if (key.startsWith("claim:")) {
          const claim = context.informers.of(persistentVolumeClaims).get(key.slice("claim:".length));
          return claim !== undefined && (await binder.syncClaim(claim)) === "waiting" ? again(SYNC_MS) : done;
        }
        const volume = context.informers.of(persistentVolumes).get(key.slice("volume:".length));
        if (volume !== undefined) await binder.syncVolume(volume);
        return done;
      },
    };
  },
});

const volumeOf = ({ spec }: PersistentVolumeClaim) =>
  (spec.volumeName ?? "") === "" ? [] : [`volume:${spec.volumeName}`];

class Binder {
  readonly #context: ControllerContext;
  readonly #client: Client;
  readonly #signal: AbortSignal;

  constructor(context: ControllerContext, client: Client, signal: AbortSignal) {
    this.#context = context;
    this.#client = client;
    this.#signal = signal;
  }

  async syncClaim(claim: PersistentVolumeClaim): Promise<"settled" | "waiting"> {
    if (claim.metadata.annotations?.[BIND_COMPLETED] !== undefined) return await this.#syncBound(claim);
    const { informers } = this.#context;
    if ((claim.spec.volumeName ?? "") !== "")
      return await this.#syncNamed(claim, informers.of(persistentVolumes).get(claim.spec.volumeName!));
    const storageClass = informers.of(storageClasses).get(classOfClaim(claim));
    const delayed = storageClass?.volumeBindingMode === "WaitForFirstConsumer";
    const volume = findVolume(claim, informers.of(persistentVolumes).list(), delayed);
    if (volume !== undefined) {
      await this.#bind(volume, claim);
      return "settled";
    }
    const assigned = await this.#assignClass(claim);
    if (assigned) return "settled"; // Its event brings it back.
    if (delayed && claim.metadata.annotations?.[SELECTED_NODE] === undefined) this.#tellWaiting(claim);
    else if (classOfClaim(claim) !== "") await this.#provision(claim, storageClass);
    else
      this.#tell(
        claim,
        "Normal",
        "FailedBinding",
        "no persistent volumes available for this claim and no storage class is set",
      );
    await this.#setPhase(claim, "Pending");
    return "waiting";
  }

  /** A claim that names its volume. */
  async #syncNamed(claim: PersistentVolumeClaim, volume: PersistentVolume | undefined): Promise<"settled" | "waiting"> {
    if (volume === undefined) {
      await this.#setPhase(claim, "Pending");
      return "waiting";
    }
    const name = JSON.stringify(volume.metadata.name);
    if (volume.spec.claimRef === undefined) {
      const why = mismatch(volume, claim);
      if (why === undefined) {
        await this.#bind(volume, claim);
        return "settled";
      }
      this.#tell(claim, "Warning", "VolumeMismatch", `Cannot bind to requested volume ${name}: ${why}`);
    } else if (isClaimedFor(volume, claim)) {
      await this.#bind(volume, claim);
      return "settled";
    } else this.#tell(claim, "Warning", "FailedBinding", `volume ${name} already bound to a different claim.`);
    await this.#setPhase(claim, "Pending");
    return "waiting";
  }

  async #syncBound(claim: PersistentVolumeClaim): Promise<"settled"> {
    const lost = async (reason: string, message: string): Promise<"settled"> => {
      if (claim.status?.phase !== "Lost") {
        await this.#setPhase(claim, "Lost");
        this.#tell(claim, "Warning", reason, message);
      }
      return "settled";
    };
    if ((claim.spec.volumeName ?? "") === "")
      return await lost("ClaimLost", "Bound claim has lost reference to PersistentVolume. Data on the volume is lost!");
    const volume = this.#context.informers.of(persistentVolumes).get(claim.spec.volumeName!);
    if (volume === undefined)
      return await lost("ClaimLost", "Bound claim has lost its PersistentVolume. Data on the volume is lost!");
    if (volume.spec.claimRef !== undefined && !isClaimedFor(volume, claim))
      return await lost("ClaimMisbound", "Two claims are bound to the same volume, this one is bound incorrectly");
    await this.#bind(volume, claim);
    return "settled";
  }

  async syncVolume(volume: PersistentVolume): Promise<void> {
    const reference = volume.spec.claimRef;
    if (reference === undefined || (reference.uid ?? "") === "") return await this.#setVolumePhase(volume, "Available");
    const { namespace = "", name = "" } = reference;
    let claim = this.#context.informers.of(persistentVolumeClaims).get(`${namespace}/${name}`);
    if (claim === undefined || claim.metadata.uid !== reference.uid) claim = await this.#liveClaim(namespace, name);
    if (claim === undefined || claim.metadata.uid !== reference.uid) {
      // What becomes of the volume is its provisioner's to do, or its owner's.
      if (volume.status?.phase !== "Failed") await this.#setVolumePhase(volume, "Released");
      return;
    }
    if (claim.spec.volumeName === volume.metadata.name) return await this.#setVolumePhase(volume, "Bound");
    if ((claim.spec.volumeName ?? "") === "") {
      if (volume.metadata.annotations?.[BOUND_BY_CONTROLLER] !== undefined || mismatch(volume, claim) === undefined)
        await this.syncClaim(claim);
      return;
    }
    // The claim went elsewhere.
    if (
      volume.metadata.annotations?.[PROVISIONED_BY] !== undefined &&
      volume.spec.persistentVolumeReclaimPolicy === "Delete"
    )
      return await this.#setVolumePhase(volume, "Released");
    await this.#unbind(volume);
  }

  /** Volume first, claim second, each with its status: whatever is interrupted is found again from the volume's side. */
  async #bind(found: PersistentVolume, claim: PersistentVolumeClaim): Promise<void> {
    const { namespace = "", name, uid, resourceVersion } = claim.metadata;
    let volume = found;
    if (volume.spec.claimRef?.uid !== uid) {
      const byUs = volume.spec.claimRef === undefined;
      const claimRef = { apiVersion: "v1", kind: "PersistentVolumeClaim", namespace, name, uid, resourceVersion };
      const annotations = { ...volume.metadata.annotations, ...(byUs && { [BOUND_BY_CONTROLLER]: "yes" }) };
      volume = await this.#client.update(
        persistentVolumes,
        { ...volume, metadata: { ...volume.metadata, annotations }, spec: { ...volume.spec, claimRef } },
        { signal: this.#signal },
      );
    }
    await this.#setVolumePhase(volume, "Bound");
    let bound = claim;
    const named = claim.spec.volumeName === volume.metadata.name;
    if (!named || claim.metadata.annotations?.[BIND_COMPLETED] === undefined) {
      const annotations = {
        ...claim.metadata.annotations,
        [BIND_COMPLETED]: "yes",
        ...(!named && { [BOUND_BY_CONTROLLER]: "yes" }),
      };
      bound = await this.#client.update(
        persistentVolumeClaims,
        {
          ...claim,
          metadata: { ...claim.metadata, annotations },
          spec: { ...claim.spec, volumeName: volume.metadata.name },
        },
        { signal: this.#signal },
      );
    }
    const status = {
      ...bound.status,
      phase: "Bound",
      ...(volume.spec.accessModes && { accessModes: volume.spec.accessModes }),
      // A claim that was resized knows better than its volume.
      capacity:
        bound.status?.phase === "Bound" && bound.status.capacity !== undefined
          ? bound.status.capacity
          : (volume.spec.capacity ?? {}),
    };
    if (!sameStatus(status, bound.status))
      await this.#client.updateStatus(persistentVolumeClaims, { ...bound, status }, { signal: this.#signal });
  }

  async #unbind(volume: PersistentVolume): Promise<void> {
    const { [BOUND_BY_CONTROLLER]: byUs, ...annotations } = volume.metadata.annotations ?? {};
    const { claimRef, ...spec } = volume.spec;
    const { uid: _, ...reserved } = claimRef!;
    const next = await this.#client.update(
      persistentVolumes,
      {
        ...volume,
        metadata: { ...volume.metadata, annotations },
        spec: byUs === undefined ? { ...spec, claimRef: reserved } : spec,
      },
      { signal: this.#signal },
    );
    await this.#setVolumePhase(next, "Available");
  }

  async #assignClass(claim: PersistentVolumeClaim): Promise<boolean> {
    if (claim.spec.storageClassName !== undefined || classOfClaim(claim) !== "") return false;
    const found = defaultClass(this.#context.informers.of(storageClasses).list());
    if (found === undefined) return false;
    const spec = { ...claim.spec, storageClassName: found.metadata.name };
    await this.#client.update(persistentVolumeClaims, { ...claim, spec }, { signal: this.#signal });
    return true;
  }

  /** Calls for the provisioner, by name. */
  async #provision(claim: PersistentVolumeClaim, storageClass: StorageClass | undefined): Promise<void> {
    const name = classOfClaim(claim);
    if (storageClass === undefined) {
      this.#tell(
        claim,
        "Warning",
        "ProvisioningFailed",
        `storageclass.storage.k8s.io ${JSON.stringify(name)} not found`,
      );
      return;
    }
    const { provisioner } = storageClass;
    // Provisioners inside the controller manager are a thing of the past.
    if (provisioner.startsWith("kubernetes.io/")) {
      this.#tell(claim, "Warning", "ProvisioningFailed", `no volume plugin matched name: ${provisioner}`);
      return;
    }
    if (claim.metadata.annotations?.[PROVISIONER] !== provisioner) {
      const annotations = {
        ...claim.metadata.annotations,
        [PROVISIONER]: provisioner,
        [BETA_PROVISIONER]: provisioner,
      };
      await this.#client.update(
        persistentVolumeClaims,
        { ...claim, metadata: { ...claim.metadata, annotations } },
        { signal: this.#signal },
      );
    }
    const words =
      `Waiting for a volume to be created either by the external provisioner '${provisioner}' or manually by the system administrator. ` +
      "If volume creation is delayed, please verify that the provisioner is running and correctly registered.";
    this.#tell(claim, "Normal", "ExternalProvisioning", words);
  }

  #tellWaiting(claim: PersistentVolumeClaim): void {
    const users = this.#context.informers.of(pods).byIndex(BY_CLAIM, keyOf(claim));
    const unscheduled = users
      .filter((pod) => !isFinished(pod) && (pod.spec.nodeName ?? "") === "")
      .map(({ metadata }) => metadata.name);
    if (unscheduled.length === 0) {
      this.#tell(claim, "Normal", "WaitForFirstConsumer", "waiting for first consumer to be created before binding");
      return;
    }
    const who = unscheduled.length === 1 ? `pod ${unscheduled[0]}` : `pods ${unscheduled.sort().join(",")}`;
    this.#tell(claim, "Normal", "WaitForPodScheduled", `waiting for ${who} to be scheduled`);
  }

  async #setPhase(claim: PersistentVolumeClaim, phase: "Pending" | "Lost"): Promise<void> {
    if (claim.status?.phase === phase) return;
    const { accessModes: _, capacity: __, ...others } = claim.status ?? {};
    try {
      await this.#client.updateStatus(
        persistentVolumeClaims,
        { ...claim, status: { ...others, phase } },
        { signal: this.#signal },
      );
    } catch (error) {
      if (!hasReason(error, "Conflict")) throw error; // Changed a moment ago: its event is on the way.
    }
  }

  async #setVolumePhase(volume: PersistentVolume, phase: "Available" | "Bound" | "Released"): Promise<void> {
    if (volume.status?.phase === phase) return;
    await this.#client.updateStatus(
      persistentVolumes,
      { ...volume, status: { ...volume.status, phase } },
      { signal: this.#signal },
    );
  }

  async #liveClaim(namespace: string, name: string): Promise<PersistentVolumeClaim | undefined> {
    try {
      return await this.#client.get(persistentVolumeClaims, { namespace, name }, { signal: this.#signal });
    } catch (error) {
      if (hasReason(error, "NotFound")) return undefined;
      throw error;
    }
  }

  #tell(claim: PersistentVolumeClaim, type: "Normal" | "Warning", reason: string, message: string): void {
    this.#context.events.event(claim, type, reason, message);
  }
}
