/** Rolls a Deployment's template out through ReplicaSets. Upstream: pkg/controller/deployment */
import type { Deployment, DeploymentStatus, ReplicaSet } from "../../api/generated/apps.v1.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import type { Client } from "../../client/client.ts";
import type { EventRecorder } from "../../client/events.ts";
import { type Outcome, again, defineController, done } from "../../client/controller.ts";
import { isNamespaceTerminating, itself, ownedBy as ownerTrigger } from "../../client/controller-runner.ts";
import { deployments, pods, replicaSets } from "../../client/resources.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import { controllerOf, keyOf, type Draft } from "../../machinery/meta/object.ts";
import { hasReason } from "../../machinery/status.ts";
import { claim, controllerReference } from "../shared/claim.ts";
import { sameStatus, semanticallyEqual } from "../shared/equality.ts";
import { podTemplateHash } from "../../machinery/meta/hash.ts";
import { messageOf } from "../shared/pod-control.ts";
import { addControllerIndex, isFinished, ownedAndOrphaned, ownedBy } from "../shared/pods.ts";
import { isEmptySelector, matchesSelector } from "../shared/selector.ts";
import { selectorOf } from "../../machinery/selector/labels.ts";
import {
  DESIRED_REPLICAS,
  MAX_REPLICAS,
  REVISION,
  ROLLBACK_TO,
  annotationsForNew,
  annotationsForRollback,
  maxRevision,
  revisionOf,
} from "./annotations.ts";
import { condition, newCondition, withCondition } from "./conditions.ts";
import {
  HASH_LABEL,
  type Scaling,
  findNew,
  hasDeadline,
  isRolling,
  isSaturated,
  isScalingEvent,
  maxSurge,
  newSetSize,
  oldestFirst,
  onlyActive,
  planCleanup,
  planProportional,
  planRolling,
  replicasOf,
  sameTemplate,
  sumActual,
  withoutHash,
} from "./plan.ts";
import { isComplete, progressed, statusOf, stuckCheckMs, type Now } from "./status.ts";

const wakeOwner = ownerTrigger(replicaSets, { group: "apps", kind: "Deployment" });

export const deploymentController = defineController({
  name: "deployment-controller",
  aliases: ["deployment"],
  workers: { flag: "concurrent-deployment-syncs", default: 5 },
  retriesMax: 15,
  triggers: [
    itself(deployments),
    {
      resource: replicaSets,
      keys(set: ReplicaSet, informers) {
        if (controllerOf(set) !== undefined) return wakeOwner.keys(set, informers);
        return informers
          .of(deployments)
          .list(set.metadata.namespace)
          .filter(({ spec }) => matchesSelector(spec.selector, set.metadata.labels))
          .map(keyOf);
      },
    },
    {
      // A Deployment that recreates its pods waits for the last of the old ones to be gone.
      resource: pods,
      on: ["delete"],
      keys(pod: Pod, informers) {
        const owner = controllerOf(pod);
        if (owner?.kind !== "ReplicaSet") return [];
        const set = informers.of(replicaSets).get(`${pod.metadata.namespace}/${owner.name}`);
        if (set === undefined || set.metadata.uid !== owner.uid) return [];
        return wakeOwner
          .keys(set, informers)
          .filter((key) => informers.of(deployments).get(key)?.spec.strategy.type === "Recreate");
      },
    },
  ],

  create({ informers, clock, events }) {
    const all = informers.of(deployments);
    const sets = informers.of(replicaSets);
    const allPods = informers.of(pods);
    addControllerIndex(sets);
    addControllerIndex(allPods);

    return {
      async reconcile(key, signal, client) {
        const deployment = all.get(key);
        if (deployment === undefined) return done;
        if (isEmptySelector(deployment.spec.selector)) {
          const words = "This deployment is selecting all pods. A non-empty selector is required.";
          events.event(deployment, "Warning", "SelectingAll", words);
          const observedGeneration = deployment.metadata.generation ?? 0;
          if ((deployment.status?.observedGeneration ?? 0) < observedGeneration)
            await client.updateStatus(
              deployments,
              { ...deployment, status: { ...deployment.status, observedGeneration } },
              { signal },
            );
          return done;
        }
        const selector = selectorOf(deployment.spec.selector);
        const owned = await claim({
          client,
          owners: deployments,
          owner: deployment,
          resource: replicaSets,
          candidates: ownedAndOrphaned(sets, deployment),
          matches: ({ metadata }) => selector.matches(metadata.labels),
          signal,
        });
        const ms = clock.now();
        const rollout = new Rollout(client, signal, events, deployment, owned, { ms, text: formatTime(ms) });
        return await rollout.sync((set) => ownedBy(allPods, set));
      },
    };
  },
});

/** One pass over one Deployment. The members change as the pass writes. */
class Rollout {
  readonly #client: Client;
  readonly #signal: AbortSignal;
  readonly #events: EventRecorder;
  readonly #now: Now;
  #deployment: Deployment;
  #sets: readonly ReplicaSet[];

  constructor(
    client: Client,
    signal: AbortSignal,
    events: EventRecorder,
    deployment: Deployment,
    sets: readonly ReplicaSet[],
    now: Now,
  ) {
    this.#client = client;
    this.#signal = signal;
    this.#events = events;
    this.#deployment = deployment;
    this.#sets = sets;
    this.#now = now;
  }

  async sync(podsOf: (set: ReplicaSet) => readonly Pod[]): Promise<Outcome> {
    const { metadata, spec } = this.#deployment;
    if (metadata.deletionTimestamp !== undefined) return await this.#writeStatus(this.#newSet());
    await this.#notePause();
    if (spec.paused) return await this.#resize();
    if (metadata.annotations?.[ROLLBACK_TO] !== undefined && /^\d+$/.test(metadata.annotations[ROLLBACK_TO]))
      return await this.#rollBack(BigInt(metadata.annotations[ROLLBACK_TO]));
    if (isScalingEvent(this.#deployment, this.#sets)) return await this.#resize();
    if (spec.strategy.type === "Recreate") return await this.#recreate(podsOf);
    if (spec.strategy.type === "RollingUpdate") return await this.#roll();
    throw new Error(`unexpected deployment strategy type: ${spec.strategy.type}`);
  }

  async #roll(): Promise<Outcome> {
    const newSet = await this.#ensureNewSet(true);
    if (newSet === undefined) return done;
    const scaled = await this.#scaleAll(planRolling(this.#deployment, newSet, this.#old(newSet)));
    if (!scaled && this.#isComplete()) await this.#cleanUp(newSet);
    return await this.#writeStatus(newSet);
  }

  async #recreate(podsOf: (set: ReplicaSet) => readonly Pod[]): Promise<Outcome> {
    const known = await this.#ensureNewSet(false);
    const old = this.#old(known);
    const shrink = old.filter((set) => replicasOf(set) > 0).map((set) => ({ set, to: 0 }));
    if (await this.#scaleAll(shrink)) return await this.#writeStatus(known);
    const leftOver = old.some((set) => podsOf(set).some((pod) => !isFinished(pod)));
    if (sumActual(old) > 0 || leftOver) return await this.#writeStatus(known);
    const newSet = known ?? (await this.#ensureNewSet(true));
    if (newSet === undefined) return done;
    await this.#scaleAll([{ set: newSet, to: replicasOf(this.#deployment) }]);
    if (this.#isComplete()) await this.#cleanUp(newSet);
    return await this.#writeStatus(newSet);
  }

  /** Only sizes change: paused, or resized in the middle of a rollout. */
  async #resize(): Promise<Outcome> {
    const newSet = await this.#ensureNewSet(false);
    const old = this.#old(newSet);
    const active = this.#sets.filter((set) => replicasOf(set) > 0);
    const only = onlyActive(newSet, old);
    if (only !== undefined) {
      if (replicasOf(only) !== replicasOf(this.#deployment))
        await this.#scaleAll([{ set: only, to: replicasOf(this.#deployment) }]);
      else await this.#scale({ set: only, to: replicasOf(only) });
    } else if (isSaturated(this.#deployment, newSet)) {
      await this.#scaleAll(old.filter((set) => replicasOf(set) > 0).map((set) => ({ set, to: 0 })));
    } else if (isRolling(this.#deployment)) {
      for (const scaling of planProportional(this.#deployment, active)) await this.#scale(scaling);
    }
    if (this.#deployment.spec.paused) await this.#cleanUp(newSet);
    return await this.#writeStatus(newSet, false);
  }

  #newSet(): ReplicaSet | undefined {
    return findNew(this.#deployment, this.#sets);
  }

  #old(newSet: ReplicaSet | undefined): readonly ReplicaSet[] {
    return this.#sets.filter(({ metadata }) => metadata.uid !== newSet?.metadata.uid);
  }

  #isComplete(): boolean {
    return isComplete(this.#deployment, this.#deployment.status ?? {});
  }

  /** The set of the present template, made or brought up to date. Undefined when the rest waits for the next pass. */
  async #ensureNewSet(create: boolean): Promise<ReplicaSet | undefined> {
    const found = this.#newSet();
    const revision = maxRevision(this.#old(found)) + 1n;
    if (found !== undefined) return await this.#updateNewSet(found, revision);
    return create ? await this.#createNewSet(revision) : undefined;
  }

  async #updateNewSet(set: ReplicaSet, revision: bigint): Promise<ReplicaSet> {
    const { minReadySeconds } = this.#deployment.spec;
    const annotations = annotationsForNew(this.#deployment, set, revision);
    if (
      !semanticallyEqual(annotations, set.metadata.annotations) ||
      (minReadySeconds ?? 0) !== (set.spec.minReadySeconds ?? 0)
    ) {
      const metadata = { ...set.metadata, annotations };
      const spec = { ...set.spec, ...(minReadySeconds !== undefined && { minReadySeconds }) };
      return this.#replace(
        await this.#client.update(replicaSets, { ...set, metadata, spec }, { signal: this.#signal }),
      );
    }
    const words = `Found new replica set "${set.metadata.name}"`;
    await this.#noteRevision(annotations[REVISION]!, "FoundNewReplicaSet", words);
    return set;
  }

  /** The revision and the first Progressing condition travel together through the status endpoint, which keeps annotations. */
  async #noteRevision(revision: string, reason: string, message: string): Promise<void> {
    const { metadata, status = {} } = this.#deployment;
    const noted = metadata.annotations?.[REVISION] === revision;
    const known = !hasDeadline(this.#deployment) || condition(status.conditions, "Progressing") !== undefined;
    if (noted && known) return;
    const conditions = known
      ? status.conditions
      : withCondition(status.conditions ?? [], newCondition("Progressing", "True", reason, message, this.#now.text));
    await this.#updateStatus(
      { ...status, ...(conditions && { conditions }) },
      { ...metadata.annotations, [REVISION]: revision },
    );
  }

  async #createNewSet(revision: bigint): Promise<ReplicaSet | undefined> {
    const { metadata, spec, status = {} } = this.#deployment;
    const template = withoutHash(spec.template);
    const hash = podTemplateHash(template, status.collisionCount);
    const labels = { ...template.metadata?.labels, [HASH_LABEL]: hash };
    const size = newSetSize(this.#deployment, this.#sets, 0);
    const draft: Draft<ReplicaSet> = {
      metadata: {
        name: `${metadata.name.slice(0, 253 - hash.length - 1)}-${hash}`,
        namespace: metadata.namespace,
        labels,
        annotations: { ...annotationsForNew(this.#deployment, undefined, revision), ...this.#sizeNotes() },
        ownerReferences: [controllerReference(this.#deployment)],
      },
      spec: {
        replicas: size,
        ...(spec.minReadySeconds !== undefined && { minReadySeconds: spec.minReadySeconds }),
        selector: { ...spec.selector, matchLabels: { ...spec.selector.matchLabels, [HASH_LABEL]: hash } },
        template: { ...template, metadata: { ...template.metadata, labels } } as ReplicaSet["spec"]["template"],
      },
    };
    const name = draft.metadata!.name!;
    let created: ReplicaSet;
    try {
      created = await this.#client.create(replicaSets, draft, { signal: this.#signal });
    } catch (error) {
      if (hasReason(error, "AlreadyExists")) {
        const existing = await this.#client.get(
          replicaSets,
          { namespace: metadata.namespace ?? "", name },
          { signal: this.#signal },
        );
        const ours = controllerOf(existing)?.uid === metadata.uid;
        if (!ours || !sameTemplate(existing.spec.template, spec.template)) {
          // Another template with our hash: count the collision, so that the next try hashes to another name.
          await this.#updateStatus({ ...status, collisionCount: (status.collisionCount ?? 0) + 1 });
          throw error;
        }
        this.#sets = [...this.#sets, existing];
        return existing;
      }
      if (isNamespaceTerminating(error) || this.#signal.aborted) throw error;
      const words = `Failed to create new replica set "${name}": ${messageOf(error)}`;
      if (hasDeadline(this.#deployment)) {
        const failed = newCondition("Progressing", "False", "ReplicaSetCreateError", words, this.#now.text);
        await this.#updateStatus({ ...status, conditions: withCondition(status.conditions ?? [], failed) });
      }
      this.#events.event(this.#deployment, "Warning", "ReplicaSetCreateError", words);
      throw error;
    }
    this.#sets = [...this.#sets, created];
    if (size > 0) {
      const words = `Scaled up replica set ${name} from 0 to ${size}`;
      this.#events.event(this.#deployment, "Normal", "ScalingReplicaSet", words);
    }
    const { conditions = [] } = status;
    const progressing = newCondition(
      "Progressing",
      "True",
      "NewReplicaSetCreated",
      `Created new replica set "${name}"`,
      this.#now.text,
    );
    const next = hasDeadline(this.#deployment) ? withCondition(conditions, progressing) : conditions;
    const annotations = { ...metadata.annotations, [REVISION]: String(revision) };
    if (next !== conditions || metadata.annotations?.[REVISION] !== String(revision))
      await this.#updateStatus({ ...status, conditions: next }, annotations);
    return created;
  }

  #sizeNotes(): Readonly<Record<string, string>> {
    const replicas = replicasOf(this.#deployment);
    return { [DESIRED_REPLICAS]: String(replicas), [MAX_REPLICAS]: String(replicas + maxSurge(this.#deployment)) };
  }

  async #scaleAll(scalings: readonly Scaling[]): Promise<boolean> {
    let any = false;
    for (const scaling of scalings) {
      if (replicasOf(scaling.set) === scaling.to) continue;
      await this.#scale(scaling);
      any = true;
    }
    return any;
  }

  /** Writes the size and the notes about it, where either differs. */
  async #scale({ set, to }: Scaling): Promise<void> {
    const from = replicasOf(set);
    const notes = this.#sizeNotes();
    const annotations = { ...set.metadata.annotations, ...notes };
    if (from === to && semanticallyEqual(annotations, set.metadata.annotations)) return;
    const scaled = { ...set, metadata: { ...set.metadata, annotations }, spec: { ...set.spec, replicas: to } };
    this.#replace(await this.#client.update(replicaSets, scaled, { signal: this.#signal }));
    if (from === to) return;
    const words = `Scaled ${to > from ? "up" : "down"} replica set ${set.metadata.name} from ${from} to ${to}`;
    this.#events.event(this.#deployment, "Normal", "ScalingReplicaSet", words);
  }

  #replace(set: ReplicaSet): ReplicaSet {
    this.#sets = this.#sets.map((each) => (each.metadata.uid === set.metadata.uid ? set : each));
    return set;
  }

  async #cleanUp(newSet: ReplicaSet | undefined): Promise<void> {
    for (const { metadata } of planCleanup(this.#deployment, this.#old(newSet))) {
      try {
        await this.#client.delete(
          replicaSets,
          { namespace: metadata.namespace ?? "", name: metadata.name },
          { signal: this.#signal },
        );
      } catch (error) {
        if (!hasReason(error, "NotFound")) throw error;
      }
    }
  }

  async #notePause(): Promise<void> {
    const { spec, status = {} } = this.#deployment;
    if (!hasDeadline(this.#deployment)) return;
    const current = condition(status.conditions, "Progressing");
    if (current?.reason === "ProgressDeadlineExceeded") return;
    const wasPaused = current?.reason === "DeploymentPaused";
    if (spec.paused === true && !wasPaused)
      await this.#note(
        newCondition("Progressing", "Unknown", "DeploymentPaused", "Deployment is paused", this.#now.text),
      );
    else if (spec.paused !== true && wasPaused)
      await this.#note(
        newCondition("Progressing", "Unknown", "DeploymentResumed", "Deployment is resumed", this.#now.text),
      );
  }

  async #note(next: ReturnType<typeof newCondition>): Promise<void> {
    const { status = {} } = this.#deployment;
    await this.#updateStatus({ ...status, conditions: withCondition(status.conditions ?? [], next) });
  }

  async #rollBack(revision: bigint): Promise<Outcome> {
    const newSet = await this.#ensureNewSet(false);
    const target = revision === 0n ? this.#lastRevision() : revision;
    const set = target === 0n ? undefined : this.#sets.find((each) => revisionOf(each) === target);
    const { [ROLLBACK_TO]: _, ...annotations } = this.#deployment.metadata.annotations ?? {};
    let next: Deployment = { ...this.#deployment, metadata: { ...this.#deployment.metadata, annotations } };
    if (set === undefined) {
      const words = target === 0n ? "Unable to find last revision." : "Unable to find the revision to rollback to.";
      this.#events.event(this.#deployment, "Warning", "DeploymentRollbackRevisionNotFound", words);
    } else if (sameTemplate(set.spec.template, this.#deployment.spec.template) || set === newSet) {
      const words = `The rollback revision contains the same template as current deployment "${next.metadata.name}"`;
      this.#events.event(this.#deployment, "Warning", "DeploymentRollbackTemplateUnchanged", words);
    } else {
      next = {
        ...next,
        metadata: { ...next.metadata, annotations: annotationsForRollback(next, set) },
        spec: { ...next.spec, template: withoutHash(set.spec.template) },
      };
      const words = `Rolled back deployment "${next.metadata.name}" to revision ${target}`;
      this.#events.event(this.#deployment, "Normal", "DeploymentRollback", words);
    }
    await this.#client.update(deployments, next, { signal: this.#signal });
    return done;
  }

  #lastRevision(): bigint {
    return [...this.#sets].map(revisionOf).sort((a, b) => Number(b - a))[1] ?? 0n;
  }

  /** `rollout` is false where only sizes changed: then the story of the rollout isn't told on. */
  async #writeStatus(newSet: ReplicaSet | undefined, rollout = true): Promise<Outcome> {
    const current = newSet && this.#sets.find(({ metadata }) => metadata.uid === newSet.metadata.uid);
    const sets = [...this.#sets].sort(oldestFirst);
    const plain = statusOf(this.#deployment, sets, current, this.#now);
    const tell = rollout && this.#deployment.metadata.deletionTimestamp === undefined;
    const status = tell ? progressed(this.#deployment, plain, sets, current, this.#now) : plain;
    if (!sameStatus(status, this.#deployment.status)) await this.#updateStatus(status);
    if (this.#deployment.spec.paused) return done;
    const wait = stuckCheckMs(this.#deployment, status, this.#now.ms);
    return wait === undefined ? done : again(wait);
  }

  async #updateStatus(status: DeploymentStatus, annotations?: Readonly<Record<string, string>>): Promise<void> {
    const metadata =
      annotations === undefined ? this.#deployment.metadata : { ...this.#deployment.metadata, annotations };
    const next = { ...this.#deployment, metadata, status };
    this.#deployment = await this.#client.updateStatus(deployments, next, { signal: this.#signal });
  }
}
