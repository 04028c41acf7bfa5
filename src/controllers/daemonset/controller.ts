/** Runs one pod of each DaemonSet on every node that fits. Upstream: pkg/controller/daemon */
import type { ControllerRevision, DaemonSet } from "../../api/generated/apps.v1.ts";
import type { Node, Pod } from "../../api/generated/core.v1.ts";
import type { Client } from "../../client/client.ts";
import { again, defineController, done } from "../../client/controller.ts";
import { itself, ownedBy as ownerTrigger } from "../../client/controller-runner.ts";
import { controllerRevisions, daemonSets, nodes, pods } from "../../client/resources.ts";
import { podTemplateHash } from "../../machinery/meta/hash.ts";
import { controllerOf, keyOf } from "../../machinery/meta/object.ts";
import { selectorOf } from "../../machinery/selector/labels.ts";
import { hasReason } from "../../machinery/status.ts";
import { claim } from "../shared/claim.ts";
import { sameStatus, semanticallyEqual } from "../shared/equality.ts";
import { createPod, deletePod, podFromTemplate } from "../shared/pod-control.ts";
import { addControllerIndex, nextAvailabilityMs, ownedAndOrphaned } from "../shared/pods.ts";
import {
  newRevision,
  nextRevisionNumber,
  oldestRevisionFirst,
  revisionData,
  sameData,
  surplusRevisions,
} from "../shared/revisions.ts";
import { isEmptySelector, matchesSelector } from "../shared/selector.ts";
import { allSettled, slowStart } from "../shared/slow-start.ts";
import { BURST, HASH_LABEL, type Input, planPods, planRolling, podsByNode, statusOf, templateFor } from "./plan.ts";

const BACKOFF_FIRST_MS = 1000;
const BACKOFF_MAX_MS = 15 * 60_000;
const wakeOwner = ownerTrigger(pods, daemonSets);

export const daemonSetController = defineController({
  name: "daemonset-controller",
  aliases: ["daemonset"],
  workers: { flag: "concurrent-daemonset-syncs", default: 2 },
  triggers: [
    itself(daemonSets),
    {
      resource: pods,
      keys(pod: Pod, informers) {
        if (controllerOf(pod) !== undefined) return wakeOwner.keys(pod, informers);
        return informers
          .of(daemonSets)
          .list(pod.metadata.namespace)
          .filter(({ spec }) => matchesSelector(spec.selector, pod.metadata.labels))
          .map(keyOf);
      },
    },
    ownerTrigger(controllerRevisions, daemonSets),
    {
      resource: nodes,
      changed: (old: Node, node: Node) =>
        !semanticallyEqual(old.metadata.labels, node.metadata.labels) ||
        !semanticallyEqual(old.spec.taints, node.spec.taints),
      keys: (_, informers) => informers.of(daemonSets).list().map(keyOf),
    },
  ],
  create({ informers, clock, events }) {
    const allPods = informers.of(pods);
    const revisions = informers.of(controllerRevisions);
    addControllerIndex(allPods);
    addControllerIndex(revisions);
    /** How long pods that fail on a node are left alone, by set and node. */
    const backoff = new Map<string, { readonly ms: number; readonly until: number }>();

    return {
      async reconcile(key, signal, client) {
        const set = informers.of(daemonSets).get(key);
        if (set === undefined) return done;
        if (isEmptySelector(set.spec.selector)) {
          events.event(
            set,
            "Warning",
            "SelectingAll",
            "This daemon set is selecting all pods. A non-empty selector is required.",
          );
          return done;
        }
        if (set.metadata.deletionTimestamp !== undefined) return done;
        const selector = selectorOf(set.spec.selector);
        const history = await claim({
          client,
          owners: daemonSets,
          owner: set,
          resource: controllerRevisions,
          candidates: ownedAndOrphaned(revisions, set),
          matches: ({ metadata }) => selector.matches(metadata.labels),
          signal,
        });
        const current = await currentRevision(client, set, history, signal);
        const hash = current.metadata.labels?.[HASH_LABEL] ?? "";
        const claimed = await claim({
          client,
          owners: daemonSets,
          owner: set,
          resource: pods,
          candidates: ownedAndOrphaned(allPods, set),
          matches: ({ metadata }) => selector.matches(metadata.labels),
          signal,
        });
        const now = clock.now();
        const input: Input = { set, nodes: informers.of(nodes).list(), byNode: podsByNode(claimed), hash, now };
        const control = { client, events, owner: set, signal };

        let waitMs: number | undefined;
        const wait = (ms: number) => {
          waitMs = Math.min(waitMs ?? Number.POSITIVE_INFINITY, ms);
        };
        const act = async (create: readonly string[], remove: readonly Pod[]) => {
          await allSettled(remove.slice(0, BURST).map((pod) => deletePod(control, pod)));
          const names = create.slice(0, BURST);
          await slowStart(names.length, async (i) => {
            await createPod(control, podFromTemplate(set, templateFor(set, names[i]!, hash)));
          });
        };

        const plan = planPods(input);
        const ended: Pod[] = [];
        for (const { pod, node } of plan.failed) {
          const id = `${set.metadata.uid}/${set.status?.observedGeneration ?? 0}/${node}`;
          const known = backoff.get(id);
          if (known !== undefined && known.until > clock.monotonic()) {
            wait(known.until - clock.monotonic());
            continue;
          }
          const ms = Math.min(
            BACKOFF_MAX_MS,
            known === undefined || clock.monotonic() - known.until > 2 * BACKOFF_MAX_MS
              ? BACKOFF_FIRST_MS
              : known.ms * 2,
          );
          backoff.set(id, { ms, until: clock.monotonic() + ms });
          const where = `${pod.metadata.namespace}/${pod.metadata.name} on node ${node}`;
          events.event(set, "Warning", "FailedDaemonPod", `Found failed daemon pod ${where}, will try to kill it`);
          ended.push(pod);
        }
        for (const { pod, node } of plan.succeeded) {
          const where = `${pod.metadata.namespace}/${pod.metadata.name} on node ${node}`;
          events.event(
            set,
            "Normal",
            "SucceededDaemonPod",
            `Found succeeded daemon pod ${where}, will try to delete it`,
          );
          ended.push(pod);
        }
        const remove = [...plan.delete, ...ended];
        let error: unknown;
        try {
          await act(plan.create, remove);
          // One thing at a time: a rollout goes on from a set that is whole.
          if (plan.create.length === 0 && remove.length === 0) {
            if (set.spec.updateStrategy.type === "RollingUpdate") {
              const rolling = planRolling(input);
              await act(rolling.create, rolling.delete);
            }
            await cleanUp(client, set, history, current, claimed, signal);
          }
        } catch (cause) {
          error = cause;
        }
        const status = statusOf(input, true);
        if (!sameStatus(status, set.status)) await client.updateStatus(daemonSets, { ...set, status }, { signal });
        if (error !== undefined) throw error;
        const minReadySeconds = set.spec.minReadySeconds ?? 0;
        const next = minReadySeconds > 0 ? nextAvailabilityMs(claimed, minReadySeconds, now) : undefined;
        if (next !== undefined) wait(next);
        return waitMs === undefined ? done : again(waitMs);
      },
    };
  },
});

/** The revision of the present template, made or brought to the top of the history. */
async function currentRevision(
  client: Client,
  set: DaemonSet,
  history: readonly ControllerRevision[],
  signal: AbortSignal,
): Promise<ControllerRevision> {
  const data = revisionData(set.spec.template);
  const known = history
    .filter((revision) => sameData(revision.data, data))
    .sort(oldestRevisionFirst)
    .at(-1);
  if (known !== undefined) {
    const others = history.filter(({ metadata }) => metadata.uid !== known.metadata.uid);
    const number = nextRevisionNumber(others);
    return known.revision >= number
      ? known
      : await client.update(controllerRevisions, { ...known, revision: number }, { signal });
  }
  const hash = podTemplateHash(set.spec.template, set.status?.collisionCount);
  const { name, namespace = "" } = set.metadata;
  try {
    return await client.create(
      controllerRevisions,
      newRevision(set, {
        name: `${name}-${hash}`,
        labels: { [HASH_LABEL]: hash },
        data,
        revision: nextRevisionNumber(history),
      }),
      { signal },
    );
  } catch (error) {
    if (!hasReason(error, "AlreadyExists")) throw error;
    const existing = await client.get(controllerRevisions, { namespace, name: `${name}-${hash}` }, { signal });
    if (sameData(existing.data, data)) return existing;
    const live = await client.get(daemonSets, { namespace, name }, { signal });
    if ((live.status?.collisionCount ?? 0) === (set.status?.collisionCount ?? 0))
      await client.updateStatus(
        daemonSets,
        { ...live, status: { ...live.status, collisionCount: (live.status?.collisionCount ?? 0) + 1 } },
        { signal },
      );
    throw error;
  }
}

async function cleanUp(
  client: Client,
  set: DaemonSet,
  history: readonly ControllerRevision[],
  current: ControllerRevision,
  claimed: readonly Pod[],
  signal: AbortSignal,
): Promise<void> {
  const used = new Set(claimed.map(({ metadata }) => metadata.labels?.[HASH_LABEL]));
  const surplus = surplusRevisions(
    history.filter(({ metadata }) => metadata.name !== current.metadata.name),
    ({ metadata }) => used.has(metadata.labels?.[HASH_LABEL]),
    set.spec.revisionHistoryLimit ?? 10,
  );
  for (const { metadata } of surplus)
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
