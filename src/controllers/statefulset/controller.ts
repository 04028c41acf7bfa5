/** StatefulSets: pods with stable names, an order, and storage of their own. Upstream: pkg/controller/statefulset */
import type { ControllerRevision, StatefulSet } from "../../api/generated/apps.v1.ts";
import type { PersistentVolumeClaim, Pod } from "../../api/generated/core.v1.ts";
import type { Client } from "../../client/client.ts";
import { again, defineController, done } from "../../client/controller.ts";
import { itself, ownedBy as ownerTrigger } from "../../client/controller-runner.ts";
import type { EventRecorder } from "../../client/events.ts";
import type { Informers } from "../../client/informer/informer.ts";
import { controllerRevisions, persistentVolumeClaims, pods, statefulSets } from "../../client/resources.ts";
import { canonicalJson, revisionHash } from "../../machinery/meta/hash.ts";
import { controllerOf, keyOf } from "../../machinery/meta/object.ts";
import { selectorOf } from "../../machinery/selector/labels.ts";
import { hasReason } from "../../machinery/status.ts";
import { claim } from "../shared/claim.ts";
import { sameStatus } from "../shared/equality.ts";
import { messageOf } from "../shared/pod-control.ts";
import { addControllerIndex, nextAvailabilityMs, ownedAndOrphaned } from "../shared/pods.ts";
import {
  newRevision,
  nextRevisionNumber,
  oldestRevisionFirst,
  revisionData,
  sameData,
  surplusRevisions,
  templateOf,
} from "../shared/revisions.ts";
import { matchesSelector } from "../shared/selector.ts";
import { allSettled, slowStart } from "../shared/slow-start.ts";
import { claimOwners, isMember, newClaims, newPod, ordinalOf, podName, revisionOf, withIdentity } from "./identity.ts";
import { planStep, statusOf } from "./plan.ts";

const HASH_LABEL = "controller.kubernetes.io/hash";
const wakeOwner = ownerTrigger(pods, statefulSets);

export const statefulSetController = defineController({
  name: "statefulset-controller",
  aliases: ["statefulset"],
  workers: { flag: "concurrent-statefulset-syncs", default: 5 },
  triggers: [
    itself(statefulSets),
    {
      resource: pods,
      keys(pod: Pod, informers) {
        if (controllerOf(pod) !== undefined) return wakeOwner.keys(pod, informers);
        return informers
          .of(statefulSets)
          .list(pod.metadata.namespace)
          .filter((set) => isMember(set, pod) && matchesSelector(set.spec.selector, pod.metadata.labels))
          .map(keyOf);
      },
    },
  ],
  reads: [controllerRevisions, persistentVolumeClaims],
  create({ informers, clock, events }) {
    addControllerIndex(informers.of(pods));
    addControllerIndex(informers.of(controllerRevisions));
    return {
      async reconcile(key, signal, client) {
        const set = informers.of(statefulSets).get(key);
        if (set === undefined) return done;
        const selector = selectorOf(set.spec.selector);
        const history = await claim({
          client,
          owners: statefulSets,
          owner: set,
          resource: controllerRevisions,
          candidates: ownedAndOrphaned(informers.of(controllerRevisions), set),
          matches: ({ metadata }) => selector.matches(metadata.labels),
          signal,
        });
        const members = await claim({
          client,
          owners: statefulSets,
          owner: set,
          resource: pods,
          candidates: ownedAndOrphaned(informers.of(pods), set).filter(
            (pod) => controllerOf(pod) !== undefined || isMember(set, pod),
          ),
          matches: (pod) => selector.matches(pod.metadata.labels) && isMember(set, pod),
          signal,
        });
        const { current, update, collisionCount } = await revisionsOf(client, set, history, signal);
        const names = { current: current.metadata.name, update: update.metadata.name };
        const now = clock.now();
        const plan = planStep(set, members, names, now);
        const control = new MemberControl(client, informers, events, set, signal);

        let error: unknown;
        try {
          for (const pod of plan.keep) await control.lookAfter(pod);
          for (const pod of plan.condemned) await control.own(pod);
          await allSettled(plan.delete.map((pod) => control.remove(pod)));
          await slowStart(plan.create.length, async (i) => {
            const { ordinal, revision } = plan.create[i]!;
            const from = revision === "current" ? current : update;
            await control.create(from, ordinal);
          });
        } catch (cause) {
          error = cause;
        }
        const status = statusOf(set, members, names, collisionCount, now);
        if (!sameStatus(status, set.status)) await client.updateStatus(statefulSets, { ...set, status }, { signal });
        if (error !== undefined) throw error;
        await truncate(client, set, history, [current, update], members, signal);
        const minReadySeconds = set.spec.minReadySeconds ?? 0;
        const wait = minReadySeconds > 0 ? nextAvailabilityMs(members, minReadySeconds, now) : undefined;
        return wait === undefined ? done : again(wait);
      },
    };
  },
});

/** Writes pods and claims, and says so in events about the set. */
class MemberControl {
  readonly #client: Client;
  readonly #informers: Informers;
  readonly #events: EventRecorder;
  readonly #set: StatefulSet;
  readonly #signal: AbortSignal;

  constructor(client: Client, informers: Informers, events: EventRecorder, set: StatefulSet, signal: AbortSignal) {
    this.#client = client;
    this.#informers = informers;
    this.#events = events;
    this.#set = set;
    this.#signal = signal;
  }

  async create(revision: ControllerRevision, ordinal: number): Promise<void> {
    const name = podName(this.#set, ordinal);
    await this.#ensureClaims(ordinal);
    const draft = newPod(this.#set, templateOf(revision), revision.metadata.name, ordinal);
    try {
      const pod = await this.#client.create(pods, draft, { signal: this.#signal });
      this.#tell("Create", name);
      await this.own(pod);
    } catch (error) {
      if (hasReason(error, "AlreadyExists")) throw error;
      this.#tell("Create", name, error);
      throw error;
    }
  }

  async remove({ metadata }: Pod): Promise<void> {
    const { namespace = "", name, uid } = metadata;
    try {
      await this.#client.delete(pods, { namespace, name }, { preconditions: { uid }, signal: this.#signal });
      this.#tell("Delete", name);
    } catch (error) {
      if (hasReason(error, "NotFound")) return;
      this.#tell("Delete", name, error);
      throw error;
    }
  }

  /** Claims that a waiting pod needs, and what it must look like. */
  async lookAfter(pod: Pod): Promise<void> {
    if (pod.metadata.deletionTimestamp !== undefined) return;
    if (pod.status.phase === "Pending") await this.#ensureClaims(ordinalOf(pod));
    await this.own(pod);
    const right = withIdentity(this.#set, pod);
    if (right === pod) return;
    try {
      await this.#client.update(pods, right, { signal: this.#signal });
      this.#tell("Update", pod.metadata.name);
    } catch (error) {
      this.#tell("Update", pod.metadata.name, error);
      throw error;
    }
  }

  /** Gives the pod's claims the owners that the retention policy asks for. */
  async own(pod: Pod): Promise<void> {
    const { namespace = "" } = pod.metadata;
    for (const { metadata } of newClaims(this.#set, ordinalOf(pod))) {
      const existing = this.#informers.of(persistentVolumeClaims).get(`${namespace}/${metadata?.name}`);
      if (existing === undefined) continue;
      const owners = claimOwners(this.#set, pod, existing);
      if (owners === "conflict") {
        const words = `PersistentVolumeClaim ${existing.metadata.name} has a conflicting OwnerReference that acts as a manging controller, the retention policy is ignored for this claim`;
        this.#events.event(existing, "Warning", "ConflictingController", words);
      } else if (
        owners !== (existing.metadata.ownerReferences ?? []) &&
        JSON.stringify(owners) !== JSON.stringify(existing.metadata.ownerReferences ?? [])
      )
        await this.#client.update(
          persistentVolumeClaims,
          { ...existing, metadata: { ...existing.metadata, ownerReferences: owners } },
          { signal: this.#signal },
        );
    }
  }

  async #ensureClaims(ordinal: number): Promise<void> {
    const { namespace = "" } = this.#set.metadata;
    const pod = podName(this.#set, ordinal);
    for (const draft of newClaims(this.#set, ordinal)) {
      const name = draft.metadata!.name!;
      const existing: PersistentVolumeClaim | undefined = this.#informers
        .of(persistentVolumeClaims)
        .get(`${namespace}/${name}`);
      if (existing?.metadata.deletionTimestamp !== undefined) throw new Error(`pvc ${name} is being deleted`);
      if (existing !== undefined) continue;
      try {
        await this.#client.create(persistentVolumeClaims, draft, { signal: this.#signal });
        const words = `Create Claim ${name} Pod ${pod} in StatefulSet ${this.#set.metadata.name} success`;
        this.#events.event(this.#set, "Normal", "SuccessfulCreate", words);
      } catch (error) {
        if (hasReason(error, "AlreadyExists")) continue;
        const words = `Create Claim ${name} for Pod ${pod} in StatefulSet ${this.#set.metadata.name} failed error: ${messageOf(error)}`;
        this.#events.event(this.#set, "Warning", "FailedCreate", words);
        throw error;
      }
    }
  }

  #tell(verb: "Create" | "Update" | "Delete", pod: string, error?: unknown): void {
    if (this.#signal.aborted) return;
    const what = `${verb} Pod ${pod} in StatefulSet ${this.#set.metadata.name}`;
    if (error === undefined) this.#events.event(this.#set, "Normal", `Successful${verb}`, `${what} successful`);
    else this.#events.event(this.#set, "Warning", `Failed${verb}`, `${what} failed error: ${messageOf(error)}`);
  }
}

/** The revision that is rolled out, made where there is none, and the one that it replaces. */
async function revisionsOf(
  client: Client,
  set: StatefulSet,
  history: readonly ControllerRevision[],
  signal: AbortSignal,
) {
  const sorted = [...history].sort(oldestRevisionFirst);
  const data = revisionData(set.spec.template);
  const last = sorted.at(-1);
  const equal = sorted.findLast((revision) => sameData(revision.data, data));
  let collisionCount = set.status?.collisionCount ?? 0;
  let update: ControllerRevision;
  if (equal !== undefined && last !== undefined && sameData(last.data, data)) update = last;
  else if (equal !== undefined) {
    // Back to an older template: its revision becomes the newest.
    update = await client.update(controllerRevisions, { ...equal, revision: nextRevisionNumber(sorted) }, { signal });
  } else {
    for (;;) {
      const made = await createRevision(client, set, data, nextRevisionNumber(sorted), collisionCount, signal);
      if (made !== undefined) {
        update = made;
        break;
      }
      collisionCount++;
    }
  }
  const current = sorted.find(({ metadata }) => metadata.name === set.status?.currentRevision) ?? update;
  return { current, update, collisionCount };
}

/** Undefined when the name is taken by another template. */
async function createRevision(
  client: Client,
  set: StatefulSet,
  data: object,
  revision: number,
  collisionCount: number,
  signal: AbortSignal,
): Promise<ControllerRevision | undefined> {
  const hash = revisionHash(canonicalJson(data), collisionCount);
  const { namespace = "" } = set.metadata;
  const name = `${set.metadata.name.slice(0, 223)}-${hash}`;
  try {
    return await client.create(
      controllerRevisions,
      newRevision(set, { name, labels: { [HASH_LABEL]: hash }, data, revision }),
      { signal },
    );
  } catch (error) {
    if (!hasReason(error, "AlreadyExists")) throw error;
    const existing = await client.get(controllerRevisions, { namespace, name }, { signal });
    return sameData(existing.data, data) ? existing : undefined;
  }
}

async function truncate(
  client: Client,
  set: StatefulSet,
  history: readonly ControllerRevision[],
  live: readonly ControllerRevision[],
  members: readonly Pod[],
  signal: AbortSignal,
): Promise<void> {
  const used = new Set([...live.map(({ metadata }) => metadata.name), ...members.map(revisionOf)]);
  for (const { metadata } of surplusRevisions(
    history,
    (revision) => used.has(revision.metadata.name),
    set.spec.revisionHistoryLimit ?? 10,
  ))
    try {
      await client.delete(
        controllerRevisions,
        { namespace: metadata.namespace ?? "", name: metadata.name },
        { signal },
      );
    } catch (error) {
      if (!hasReason(error, "NotFound")) throw error;
    }
}
