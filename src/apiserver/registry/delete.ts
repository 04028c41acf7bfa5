/**
 * Delete: preconditions, finalizers by propagation policy, the grace period of pods, and removal once nothing holds the object any more.
 * Upstream: pkg/registry/rest/delete.go, pkg/registry/generic/registry/store.go (Delete).
 */
import { formatTime } from "../../machinery/meta/time.ts";
import { deepFreeze } from "../../base/mutable.ts";
import type { Resource } from "../../machinery/resource.ts";
import { conflict, notFound, qualified, StatusError } from "../../machinery/status.ts";
import type { FieldError } from "../../machinery/validation/field-error.ts";
import { invalid, invalidObject, notSupported } from "../../machinery/validation/field-error.ts";
import { CorruptObject } from "../storage/corrupt.ts";
import { convertedToStored, Entry, entryOfView, prepareViews } from "../storage/entry.ts";
import type { Change } from "../storage/store.ts";
import { keyFor } from "../storage/keys.ts";
import type { WriteContext } from "./context.ts";
import { admissionRequest } from "./create.ts";
import { readStored } from "./read.ts";
import { checkUnsafe } from "./unsafe-delete.ts";
import { hooksOf } from "./specials/hooks.ts";

export interface DeleteOptions {
  readonly gracePeriodSeconds?: number;
  readonly propagationPolicy?: string;
  readonly orphanDependents?: boolean;
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
  readonly dryRun?: readonly string[];
  readonly ignoreStoreReadErrorWithClusterBreakingPotential?: boolean;
}

/** Kinds whose deletion answers with the object that is gone, where others answer with a Status. */
const RETURNS_OBJECT = new Set(
  (
    "pods services namespaces persistentvolumes persistentvolumeclaims podtemplates resourcequotas serviceaccounts " +
    "deviceclasses.resource.k8s.io resourceclaims.resource.k8s.io resourceclaimtemplates.resource.k8s.io resourceslices.resource.k8s.io " +
    "devicetaintrules.resource.k8s.io resourcepoolstatusrequests.resource.k8s.io storageclasses.storage.k8s.io " +
    "volumeattachments.storage.k8s.io csinodes.storage.k8s.io csidrivers.storage.k8s.io volumeattributesclasses.storage.k8s.io"
  ).split(" "),
);

const ORPHAN = "orphan";
const FOREGROUND = "foregroundDeletion";

const POLICIES: readonly string[] = ["Foreground", "Background", "Orphan"];

export function checkDeleteOptions(options: DeleteOptions): void {
  const { orphanDependents, propagationPolicy, dryRun = [] } = options;
  const errors: FieldError[] = [];
  const field = "propagationPolicy";
  if (orphanDependents !== undefined && propagationPolicy !== undefined)
    errors.push(invalid(field, propagationPolicy, "orphanDependents and deletionPropagation cannot be both set"));
  if (propagationPolicy !== undefined && !POLICIES.includes(propagationPolicy))
    errors.push(notSupported(field, propagationPolicy, [...POLICIES, "nil"]));
  errors.push(...checkDryRun(dryRun), ...checkUnsafe(options));
  if (errors.length > 0) throw invalidObject("meta.k8s.io", "DeleteOptions", "", errors);
}

export function checkDryRun(dryRun: readonly string[]): readonly FieldError[] {
  return dryRun.every((value) => value === "All") ? [] : [notSupported("dryRun", dryRun, ["All"])];
}

export type Deleted =
  /** Still there: a finalizer or its grace period holds it. */
  | { readonly kind: "pending"; readonly entry: Entry }
  | { readonly kind: "gone"; readonly entry: Entry; readonly answersObject: boolean };

export async function remove(
  context: WriteContext,
  resource: Resource,
  namespace: string,
  name: string,
  options: DeleteOptions,
  /** What admission is told: nothing, where many are deleted. */
  said = name,
): Promise<Deleted> {
  checkDeleteOptions(options);
  const { services } = context;
  const { store, cache } = services.registry.storage(resource);
  const key = keyFor(resource, namespace, name);
  let admitted = context.internal === true;
  let kept: any;
  let last: any;
  const change = async (current: Entry | undefined): Promise<Change> => {
    if (current === undefined) throw notFound(resource, name);
    await prepareViews(resource, [current]);
    const object = current.view(resource) as any;
    checkPreconditions(resource, name, object, options);
    const plan = planDeletion(resource, object, options, services.clock.now());
    // Nobody is asked about what is on its way already.
    if (plan === "pending") return "same";
    const asked = admissionRequest(context, resource, "", "DELETE", namespace, said, undefined, object);
    const { kind, apiVersion, ...dryRun } = asked.options;
    const { gracePeriodSeconds, preconditions, orphanDependents, propagationPolicy } = options;
    const given = { gracePeriodSeconds, preconditions, orphanDependents, propagationPolicy };
    const stated = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
    const admission = Object.assign(asked, { options: { kind, apiVersion, ...stated, ...dryRun } });
    if (!admitted) {
      await services.admission.admit(admission);
      admitted = true;
    }
    if (context.internal !== true) await services.admission.validate(admission);
    if (plan === "delete") last = lastSeen(resource, object, options, services.clock.now());
    // Upstream marks it first, or takes its finalizers off, and asks again before it goes.
    const isMarked = last !== undefined && !isEnded(object);
    if (plan === "delete" && (isMarked || (object.metadata.finalizers ?? []).length > 0) && !isSilent(context)) {
      const again = Object.assign(asked, { oldObject: isMarked ? last : object });
      await services.admission.admit(again);
      await services.admission.validate(again);
    }
    if (plan === "delete" || plan === "same") return plan;
    kept = deepFreeze(await convertedToStored(resource, plan));
    return { put: kept };
  };
  if (context.dryRun) {
    const entry = await readStored(store, key, cache.get(key));
    const wanted = await change(entry);
    if (wanted === "delete")
      return {
        kind: "gone",
        entry: last === undefined ? entry! : entryOfView(resource, key, entry!.revision, last),
        answersObject: RETURNS_OBJECT.has(qualified(resource)),
      };
    const pending = wanted === "same" ? entry! : new Entry(key, entry!.revision, kept);
    await prepareViews(resource, [pending]);
    return { kind: "pending", entry: pending };
  }
  const result = await store.update(key, cache.get(key), change).catch((error: unknown) => {
    throw error instanceof CorruptObject ? error.toRead() : error;
  });
  if (result === undefined) throw notFound(resource, name);
  if (!result.deleted) {
    await prepareViews(resource, [result.entry]);
    return { kind: "pending", entry: result.entry };
  }
  await prepareViews(resource, [result.entry]);
  const gone = result.entry.view(resource) as any;
  await hooksOf(resource)?.afterDelete?.(services, gone);
  const answersObject = RETURNS_OBJECT.has(qualified(resource));
  if (last === undefined) return { kind: "gone", entry: result.entry, answersObject };
  const { resourceVersion } = gone.metadata;
  const shown = { ...last, metadata: { ...last.metadata, resourceVersion } };
  return { kind: "gone", entry: entryOfView(resource, key, result.entry.revision, shown), answersObject };
}

const isSilent = ({ internal, dryRun }: WriteContext): boolean => internal === true || dryRun;

/** Its time was over before. */
const isEnded = ({ metadata }: any): boolean =>
  metadata.deletionTimestamp !== undefined && (metadata.deletionGracePeriodSeconds ?? 0) === 0;

/** What goes at once without having to is shown with its end on it. */
function lastSeen(resource: Resource, object: any, options: DeleteOptions, nowMs: number): any {
  if (graceOf(resource, object, options) === undefined) return undefined;
  const { metadata } = object;
  const marked = metadata.deletionTimestamp !== undefined;
  const start = marked
    ? Date.parse(metadata.deletionTimestamp) - (metadata.deletionGracePeriodSeconds ?? 0) * 1000
    : nowMs;
  return {
    ...object,
    metadata: {
      ...metadata,
      deletionTimestamp: formatTime(start),
      deletionGracePeriodSeconds: 0,
      ...(!marked && metadata.generation > 0 && { generation: metadata.generation + 1 }),
    },
  };
}

/** What becomes of the object: it goes, it stays as it is (until its time is over: pending), or it stays with these marks on it. Pure. */
function planDeletion(resource: Resource, object: any, options: DeleteOptions, nowMs: number): any {
  const { metadata } = object;
  const finalizers = finalizersAfter(metadata.finalizers ?? [], options, orphansByDefault(resource));
  const sameFinalizers = JSON.stringify(finalizers) === JSON.stringify(metadata.finalizers ?? []);
  const withFinalizers = { ...metadata, ...(finalizers.length > 0 ? { finalizers } : { finalizers: undefined }) };
  const held = finalizers.length > 0 || hooksOf(resource)?.keepsOnDelete?.(object) === true;
  const grace = graceOf(resource, object, options);

  if (metadata.deletionTimestamp !== undefined) {
    const before: number = metadata.deletionGracePeriodSeconds ?? 0;
    if (grace !== undefined && before > 0 && (options.gracePeriodSeconds ?? before) < before) {
      // A grace period may shrink, never grow.
      if (grace === 0 && !held) return "delete";
      const start = Date.parse(metadata.deletionTimestamp) - before * 1000;
      let deadline = start + grace * 1000;
      let period = grace;
      if (grace > 0 && deadline < nowMs) {
        deadline = nowMs;
        period = 1;
      }
      return prune({
        ...object,
        metadata: { ...withFinalizers, deletionTimestamp: formatTime(deadline), deletionGracePeriodSeconds: period },
      });
    }
    if (before > 0) return "pending";
    if (!held) return "delete";
    return sameFinalizers ? "same" : prune({ ...object, metadata: withFinalizers });
  }

  const { markDeleted } = hooksOf(resource) ?? {};
  if ((grace === undefined || grace === 0) && !held && markDeleted === undefined) return "delete";
  const marked = {
    ...object,
    metadata: {
      ...withFinalizers,
      deletionTimestamp: formatTime(nowMs + (grace ?? 0) * 1000),
      deletionGracePeriodSeconds: grace ?? 0,
      ...(metadata.generation > 0 && { generation: metadata.generation + 1 }),
    },
  };
  if (markDeleted !== undefined) return prune(markDeleted(marked, formatTime(nowMs)));
  return prune(marked);
}

function prune(object: any): any {
  if (object.metadata.finalizers === undefined) delete object.metadata.finalizers;
  return object;
}

/** Seconds until the end; undefined where the kind knows no grace. */
function graceOf(resource: Resource, object: any, { gracePeriodSeconds }: DeleteOptions): number | undefined {
  if (resource.kind !== "Pod" || resource.group !== "") {
    const own = resource.gracefulDeletionSeconds?.(object);
    return own === undefined ? undefined : (gracePeriodSeconds ?? own);
  }
  // A pod that no node runs has nobody to wait for.
  if ((object.spec?.nodeName ?? "") === "") return 0;
  if (["Succeeded", "Failed"].includes(object.status?.phase)) return 0;
  const grace: number = gracePeriodSeconds ?? object.spec?.terminationGracePeriodSeconds ?? 0;
  return grace < 0 ? 1 : grace;
}

/** Kinds that came before garbage collection: who says nothing keeps what they own. */
function orphansByDefault({ group, version, kind }: Resource): boolean {
  return (
    version === "v1" && ((group === "" && kind === "ReplicationController") || (group === "batch" && kind === "Job"))
  );
}

function finalizersAfter(
  finalizers: readonly string[],
  options: DeleteOptions,
  orphanByDefault: boolean,
): readonly string[] {
  const { propagationPolicy, orphanDependents } = options;
  let orphan = finalizers.includes(ORPHAN);
  let foreground = finalizers.includes(FOREGROUND);
  if (orphanDependents !== undefined) {
    orphan = orphanDependents;
    foreground = false;
  } else if (propagationPolicy !== undefined) {
    orphan = propagationPolicy === "Orphan";
    foreground = propagationPolicy === "Foreground";
  } else if (!orphan && !foreground) orphan = orphanByDefault;
  const rest = finalizers.filter((finalizer) => finalizer !== ORPHAN && finalizer !== FOREGROUND);
  if (orphan === finalizers.includes(ORPHAN) && foreground === finalizers.includes(FOREGROUND)) return finalizers;
  return [...rest, ...(orphan ? [ORPHAN] : []), ...(foreground ? [FOREGROUND] : [])];
}

function checkPreconditions(
  resource: Resource,
  name: string,
  { metadata }: any,
  { preconditions }: DeleteOptions,
): void {
  if (preconditions?.uid !== undefined && preconditions.uid !== metadata.uid)
    throw conflict(
      { group: resource.group, plural: resource.kind },
      name,
      `the UID in the precondition (${preconditions.uid}) does not match the UID in record (${metadata.uid}). The object might have been deleted and then recreated`,
    );
  if (preconditions?.resourceVersion !== undefined && preconditions.resourceVersion !== metadata.resourceVersion)
    throw conflict(
      { group: resource.group, plural: resource.kind },
      name,
      `the ResourceVersion in the precondition (${preconditions.resourceVersion}) does not match the ResourceVersion in record (${metadata.resourceVersion}). The object might have been modified`,
    );
}

/** The Status that says an object is gone. */
export function deletedStatus(resource: Resource, entry: Entry): object {
  const { name, uid } = entry.stored.metadata;
  return {
    kind: "Status",
    apiVersion: "v1",
    metadata: {},
    status: "Success",
    details: { name, ...(resource.group !== "" && { group: resource.group }), kind: resource.plural, uid },
  };
}

/** Deletes what a selection holds, until the request's time is over; what another deleted meanwhile is no failure. */
export async function removeAll(
  context: WriteContext,
  resource: Resource,
  entries: readonly Entry[],
  options: DeleteOptions,
): Promise<void> {
  let next = 0;
  let failed = false;
  const work = async () => {
    while (next < entries.length && !failed) {
      context.signal.throwIfAborted();
      const { name, namespace } = entries[next++]!.stored.metadata;
      try {
        await remove(context, resource, namespace ?? "", name, options, "");
      } catch (error) {
        if (error instanceof StatusError && error.reason === "NotFound") continue;
        failed = true;
        throw error;
      }
    }
  };
  // More of them are done sooner, and everybody else waits longer for the collection of their garbage.
  const { deleteCollectionWorkers = 1 } = context.services.options;
  await Promise.all(Array.from({ length: Math.min(Math.max(deleteCollectionWorkers, 1), entries.length) }, work));
}
