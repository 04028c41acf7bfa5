/**
 * Adjusts the number of pods to their load. Metrics come from metrics.k8s.io; custom and external metrics are not read yet.
 * Upstream: pkg/controller/podautoscaler
 */
import type { Scale } from "../../api/generated/autoscaling.v1.ts";
import type {
  HorizontalPodAutoscaler,
  HorizontalPodAutoscalerCondition,
  HorizontalPodAutoscalerStatus,
  MetricSpec,
  MetricStatus,
} from "../../api/generated/autoscaling.v2.ts";
import type { Client } from "../../client/client.ts";
import { type ControllerContext, type Outcome, again, defineController, done } from "../../client/controller.ts";
import { itself } from "../../client/controller-runner.ts";
import { type DiscoveredResource, discover } from "../../client/discovery.ts";
import { horizontalPodAutoscalers, pods } from "../../client/resources.ts";
import { formatQuantity, milliQuantityOf } from "../../machinery/meta/quantity.ts";
import { formatTime, parseDuration, parseTime } from "../../machinery/meta/time.ts";
import { pathOf } from "../../machinery/resource.ts";
import { parseLabelSelector } from "../../machinery/selector/labels.ts";
import { hasReason } from "../../machinery/status.ts";
import { sameStatus } from "../shared/equality.ts";
import { messageOf } from "../shared/pod-control.ts";
import { type History, type Mark, limit } from "./limits.ts";
import { type Proposal, type Sample, type Samples, type Settings, milli, proposeReplicas } from "./replicas.ts";

export const horizontalPodAutoscalerController = defineController({
  name: "horizontal-pod-autoscaler-controller",
  aliases: ["horizontalpodautoscaling"],
  eventsAs: "horizontal-pod-autoscaler",
  workers: { flag: "concurrent-horizontal-pod-autoscaler-syncs", default: 5 },
  triggers: [
    {
      ...itself(horizontalPodAutoscalers),
      changed: (old, next) =>
        old.metadata.generation !== next.metadata.generation || JSON.stringify(old.spec) !== JSON.stringify(next.spec),
    },
  ],
  reads: [pods],
  create(context) {
    const histories = new Map<string, Histories>();
    const period = option(context, "horizontal-pod-autoscaler-sync-period", 15_000);
    return {
      async reconcile(key, signal, client): Promise<Outcome> {
        const autoscaler = context.informers.of(horizontalPodAutoscalers).get(key);
        if (autoscaler === undefined) {
          histories.delete(key);
          return done;
        }
        const history = histories.get(key) ?? { recommendations: [], ups: [], downs: [] };
        histories.set(key, history);
        const pass = new Pass(context, client, autoscaler, history, signal);
        const status = await pass.run();
        if (!sameStatus(status, autoscaler.status))
          await client.updateStatus(horizontalPodAutoscalers, { ...autoscaler, status }, { signal });
        return again(period);
      },
    };
  },
});

interface Histories extends History {
  recommendations: Mark[];
  ups: Mark[];
  downs: Mark[];
}

function option({ options }: ControllerContext, name: string, standard: number): number {
  const value = options[name];
  return typeof value === "number" ? value : standard;
}

/** A metric that can't be had, with the reason under which that is told. */
class MetricError extends Error {
  readonly reason: string;
  constructor(reason: string, message: string, options?: ErrorOptions) {
    super(message, options);
    this.reason = reason;
  }
}

interface Measured extends Proposal {
  readonly name: string;
  readonly status: MetricStatus;
}

interface Target {
  readonly path: string;
  readonly scale: Scale;
}

class Pass {
  readonly #context: ControllerContext;
  readonly #client: Client;
  readonly #autoscaler: HorizontalPodAutoscaler;
  readonly #history: Histories;
  readonly #signal: AbortSignal;
  readonly #now: number;
  #conditions: readonly HorizontalPodAutoscalerCondition[];

  constructor(
    context: ControllerContext,
    client: Client,
    autoscaler: HorizontalPodAutoscaler,
    history: Histories,
    signal: AbortSignal,
  ) {
    this.#context = context;
    this.#client = client;
    this.#autoscaler = autoscaler;
    this.#history = history;
    this.#signal = signal;
    this.#now = context.clock.now();
    this.#conditions = autoscaler.status?.conditions ?? [];
  }

  async run(): Promise<HorizontalPodAutoscalerStatus> {
    const { spec, status } = this.#autoscaler;
    let target: Target;
    try {
      target = await this.#target();
    } catch (error) {
      if (this.#signal.aborted) throw error;
      const why = messageOf(error);
      this.#tell("Warning", "FailedGetScale", why);
      this.#set(
        "AbleToScale",
        "False",
        "FailedGetScale",
        `the HPA controller was unable to get the target's current scale: ${why}`,
      );
      return this.#status(status?.currentReplicas ?? 0, status?.desiredReplicas ?? 0);
    }
    this.#set(
      "AbleToScale",
      "True",
      "SucceededGetScale",
      "the HPA controller was able to get the target's current scale",
    );
    const current = target.scale.spec.replicas ?? 0;
    if (this.#history.recommendations.length === 0)
      this.#history.recommendations.push({ at: this.#now, replicas: current });

    const min = spec.minReplicas ?? 1;
    let wanted = current;
    let reason = "";
    let metrics: readonly MetricStatus[] | undefined;
    if (current === 0 && min !== 0) {
      this.#set(
        "ScalingActive",
        "False",
        "ScalingDisabled",
        "scaling is disabled since the replica count of the target is zero",
      );
      return this.#status(current, 0);
    }
    if (current > spec.maxReplicas)
      [wanted, reason] = [spec.maxReplicas, "Current number of replicas above Spec.MaxReplicas"];
    else if (current < min) [wanted, reason] = [min, "Current number of replicas below Spec.MinReplicas"];
    else {
      const measured = await this.#measure(target, current);
      if (measured === undefined) return this.#status(current, current);
      metrics = measured.metrics;
      reason = measured.best.replicas > current ? `${measured.best.name} above target` : "All metrics below target";
      const { cutoff, windowMs } = this.#remembered();
      const result = limit(this.#autoscaler, current, measured.best.replicas, this.#history, this.#now, windowMs);
      this.#history.recommendations = [
        ...this.#history.recommendations.filter(({ at }) => at > cutoff),
        { at: this.#now, replicas: measured.best.replicas },
      ];
      for (const { type, status: value, reason: why, message } of result.conditions)
        this.#set(type, value, why, message);
      wanted = result.replicas;
    }
    if (wanted === current) return this.#status(current, wanted, metrics);
    return await this.#rescale(target, current, wanted, reason, metrics);
  }

  /** How far back anything may have to be remembered. */
  #remembered(): { readonly cutoff: number; readonly windowMs: number } {
    const windowMs = option(this.#context, "horizontal-pod-autoscaler-downscale-stabilization", 300_000);
    const { scaleUp, scaleDown } = this.#autoscaler.spec.behavior ?? {};
    const longest = Math.max(
      windowMs,
      (scaleUp?.stabilizationWindowSeconds ?? 0) * 1000,
      (scaleDown?.stabilizationWindowSeconds ?? 0) * 1000,
    );
    return { cutoff: this.#now - longest, windowMs };
  }

  async #rescale(
    target: Target,
    current: number,
    wanted: number,
    reason: string,
    metrics: readonly MetricStatus[] | undefined,
  ): Promise<HorizontalPodAutoscalerStatus> {
    try {
      const body = { ...target.scale, spec: { ...target.scale.spec, replicas: wanted } };
      await this.#client.transport.send({ method: "PUT", path: target.path, body, signal: this.#signal });
    } catch (error) {
      if (this.#signal.aborted) throw error;
      const why = messageOf(error);
      this.#tell("Warning", "FailedRescale", `New size: ${wanted}; reason: ${reason}; error: ${why}`);
      this.#set(
        "AbleToScale",
        "False",
        "FailedUpdateScale",
        `the HPA controller was unable to update the target scale: ${why}`,
      );
      return this.#status(current, current, metrics);
    }
    this.#set(
      "AbleToScale",
      "True",
      "SucceededRescale",
      `the HPA controller was able to update the target scale to ${wanted}`,
    );
    this.#tell("Normal", "SuccessfulRescale", `New size: ${wanted}; reason: ${reason}`);
    const marks = wanted > current ? this.#history.ups : this.#history.downs;
    marks.push({ at: this.#now, replicas: Math.abs(wanted - current) });
    const hour = this.#now - 3_600_000;
    while (marks[0] !== undefined && marks[0].at < hour) marks.shift();
    return { ...this.#status(current, wanted, metrics), lastScaleTime: formatTime(this.#now) };
  }

  async #target(): Promise<Target> {
    const { scaleTargetRef: reference } = this.#autoscaler.spec;
    const { namespace = "" } = this.#autoscaler.metadata;
    const { apiVersion = "v1", kind, name } = reference;
    const group = apiVersion.includes("/") ? apiVersion.slice(0, apiVersion.indexOf("/")) : "";
    const { resources } = await discover(this.#client, this.#signal);
    const resource: DiscoveredResource | undefined = resources.find(
      (each) => each.group === group && each.kind === kind,
    );
    if (resource === undefined)
      throw new Error(`no matches for kind ${JSON.stringify(kind)} in group ${JSON.stringify(group)}`);
    const path = pathOf(resource, { namespace, name, subresource: "scale" });
    return { path, scale: (await this.#client.transport.send({ method: "GET", path, signal: this.#signal })) as Scale };
  }

  /** What the metrics ask for: the most that any of them wants. Undefined where too little is known to act. */
  async #measure(
    target: Target,
    current: number,
  ): Promise<{ readonly best: Measured; readonly metrics: readonly MetricStatus[] } | undefined> {
    const specs = this.#autoscaler.spec.metrics ?? [];
    const found: Measured[] = [];
    let first: MetricError | undefined;
    let failed = 0;
    for (const spec of specs)
      try {
        found.push(await this.#metric(spec, target, current));
      } catch (error) {
        if (this.#signal.aborted) throw error;
        failed++;
        const known =
          error instanceof MetricError
            ? error
            : new MetricError("FailedGetResourceMetric", messageOf(error), { cause: error });
        this.#tell("Warning", known.reason, known.message);
        first ??= known;
      }
    const best = found.reduce<Measured | undefined>(
      (most, each) => (most === undefined || each.replicas > most.replicas ? each : most),
      undefined,
    );
    // With a part of the picture one may grow, never shrink.
    if (best === undefined || (first !== undefined && best.replicas < current)) {
      const { reason = "", message = "" } = first ?? {};
      this.#set("ScalingActive", "False", reason, `the HPA was unable to compute the replica count: ${message}`);
      this.#tell(
        "Warning",
        "FailedComputeMetricsReplicas",
        `invalid metrics (${failed} invalid out of ${specs.length}), first error is: ${message}`,
      );
      return undefined;
    }
    this.#set(
      "ScalingActive",
      "True",
      "ValidMetricFound",
      `the HPA was able to successfully calculate a replica count from ${best.name}`,
    );
    return { best, metrics: found.map(({ status }) => status) };
  }

  async #metric(spec: MetricSpec, { scale }: Target, current: number): Promise<Measured> {
    const source =
      spec.type === "Resource" ? spec.resource : spec.type === "ContainerResource" ? spec.containerResource : undefined;
    if (source === undefined)
      throw new MetricError(
        FAILURES[spec.type] ?? "InvalidMetricSourceType",
        UNREAD[spec.type] ?? `unknown metric source type ${JSON.stringify(spec.type)}`,
      );
    const container = spec.containerResource?.container;
    const reason = container === undefined ? "FailedGetResourceMetric" : "FailedGetContainerResourceMetric";
    const text = scale.status?.selector ?? "";
    if (text === "") {
      this.#tell("Warning", "SelectorRequired", "selector is required");
      throw new MetricError("InvalidSelector", "the HPA target's scale is missing a selector");
    }
    const { averageUtilization, averageValue } = source.target;
    try {
      const selector = parseLabelSelector(text);
      const { namespace = "" } = this.#autoscaler.metadata;
      const selected = this.#context.informers
        .of(pods)
        .list(namespace)
        .filter(({ metadata }) => selector.matches(metadata.labels));
      const samples = await this.#samples(namespace, text, source.name, container);
      const proposal = proposeReplicas({
        current,
        target:
          averageUtilization !== undefined
            ? { utilization: averageUtilization }
            : { averageValue: milli(averageValue ?? "0") },
        pods: selected,
        samples,
        resource: source.name,
        ...(container !== undefined && { container }),
        now: this.#now,
        settings: this.#settings(),
      });
      const value = {
        averageValue: formatQuantity(milliQuantityOf(proposal.averageValue)),
        ...(averageUtilization !== undefined &&
          proposal.utilization !== undefined && { averageUtilization: proposal.utilization }),
      };
      const what = container === undefined ? `${source.name} resource` : `${source.name} container resource`;
      return {
        ...proposal,
        name: averageUtilization === undefined ? what : `${what} utilization (percentage of request)`,
        status:
          container === undefined
            ? { type: "Resource", resource: { name: source.name, current: value } }
            : { type: "ContainerResource", containerResource: { name: source.name, container, current: value } },
      };
    } catch (error) {
      if (error instanceof MetricError) throw error;
      const what = averageUtilization === undefined ? `${source.name} usage` : `${source.name} utilization`;
      throw new MetricError(reason, `failed to get ${what}: ${messageOf(error)}`, { cause: error });
    }
  }

  async #samples(
    namespace: string,
    labelSelector: string,
    resource: string,
    container: string | undefined,
  ): Promise<Samples> {
    const path = `/apis/metrics.k8s.io/v1beta1/namespaces/${namespace}/pods`;
    const prefix = `unable to get metrics for resource ${resource}`;
    let list: PodMetricsList;
    try {
      list = (await this.#client.transport.send({
        method: "GET",
        path,
        query: { labelSelector },
        signal: this.#signal,
      })) as PodMetricsList;
    } catch (error) {
      if (this.#signal.aborted) throw error;
      const missing = "the server could not find the requested resource (get pods.metrics.k8s.io)";
      const why = hasReason(error, "NotFound") ? missing : messageOf(error);
      throw new Error(`${prefix}: unable to fetch metrics from resource metrics API: ${why}`, { cause: error });
    }
    if ((list.items ?? []).length === 0) throw new Error(`${prefix}: no metrics returned from resource metrics API`);
    const samples = new Map<string, Sample>();
    for (const { metadata, timestamp, window, containers = [] } of list.items ?? []) {
      const usages = containers
        .filter(({ name }) => container === undefined || name === container)
        .map(({ usage }) => usage?.[resource]);
      if (usages.length === 0 || usages.includes(undefined)) continue;
      samples.set(metadata.name, {
        value: usages.reduce((sum, usage) => sum + milli(usage!), 0),
        at: parseTime(timestamp),
        windowMs: Number(parseDuration(window ?? "30s")) / 1e6,
      });
    }
    return samples;
  }

  #settings(): Settings {
    const tolerance = option(this.#context, "horizontal-pod-autoscaler-tolerance", 0.1);
    const { scaleUp, scaleDown } = this.#autoscaler.spec.behavior ?? {};
    const own = (text: string | undefined) => (text === undefined ? tolerance : milli(text) / 1000);
    return {
      tolerance: { up: own(scaleUp?.tolerance), down: own(scaleDown?.tolerance) },
      cpuInitializationMs: option(this.#context, "horizontal-pod-autoscaler-cpu-initialization-period", 300_000),
      readinessDelayMs: option(this.#context, "horizontal-pod-autoscaler-initial-readiness-delay", 30_000),
    };
  }

  #status(
    current: number,
    desired: number,
    metrics: readonly MetricStatus[] | undefined = this.#autoscaler.status?.currentMetrics,
  ): HorizontalPodAutoscalerStatus {
    return {
      ...this.#autoscaler.status,
      currentReplicas: current,
      desiredReplicas: desired,
      ...(metrics && { currentMetrics: metrics }),
      conditions: this.#conditions,
    };
  }

  #set(type: string, status: "True" | "False", reason: string, message: string): void {
    const current = this.#conditions.find((condition) => condition.type === type);
    const lastTransitionTime =
      current?.status === status ? (current.lastTransitionTime ?? formatTime(this.#now)) : formatTime(this.#now);
    const next = { type, status, reason, message, lastTransitionTime };
    this.#conditions =
      current === undefined
        ? [...this.#conditions, next]
        : this.#conditions.map((condition) => (condition === current ? next : condition));
  }

  #tell(type: "Normal" | "Warning", reason: string, message: string): void {
    this.#context.events.event(this.#autoscaler, type, reason, message);
  }
}

const FAILURES: Readonly<Record<string, string>> = {
  Object: "FailedGetObjectMetric",
  Pods: "FailedGetPodsMetric",
  External: "FailedGetExternalMetric",
};
const UNREAD: Readonly<Record<string, string>> = {
  Object: "unable to fetch metrics from custom metrics API: no custom metrics API is read by this controller manager",
  Pods: "unable to fetch metrics from custom metrics API: no custom metrics API is read by this controller manager",
  External:
    "unable to fetch metrics from external metrics API: no external metrics API is read by this controller manager",
};

interface PodMetricsList {
  readonly items?: readonly {
    readonly metadata: { readonly name: string };
    readonly timestamp: string;
    readonly window?: string;
    readonly containers?: readonly { readonly name: string; readonly usage?: Readonly<Record<string, string>> }[];
  }[];
}
