/**
 * A profile: the plugins that schedule the pods of one scheduler name, with their arguments and weights.
 *
 * Upstream: pkg/scheduler/framework/runtime/framework.go, pkg/scheduler/profile
 */
import type { Pod } from "../api/generated/core.v1.ts";
import { ADD, UPDATE_NODE_TAINT, type ClusterEvent } from "./events.ts";
import type { Handle, Plugin, PluginDefinition, Retry } from "./framework.ts";
import { PLUGINS } from "./plugins/index.ts";
import type { QueuedPod } from "./queue/queued-pod.ts";

export interface ProfileConfiguration {
  readonly schedulerName?: string;
  readonly percentageOfNodesToScore?: number;
  readonly disabled?: readonly string[];
  /** By extension point: plugins that are out of it there alone. */
  readonly disabledAt?: Readonly<Record<string, readonly string[]>>;
  readonly weights?: Readonly<Record<string, number>>;
  readonly args?: Readonly<Record<string, object>>;
}

export interface WeightedPlugin extends Plugin {
  readonly weight: number;
}

/** Extension points that are hooks of ours. What upstream does before filtering and scoring is part of ours. */
const HOOKS = [
  ["preEnqueue", "preEnqueue"],
  ["queueSort", "before"],
  ["filter", "filter"],
  ["score", "score"],
  ["bind", "bind"],
] as const;

export class Profile {
  readonly schedulerName: string;
  readonly percentageOfNodesToScore: number;
  readonly plugins: readonly WeightedPlugin[];
  readonly before: (a: QueuedPod, b: QueuedPod) => boolean;
  readonly bind: NonNullable<Plugin["bind"]>;
  readonly #gates: readonly Plugin[];
  readonly #retries: readonly { readonly plugin: string; readonly retry: Retry }[];
  readonly #retriesOn = new Map<string, readonly { readonly plugin: string; readonly retry: Retry }[]>();

  constructor(
    handle: Handle,
    configuration: ProfileConfiguration = {},
    definitions: readonly PluginDefinition[] = PLUGINS,
  ) {
    const {
      schedulerName = "default-scheduler",
      disabled = [],
      disabledAt = {},
      weights = {},
      args = {},
    } = configuration;
    this.schedulerName = schedulerName;
    this.percentageOfNodesToScore = configuration.percentageOfNodesToScore ?? 0;
    this.plugins = definitions
      .filter(({ name }) => !disabled.includes(name))
      .map(({ name, weight = 1, create }) => {
        const plugin: Omit<Plugin, "name"> = { ...create(handle, args[name] ?? {}) };
        for (const [point, hook] of HOOKS) if (disabledAt[point]?.includes(name) === true) delete plugin[hook];
        return { ...plugin, name, weight: weights[name] ?? weight };
      });
    const sorts = this.plugins.filter(({ before }) => before !== undefined);
    if (sorts.length !== 1) {
      throw new Error(
        `only one queue sort plugin required for profile with scheduler name "${schedulerName}", but got ${sorts.length}`,
      );
    }
    const binder = this.plugins.find(({ bind }) => bind !== undefined);
    if (binder === undefined) {
      throw new Error(`at least one bind plugin is needed for profile with scheduler name "${schedulerName}"`);
    }
    this.before = sorts[0]!.before!;
    this.bind = binder.bind!;
    this.#gates = this.plugins.filter(({ preEnqueue }) => preEnqueue !== undefined);
    this.#retries = this.plugins.flatMap(({ name, retryOn }) =>
      withTaints(retryOn).map((retry) => ({ plugin: name, retry })),
    );
  }

  /** The plugin that keeps the pod out of the queue. */
  gateOf(pod: Pod): string | undefined {
    return this.#gates.find(({ preEnqueue }) => preEnqueue!(pod) !== undefined)?.name;
  }

  /** Who wants to hear of the event. */
  retriesOn(event: ClusterEvent): readonly { readonly plugin: string; readonly retry: Retry }[] {
    const key = `${event.resource}/${event.actions}`;
    let retries = this.#retriesOn.get(key);
    if (retries === undefined) {
      retries = this.#retries.filter(
        ({ retry }) => retry.resource === event.resource && (retry.actions & event.actions) !== 0,
      );
      this.#retriesOn.set(key, retries);
    }
    return retries;
  }
}

/** Who waits for new nodes waits for nodes that lose a taint as well: until then they may have been out of the question. */
function withTaints(retryOn: readonly Retry[]): readonly Retry[] {
  const of = (action: number) => retryOn.some((r) => r.resource === "Node" && (r.actions & action) !== 0);
  return of(ADD) && !of(UPDATE_NODE_TAINT) ? [...retryOn, { resource: "Node", actions: UPDATE_NODE_TAINT }] : retryOn;
}
