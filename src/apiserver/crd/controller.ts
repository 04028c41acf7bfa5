/**
 * Serves the resources that CustomResourceDefinitions define, as soon as a definition is created and until it is deleted.
 * Upstream: apiextensions-apiserver/pkg/controller/{status,establish,finalizer}.
 */
import { formatTime } from "../../machinery/meta/time.ts";
import type { CustomResourceDefinition } from "../../api/generated/apiextensions.v1.ts";
import type { Services } from "../registry/context.ts";
import { remove } from "../registry/delete.ts";
import { ensure, internalContext } from "../bootstrap/write.ts";
import { hasReason } from "../../machinery/status.ts";
import { forgetEmpties } from "../../machinery/codec/empties.ts";
import { jsonEqual } from "../../machinery/patch/json-value.ts";
import { recordUpdate } from "../registry/managed-fields.ts";
import { update } from "../registry/update.ts";
import { pause } from "../../world/time.ts";
import {
  acceptNames,
  approval,
  established,
  NON_STRUCTURAL,
  Structures,
  takenNames,
  withConditions,
} from "./conditions.ts";
import { conversionOf } from "./conversion.ts";
import { customResource } from "./resource.ts";

const CRDS = "customresourcedefinitions.apiextensions.k8s.io";
const API_SERVICES = "apiservices.apiregistration.k8s.io";
export const READ_FOR_DEFINITIONS: readonly string[] = [CRDS];
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 60_000;
const CLEANUP_FINALIZER = "customresourcecleanup.apiextensions.k8s.io";

/** Follows the definitions from the moment of the call; its writes are under way until `settled`. */
export function followDefinitions(services: Services, signal: AbortSignal): { settled(): Promise<void> } {
  const resource = services.registry.named(CRDS);
  if (resource === undefined) return { settled: async () => {} };
  const { cache } = services.registry.storage(resource);
  const served = new Map<string, Served>();
  const structures = new Structures();
  const cleaning = new Set<string>();
  let work: Promise<void> = Promise.resolve();
  // A store that is away comes back: what failed is done again behind what came since. Each act looks at how things are when it runs.
  const later = (queue: string, act: () => Promise<unknown>, retryMs = FIRST_RETRY_MS) => {
    const begin = services.queues.add(queue);
    work = work
      .then(() => begin(act))
      .then(
        () => {},
        (error: unknown) => {
          if (signal.aborted) return;
          services.log.error("A custom resource definition can't be followed", error);
          services.queues.retried(queue);
          void pause(services.clock, retryMs, signal).then(
            (isTime) => isTime && later(queue, act, Math.min(retryMs * 2, LAST_RETRY_MS)),
          );
        },
      );
  };
  cache.onEvent(({ type, entry, old }) => {
    const definition = entry.view(resource) as CustomResourceDefinition;
    if (type === "DELETED") {
      withdraw(services, definition, served);
      structures.forget(definition.metadata.name);
      later("crd_autoregistration_controller", () => closeStorage(services, definition));
      later("crd_naming_condition_controller", () => settleOthers(services, definition, structures));
      return;
    }
    if (definition.metadata.deletionTimestamp !== undefined) {
      // What finalizers hold takes its time: others don't wait for it.
      const { name } = definition.metadata;
      if (served.has(name)) serve(services, definition, served);
      if (cleaning.has(name)) return;
      cleaning.add(name);
      void untilClean(services, definition, signal).finally(() => cleaning.delete(name));
      return;
    }
    if (isServable(services, definition)) serve(services, definition, served);
    later("crd_naming_condition_controller", () => settle(services, definition, structures));
    const namesOf = (one: object) => JSON.stringify((one as CustomResourceDefinition).status?.acceptedNames);
    // Whoever waits for a name looks when the cache has it that the name is free.
    if (old !== undefined && namesOf(old.stored) !== namesOf(entry.stored))
      later("crd_naming_condition_controller", () => settleOthers(services, definition, structures));
  });
  return { settled: () => work };
}

/** What is served of a definition, and what it was made of: to compare that costs a tenth of writing it down, and no memory. */
interface Served {
  readonly spec: Spec;
  readonly names: CustomResourceDefinition["status"]["acceptedNames"];
  readonly isLeaving: boolean;
  readonly versions: readonly string[];
}

type Spec = CustomResourceDefinition["spec"];

function serve(services: Services, definition: CustomResourceDefinition, served: Map<string, Served>): void {
  const { group, names } = definition.spec;
  const now = definition.spec.versions.filter((version) => version.served);
  const isLeaving = definition.metadata.deletionTimestamp !== undefined;
  const acceptedNames = definition.status?.acceptedNames;
  const before = served.get(definition.metadata.name);
  const isSame = before !== undefined && jsonEqual(before.spec, definition.spec);
  if (isSame && before.isLeaving === isLeaving && jsonEqual(before.names, acceptedNames)) return;
  // What is in memory was read by the old definition: it is read anew, and whoever watches begins again.
  if (before !== undefined && !isSame)
    void services.registry.closeStorage(customResource(definition, definition.spec.versions[0]!));
  const convert = conversionOf(services, definition);
  for (const version of before?.versions ?? [])
    if (!now.some(({ name }) => name === version)) services.registry.remove(group, version, names.plural);
  // The stored version last: it is the one that the server itself works with.
  for (const version of [...now].sort((a, b) => Number(a.storage) - Number(b.storage))) {
    const made = customResource(definition, version, convert);
    services.registry.addCustom(
      made,
      (version.schema?.openAPIV3Schema ?? { type: "object" }) as Record<string, unknown>,
    );
    services.registry.storage(made);
  }
  served.set(definition.metadata.name, {
    spec: definition.spec,
    names: acceptedNames,
    isLeaving,
    versions: now.map(({ name }) => name),
  });
}

function withdraw(services: Services, definition: CustomResourceDefinition, served: Map<string, Served>): void {
  const { group, names } = definition.spec;
  for (const version of served.get(definition.metadata.name)?.versions ?? [])
    services.registry.remove(group, version, names.plural);
  served.delete(definition.metadata.name);
}

async function closeStorage(services: Services, definition: CustomResourceDefinition): Promise<void> {
  const version = definition.spec.versions[0];
  if (version !== undefined) await services.registry.closeStorage(customResource(definition, version));
  const { registry } = services;
  const resource = registry.named(API_SERVICES);
  if (resource === undefined) return;
  for (const { name } of definition.spec.versions) {
    if (registry.hasVersion(definition.spec.group, name)) continue;
    await remove(internalContext(services), resource, "", `${name}.${definition.spec.group}`, {}).catch(unlessGone);
  }
}

function unlessGone(error: unknown): void {
  if (!hasReason(error, "NotFound")) throw error;
}

const definitions = ({ cluster }: Services) => cluster.list(CRDS) as readonly CustomResourceDefinition[];

/** Served is what has its names, and what once had them. */
function isServable(services: Services, definition: CustomResourceDefinition): boolean {
  const { condition } = acceptNames(definition, takenNames(definition, definitions(services)));
  return established(definition, condition).status === "True";
}

/** Accepts the names, as far as they are free, and says what is served. */
async function settle(
  services: Services,
  { metadata }: CustomResourceDefinition,
  structures: Structures,
): Promise<void> {
  await writeStatus(services, metadata.name, (current) => {
    if (current.metadata.deletionTimestamp !== undefined) return undefined;
    const { names, condition } = acceptNames(current, takenNames(current, definitions(services)));
    const before = current.status?.conditions ?? [];
    const odd = structures.oddityOf(current);
    const wanted = [approval(current), condition, established(current, condition), odd];
    const now = withConditions(before, wanted, formatTime(services.clock.now()));
    const conditions =
      odd === undefined && now.some(({ type }) => type === NON_STRUCTURAL)
        ? now.filter(({ type }) => type !== NON_STRUCTURAL)
        : now;
    const isSame = JSON.stringify(names) === JSON.stringify(current.status?.acceptedNames);
    if (conditions === before && isSame) return undefined;
    return { ...current.status, conditions: [...conditions], acceptedNames: names };
  });
  await services.queues.run("crd_autoregistration_controller", () => registerApiServices(services, metadata.name));
}

type Status = NonNullable<CustomResourceDefinition["status"]>;

/** As its owner, the server itself. Undefined: it stays as it is. */
async function writeStatus(
  services: Services,
  name: string,
  change: (current: CustomResourceDefinition) => Status | undefined,
  finalizers?: (before: readonly string[]) => readonly string[],
): Promise<void> {
  const resource = services.registry.named(CRDS)!;
  const context = internalContext(services);
  await update(context, {
    resource,
    subresource: "status",
    namespace: "",
    name,
    onMissing: "fail",
    behaviour: {},
    skipAdmission: true,
    make(current: CustomResourceDefinition) {
      const status = change(current);
      // The spec, which may be a megabyte, is shared: nobody changes it on the way of a status.
      const draft: any = { ...current, metadata: { ...current.metadata } };
      forgetEmpties(draft);
      if (status === undefined) return draft;
      if (finalizers !== undefined) draft.metadata.finalizers = finalizers(current.metadata.finalizers ?? []);
      return recordUpdate(context, resource, "status", current, { ...draft, status });
    },
  }).catch(unlessGone);
}

/** Names that were refused may be free by now. */
async function settleOthers(
  services: Services,
  { metadata, spec }: CustomResourceDefinition,
  structures: Structures,
): Promise<void> {
  for (const other of definitions(services)) {
    if (other.spec.group !== spec.group || other.metadata.name === metadata.name) continue;
    const names = other.status?.conditions?.find(({ type }) => type === "NamesAccepted");
    if (names?.status === "False") await settle(services, other, structures);
  }
}

async function registerApiServices(services: Services, name: string): Promise<void> {
  const definition = services.cluster.get(CRDS, "", name) as CustomResourceDefinition | undefined;
  if (definition === undefined || !isServable(services, definition)) return;
  const { group, versions } = definition.spec;
  for (const { name: version, served } of versions) {
    if (!served) continue;
    await ensure(services, API_SERVICES, {
      apiVersion: "apiregistration.k8s.io/v1",
      kind: "APIService",
      metadata: {
        name: `${version}.${group}`,
        labels: { "kube-aggregator.kubernetes.io/automanaged": "true" },
      },
      spec: { group, version, groupPriorityMinimum: 1000, versionPriority: 100 },
    });
  }
}

/** Nothing else would try again: the definition itself need not change any more. */
async function untilClean(
  services: Services,
  definition: CustomResourceDefinition,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    try {
      return await services.queues.run("crd_finalizer", () => cleanUp(services, definition, signal));
    } catch (error) {
      services.log.error("A custom resource definition can't be cleaned up", error);
      if (!(await pause(services.clock, POLL_MS, signal))) return;
    }
  }
}

/** Deletes every object of the kind, and then lets the definition go. Finalizers may hold the objects for as long as they like. */
async function cleanUp(services: Services, definition: CustomResourceDefinition, signal: AbortSignal): Promise<void> {
  if (!(definition.metadata.finalizers ?? []).includes(CLEANUP_FINALIZER)) return;
  const { name } = definition.metadata;
  const isEstablished = (definition.status?.conditions ?? []).some(
    ({ type, status }) => type === "Established" && status === "True",
  );
  // What is served doesn't wait until the store has it.
  const wasServed = isEstablished || isServable(services, definition);
  for (let done = false; !done;) {
    const inProgress = terminating("True", "InstanceDeletionInProgress", "CustomResource deletion is in progress");
    await say(services, name, inProgress);
    if (!wasServed) break;
    done = await deleteObjects(services, definition, signal);
    if (signal.aborted) return;
    if (!done) await say(services, name, terminating("True", "InstanceDeletionCheck", NOT_GONE));
  }
  const over = wasServed
    ? terminating("False", "InstanceDeletionCompleted", "removed all instances")
    : terminating("False", "NeverEstablished", "resource was never established");
  await writeStatus(
    services,
    name,
    (current) => ({ ...current.status, conditions: [...conditionsWith(services, current, over)] }) as Status,
    (before) => before.filter((one) => one !== CLEANUP_FINALIZER),
  );
}

const NOT_GONE = "could not confirm zero CustomResources remaining: context deadline exceeded";
const POLL_MS = 1000;
const POLLS = 60;

const terminating = (status: "True" | "False", reason: string, message: string) => ({
  type: "Terminating",
  status,
  reason,
  message,
});

const conditionsWith = (
  { clock }: Services,
  { status }: CustomResourceDefinition,
  condition: ReturnType<typeof terminating>,
) => withConditions(status?.conditions ?? [], [condition], formatTime(clock.now()));

function say(services: Services, name: string, condition: ReturnType<typeof terminating>): Promise<void> {
  return writeStatus(services, name, (current) => {
    const conditions = conditionsWith(services, current, condition);
    return conditions === current.status?.conditions
      ? undefined
      : ({ ...current.status, conditions: [...conditions] } as Status);
  });
}

/** Whether they are all gone by the end of a minute. */
async function deleteObjects(
  services: Services,
  definition: CustomResourceDefinition,
  signal: AbortSignal,
): Promise<boolean> {
  const { registry } = services;
  const { group, names, versions } = definition.spec;
  const stored = versions.find(({ storage }) => storage) ?? versions[0]!;
  const resource =
    registry.find(group, stored.name, names.plural) ??
    customResource(definition, stored, conversionOf(services, definition));
  const { store, cache } = registry.storage(resource);
  const left = async () => (await store.list(cache.prefix, {}, (key) => cache.get(key))).entries;
  for (const entry of await left()) {
    const { name, namespace } = entry.stored.metadata;
    // Whatever is left then is seen below.
    await remove(internalContext(services), resource, namespace ?? "", name, {}).catch(() => {});
  }
  for (let poll = 0; poll < POLLS; poll++) {
    if ((await left()).length === 0) return true;
    if (!(await pause(services.clock, POLL_MS, signal))) return false;
  }
  return false;
}
