/**
 * KubeSchedulerConfiguration files: decoded, defaulted and validated as upstream does, and turned into the options of `createScheduler`.
 * Upstream: pkg/scheduler/apis/config/{types.go,v1/defaults.go,validation/validation.go}
 */
import { parseDuration } from "../machinery/meta/time.ts";
import { isObject, type JsonObject } from "../machinery/patch/json-value.ts";
import { duplicate, invalid, required, type FieldError } from "../machinery/validation/field-error.ts";
import { PLUGINS } from "./plugins/index.ts";
import type { SchedulerOptions } from "./scheduler.ts";

const API_VERSION = "kubescheduler.config.k8s.io/v1";

export interface LeaderElectionSettings {
  readonly leaderElect: boolean;
  readonly leaseDurationSeconds: number;
  readonly renewDeadlineSeconds: number;
  readonly retryPeriodSeconds: number;
  readonly resourceName: string;
  readonly resourceNamespace: string;
}

export interface SchedulerConfiguration {
  readonly options: SchedulerOptions;
  readonly leaderElection: LeaderElectionSettings;
  readonly kubeconfig: string;
}

export class ConfigurationError extends Error {
  override readonly name = "ConfigurationError";
  readonly errors: readonly FieldError[];

  constructor(errors: readonly FieldError[]) {
    const texts = errors.map(({ field, message }) => `${field}: ${message}`);
    super(texts.length === 1 ? texts[0]! : `[${texts.join(", ")}]`);
    this.errors = errors;
  }
}

/** Throws `ConfigurationError` with all that is wrong. `document` is the decoded file; an empty one gives the defaults. */
export function readConfiguration(document: unknown = {}): SchedulerConfiguration {
  const errors: FieldError[] = [];
  const root = isObject(document) ? document : {};
  const { kind, apiVersion } = root;
  if (kind !== undefined && kind !== "KubeSchedulerConfiguration") {
    errors.push(invalid("kind", kind, `no kind "${String(kind)}" is registered for version "${String(apiVersion)}"`));
  }
  if (apiVersion !== undefined && apiVersion !== API_VERSION) {
    errors.push(invalid("apiVersion", apiVersion, `should be ${API_VERSION}`));
  }
  const options = readOptions(root, errors);
  const election = objectAt(root, "leaderElection");
  const configuration: SchedulerConfiguration = {
    options,
    leaderElection: {
      leaderElect: election["leaderElect"] !== false,
      leaseDurationSeconds: seconds(election, "leaseDuration", 15, errors),
      renewDeadlineSeconds: seconds(election, "renewDeadline", 10, errors),
      retryPeriodSeconds: seconds(election, "retryPeriod", 2, errors),
      resourceName: text(election, "resourceName", "kube-scheduler"),
      resourceNamespace: text(election, "resourceNamespace", "kube-system"),
    },
    kubeconfig: text(objectAt(root, "clientConnection"), "kubeconfig", ""),
  };
  const lock = election["resourceLock"];
  if (configuration.leaderElection.leaderElect && lock !== undefined && lock !== "leases") {
    errors.push(invalid("leaderElection.resourceLock", lock, 'resourceLock value must be "leases"'));
  }
  if (errors.length > 0) throw new ConfigurationError(errors);
  return configuration;
}

function readOptions(root: JsonObject, errors: FieldError[]): SchedulerOptions {
  const parallelism = root["parallelism"] ?? 16;
  if (!(typeof parallelism === "number" && parallelism > 0)) {
    errors.push(invalid("parallelism", parallelism, "should be an integer value greater than zero"));
  }
  const initial = number(root, "podInitialBackoffSeconds", 1, errors);
  const most = number(root, "podMaxBackoffSeconds", 10, errors);
  if (initial <= 0) errors.push(invalid("podInitialBackoffSeconds", initial, "must be greater than 0"));
  if (most < initial) {
    errors.push(invalid("podMaxBackoffSeconds", most, "must be greater than or equal to PodInitialBackoffSeconds"));
  }
  const percentage = readPercentage(root, "percentageOfNodesToScore", errors) ?? 0;
  const profiles = Array.isArray(root["profiles"]) ? (root["profiles"] as readonly unknown[]) : [{}];
  if (profiles.length === 0) errors.push(required("profiles"));
  const names = new Set<unknown>();
  for (const [i, profile] of profiles.entries()) {
    const name = isObject(profile) ? profile["schedulerName"] : undefined;
    if (profiles.length > 1 && (name === undefined || name === ""))
      errors.push(required(`profiles[${i}].schedulerName`));
    else if (names.has(name)) errors.push(duplicate(`profiles[${i}].schedulerName`, name));
    names.add(name);
  }
  if (profiles.length > 1) {
    errors.push(invalid("profiles", profiles.length, "more than one profile is not supported"));
  }
  if (Array.isArray(root["extenders"]) && root["extenders"].length > 0) {
    errors.push(invalid("extenders", root["extenders"].length, "extenders are not supported"));
  }
  const profile = isObject(profiles[0]) ? profiles[0] : {};
  const own = readPercentage(profile, "percentageOfNodesToScore", errors, "profiles[0].");
  return {
    podInitialBackoffSeconds: initial,
    podMaxBackoffSeconds: most,
    percentageOfNodesToScore: own ?? percentage,
    schedulerName: text(profile, "schedulerName", "default-scheduler"),
    ...readPlugins(objectAt(profile, "plugins"), errors),
    args: readArgs(profile["pluginConfig"], errors),
  };
}

/** Upstream's plugins that have nothing to do here yet, or do it elsewhere: naming them is no mistake. */
const KNOWN_ELSEWHERE = [
  "VolumeRestrictions",
  "NodeVolumeLimits",
  "VolumeBinding",
  "VolumeZone",
  "DynamicResources",
  "DefaultPreemption",
  "NodeDeclaredFeatures",
];
const KNOWN: ReadonlySet<string> = new Set([...PLUGINS.map(({ name }) => name), ...KNOWN_ELSEWHERE]);

/** `multiPoint` switches a plugin as a whole, the other points one of its hooks. */
function readPlugins(
  plugins: JsonObject,
  errors: FieldError[],
): Pick<SchedulerOptions, "disabled" | "disabledAt" | "weights"> {
  const disabledAt: Record<string, readonly string[]> = {};
  const weights: Record<string, number> = {};
  for (const [point, set] of Object.entries(plugins)) {
    if (!isObject(set)) continue;
    const enabled = listAt(set, "enabled").map((entry) => text(entry, "name", ""));
    for (const [i, entry] of listAt(set, "enabled").entries()) {
      const name = enabled[i]!;
      if (!KNOWN.has(name)) {
        errors.push(
          invalid(`profiles[0].plugins.${point}.enabled[${i}].name`, name, `${point} "${name}" does not exist`),
        );
      }
      const weight = entry["weight"];
      if (typeof weight === "number" && weight !== 0) weights[name] = weight;
    }
    const disabled = listAt(set, "disabled").map((entry) => text(entry, "name", ""));
    const all = disabled.includes("*") ? [...KNOWN] : disabled;
    disabledAt[point] = all.filter((name) => !enabled.includes(name));
  }
  const { multiPoint = [], ...points } = disabledAt;
  return { disabled: multiPoint, disabledAt: points, weights };
}

function readArgs(config: unknown, errors: FieldError[]): Readonly<Record<string, object>> {
  const args: Record<string, object> = {};
  for (const [i, entry] of (Array.isArray(config) ? config : []).entries()) {
    const name = text(isObject(entry) ? entry : {}, "name", "");
    const field = `profiles[0].pluginConfig[${i}]`;
    if (args[name] !== undefined) {
      errors.push(duplicate(field, name));
      continue;
    }
    const own = objectAt(entry as JsonObject, "args");
    const kind = own["kind"];
    if (kind !== undefined && kind !== `${name}Args`) {
      errors.push(invalid(`${field}.args`, kind, "has to match plugin args"));
    }
    args[name] = own;
    CHECKS[name]?.(own, `${field}.args`, errors);
  }
  return args;
}

type Check = (args: JsonObject, field: string, errors: FieldError[]) => void;

const CHECKS: Readonly<Record<string, Check>> = {
  InterPodAffinity({ hardPodAffinityWeight: weight = 1 }, field, errors) {
    if (typeof weight === "number" && weight >= 0 && weight <= 100) return;
    errors.push(invalid(`${field}.hardPodAffinityWeight`, weight, "not in valid range [0, 100]"));
  },
  NodeResourcesFit(args, field, errors) {
    for (const [i, group] of ((args["ignoredResourceGroups"] ?? []) as readonly string[]).entries()) {
      if (!group.includes("/")) continue;
      errors.push(invalid(`${field}.ignoredResourceGroups[${i}]`, group, "resource group name can't contain '/'"));
    }
    const strategy = objectAt(args, "scoringStrategy");
    const byShape = strategy["type"] === "RequestedToCapacityRatio";
    if (byShape && strategy["requestedToCapacityRatio"] === undefined) {
      errors.push(
        required(
          `${field}.scoringStrategy.requestedToCapacityRatio`,
          "must be specified when type is RequestedToCapacityRatio",
        ),
      );
    }
    for (const [i, { name, weight = 1 }] of listAt(strategy, "resources").entries()) {
      if (typeof weight === "number" && weight > 0 && weight <= 100) continue;
      errors.push(
        invalid(
          `${field}.scoringStrategy.resources[${i}].weight`,
          weight,
          `resource weight of ${String(name)} not in valid range (0, 100]`,
        ),
      );
    }
  },
  PodTopologySpread(args, field, errors) {
    const constraints = listAt(args, "defaultConstraints");
    if ((args["defaultingType"] ?? "System") === "System" && constraints.length > 0) {
      errors.push(invalid(`${field}.defaultingType`, "System", "when .defaultConstraints are not empty"));
    }
    for (const [i, constraint] of constraints.entries()) {
      const at = `${field}.defaultConstraints[${i}]`;
      if (constraint["labelSelector"] !== undefined) {
        errors.push({
          type: "FieldValueForbidden",
          field: `${at}.labelSelector`,
          message: "Forbidden: constraint must not define a selector, as they deduced for each pod",
        });
      }
      const skew = constraint["maxSkew"];
      if (!(typeof skew === "number" && skew > 0))
        errors.push(invalid(`${at}.maxSkew`, skew, "not in valid range (0, inf)"));
    }
  },
};

function objectAt(parent: JsonObject, name: string): JsonObject {
  const value = isObject(parent) ? parent[name] : undefined;
  return isObject(value) ? value : {};
}
function listAt(parent: JsonObject, name: string): readonly JsonObject[] {
  const value = parent[name];
  return Array.isArray(value) ? value.filter(isObject) : [];
}
function text(parent: JsonObject, name: string, fallback: string): string {
  const value = parent[name];
  return typeof value === "string" && value !== "" ? value : fallback;
}
function number(parent: JsonObject, name: string, fallback: number, errors: FieldError[]): number {
  const value = parent[name] ?? fallback;
  if (typeof value === "number") return value;
  errors.push(invalid(name, value, "must be a number"));
  return fallback;
}
function readPercentage(parent: JsonObject, name: string, errors: FieldError[], prefix = ""): number | undefined {
  const value = parent[name];
  if (value === undefined || value === null) return undefined;
  if (typeof value === "number" && value >= 0 && value <= 100) return value;
  errors.push(invalid(prefix + name, value, "not in valid range [0-100]"));
  return undefined;
}
/** `15s`, `1m30s`, as metav1.Duration. */
function seconds(parent: JsonObject, name: string, fallback: number, errors: FieldError[]): number {
  const value = parent[name];
  if (value === undefined || value === null) return fallback;
  try {
    return parseDuration(String(value)) / 1e9;
  } catch (error) {
    errors.push(invalid(`leaderElection.${name}`, value, (error as Error).message));
    return fallback;
  }
}
