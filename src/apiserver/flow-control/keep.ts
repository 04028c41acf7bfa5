/**
 * Keeps priority and fairness in step with its API objects: creates the built-in ones, puts the present ones in force, and reports in each flow
 * schema's status whether its priority level exists.
 * Upstream: pkg/registry/flowcontrol/ensurer, pkg/util/flowcontrol/apf_controller.go
 */
import { isDeepStrictEqual } from "node:util";
import type { FlowSchema, PriorityLevelConfiguration } from "../../api/generated/flowcontrol.v1.ts";
import { formatTime } from "../../machinery/meta/time.ts";
import { hasReason } from "../../machinery/status.ts";
import { every } from "../../world/time.ts";
import builtIn from "../bootstrap/flow-control.json" with { type: "json" };
import { applyStatus, ensure, internalContext } from "../bootstrap/write.ts";
import type { Services } from "../registry/context.ts";
import type { Entry } from "../storage/entry.ts";
import { remove } from "../registry/delete.ts";
import type { FlowControl, Reference } from "./flow-control.ts";
import { ADJUST_EVERY_MS, isMandatory } from "./flow-control.ts";

const GROUP = "flowcontrol.apiserver.k8s.io";
const LEVELS = `prioritylevelconfigurations.${GROUP}`;
const SCHEMAS = `flowschemas.${GROUP}`;
const AUTOUPDATE = "apf.kubernetes.io/autoupdate-spec";
const PRODUCER = "api-priority-and-fairness-config-producer-v1";
const CONSUMER = "api-priority-and-fairness-config-consumer-v1";
/** Writes of one schema's status in a minute. Servers that disagree about it would write without end. */
const STATUS_WRITES_MAX = 6;

/** Suggested ones first, then mandatory; what is built in no more goes. */
export async function ensureFlowControl(services: Services): Promise<void> {
  for (const mandatory of [false, true]) {
    await ensureAll(services, LEVELS, builtIn.priorityLevelConfigurations, mandatory);
    await ensureAll(services, SCHEMAS, builtIn.flowSchemas, mandatory);
  }
  await removeUnwanted(services, LEVELS, builtIn.priorityLevelConfigurations);
  await removeUnwanted(services, SCHEMAS, builtIn.flowSchemas);
}

/** What is in force is read from the caches: it is right when they have seen what was written. */
async function caughtUp(services: Services, name: string, entries: readonly (Entry | undefined)[]): Promise<void> {
  const resource = services.registry.named(name);
  if (resource === undefined) return;
  await services.registry
    .storage(resource)
    .cache.waitUntil(Math.max(0, ...entries.map((entry) => entry?.revision ?? 0)));
}

type BuiltIn = { readonly metadata: { readonly name: string }; readonly spec: object };

async function ensureAll(
  services: Services,
  resource: string,
  objects: readonly BuiltIn[],
  mandatory: boolean,
): Promise<void> {
  const entries = await Promise.all(
    objects
      .filter(({ metadata }) => isMandatory(metadata.name) === mandatory)
      .map((object) =>
        ensure(services, resource, object, (current) => repair(current, object, mandatory), { fieldManager: PRODUCER }),
      ),
  );
  await caughtUp(services, resource, entries);
}

/** What a built-in object should be instead of what it is; undefined where it is right. */
export function repair(current: any, wanted: BuiltIn, mandatory: boolean): any {
  const told = current.metadata.annotations?.[AUTOUPDATE];
  const automatic = mandatory || (parseBool(told) ?? current.metadata.generation === 1);
  const annotation = String(automatic);
  const spec = automatic ? specOf(current, wanted) : current.spec;
  if (told === annotation && isDeepStrictEqual(spec, current.spec)) return undefined;
  return {
    ...current,
    metadata: {
      ...current.metadata,
      annotations: { ...current.metadata.annotations, [AUTOUPDATE]: annotation },
    },
    spec,
  };
}

/** What of the built-in spec differs; shares of the exempt level are its owner's to set. Fields that defaults add stay. */
function specOf(current: any, { metadata, spec }: BuiltIn): any {
  const merged = overlay(current.spec, spec);
  if (metadata.name !== "exempt" || current.spec?.exempt === undefined) return merged;
  return { ...merged, exempt: current.spec.exempt };
}

/** `wanted`, with what `current` says beyond it only where that is a default that comes back anyway. */
function overlay(current: any, wanted: any): any {
  if (Array.isArray(wanted) || typeof wanted !== "object" || wanted === null) return wanted;
  const result: Record<string, unknown> = {};
  for (const key of Object.keys(wanted)) {
    const value = overlay(current?.[key], wanted[key]);
    result[key] = isDeepStrictEqual(value, current?.[key]) ? current[key] : value;
  }
  return result;
}

function parseBool(text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined;
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  return undefined;
}

async function removeUnwanted(services: Services, name: string, builtIns: readonly BuiltIn[]): Promise<void> {
  const resource = services.registry.named(name);
  if (resource === undefined) return;
  for (const object of services.cluster.list(name)) {
    if (object.metadata.annotations?.[AUTOUPDATE] !== "true") continue;
    if (builtIns.some(({ metadata }) => metadata.name === object.metadata.name)) continue;
    const { uid, resourceVersion } = object.metadata;
    try {
      await remove(internalContext(services, PRODUCER), resource, "", object.metadata.name, {
        preconditions: { uid, resourceVersion },
      } as any);
    } catch (error) {
      if (!hasReason(error, "NotFound") && !hasReason(error, "Conflict")) throw error;
    }
  }
}

/** Takes what objects there are, and returns when they say so; follows their changes until the signal aborts, which `done` tells. */
export async function followFlowControl(
  services: Services,
  flow: FlowControl,
  signal: AbortSignal,
): Promise<{ readonly done: Promise<void> }> {
  const { registry, clock, log, cluster } = services;
  const [levels, schemas] = [registry.named(LEVELS), registry.named(SCHEMAS)];
  if (levels === undefined || schemas === undefined) return { done: Promise.resolve() };
  const writes = new Map<string, number[]>();
  let asked = false;
  const tell = async (references: readonly Reference[]) => {
    const work = references.map(async (reference) => {
      const { name } = reference.schema.metadata;
      const condition = conditionOf(reference, clock.now());
      if (condition === undefined) return;
      const now = clock.monotonic();
      const recent = (writes.get(name) ?? []).filter((at) => at > now - 60_000);
      if (recent.length >= STATUS_WRITES_MAX) return;
      writes.set(name, [...recent, now]);
      await applyCondition(services, name, condition);
    });
    try {
      await Promise.all(work);
    } catch (error) {
      if (!signal.aborted) log.error("The status of a FlowSchema can't be written", error);
    }
  };
  const digest = async () => {
    asked = false;
    if (signal.aborted) return;
    const references = flow.digest(
      cluster.list(LEVELS) as readonly PriorityLevelConfiguration[],
      cluster.list(SCHEMAS) as readonly FlowSchema[],
    );
    await tell(references);
  };
  const ask = () => {
    if (asked) return;
    asked = true;
    const begin = services.queues.add("priority_and_fairness_config_queue");
    clock.soon(() => void begin(digest));
  };
  for (const resource of [levels, schemas]) registry.storage(resource).cache.onEvent(ask);
  flow.onIdle = ask;
  await digest();
  return { done: every(clock, ADJUST_EVERY_MS, signal, () => flow.adjust()) };
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly lastTransitionTime: string;
  readonly reason: string;
  readonly message: string;
}

/** What the schema should say of its level; undefined where it does. */
export function conditionOf({ schema, level, dangling }: Reference, nowMs: number): Condition | undefined {
  const known = schema.status?.conditions?.find(({ type }) => type === "Dangling");
  const wanted = {
    type: "Dangling",
    status: dangling ? "True" : "False",
    reason: dangling ? "NotFound" : "Found",
    message: `This FlowSchema references the PriorityLevelConfiguration object named ${JSON.stringify(level)} ${
      dangling ? "but there is no such object" : "and it exists"
    }`,
  };
  if (known?.status === wanted.status && known.reason === wanted.reason && known.message === wanted.message)
    return undefined;
  return { ...wanted, lastTransitionTime: formatTime(nowMs) };
}

async function applyCondition(services: Services, name: string, condition: Condition): Promise<void> {
  const resource = services.registry.named(SCHEMAS)!;
  await applyStatus(services, resource, name, { conditions: [condition] }, CONSUMER);
}
