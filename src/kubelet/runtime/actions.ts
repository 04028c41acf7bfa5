/**
 * What must be done so that a pod's containers are as its spec says. Pure: the pod, the runtime's state and probe results in; actions out.
 * Upstream: pkg/kubelet/kuberuntime/kuberuntime_manager.go computePodActions
 */
import { isSidecar } from "../../api/core/v1/pod/resources.ts";
import type { Pod } from "../../api/generated/core.v1.ts";
import type { PodResourceInfo } from "../allocation/resources.ts";
import { ephemeralContainers, initContainers, restartPolicyOf } from "../pod.ts";
import type { AnyContainer } from "../pod.ts";
import { containerHash } from "./container-config.ts";
import { NO_RESIZE, resizePlan } from "./resize-plan.ts";
import type { ResizePlan } from "./resize-plan.ts";
import { newestOf } from "./state.ts";
import type { RuntimeContainer, RuntimePod } from "./state.ts";

export type KillReason = "livenessProbe" | "startupProbe" | "containerChanged" | "other";

export interface ContainerKill {
  readonly container: RuntimeContainer;
  readonly message: string;
  readonly reason: KillReason;
}

export interface PodActions {
  /** Stop everything, the sandbox too: it is gone or changed, or nothing is left to run. */
  readonly killPod: boolean;
  readonly createSandbox: boolean;
  /** Of the sandbox to make. */
  readonly attempt: number;
  /** Where containers are started when no sandbox is made. */
  readonly sandboxId: string | undefined;
  readonly kill: readonly ContainerKill[];
  /** Names, in the order of starting. */
  readonly ephemeral: readonly string[];
  readonly init: readonly string[];
  readonly regular: readonly string[];
  readonly resize: ResizePlan;
}

/** What the probes say of a container id. */
export interface ProbeResults {
  liveness(containerId: string): "success" | "failure" | undefined;
  startup(containerId: string): "success" | "failure" | undefined;
}

/** Whether the sandbox has to be made (again), and why. */
export function sandboxChanged(
  pod: Pod,
  runtime: RuntimePod,
): { readonly changed: boolean; readonly attempt: number; readonly sandboxId: string | undefined } {
  const newest = runtime.sandboxes[0];
  if (newest === undefined) return { changed: true, attempt: 0, sandboxId: undefined };
  const ready = runtime.sandboxes.filter((sandbox) => sandbox.ready).length;
  const hostNetwork = pod.spec.hostNetwork === true;
  const changed =
    ready > 1 || !newest.ready || newest.hostNetwork !== hostNetwork || (!hostNetwork && newest.ips.length === 0);
  return { changed, attempt: changed ? newest.attempt + 1 : newest.attempt, sandboxId: newest.id };
}

const succeeded = (container: RuntimeContainer | undefined): boolean =>
  container !== undefined && container.state === "exited" && container.exitCode === 0;
const failed = (container: RuntimeContainer): boolean =>
  container.state === "unknown" || (container.state === "exited" && container.exitCode !== 0);

/** Whether an ended container is to run again: its own rules, its own policy, then the pod's. */
export function shouldRestart(pod: Pod, container: AnyContainer, runtime: RuntimePod): boolean {
  if (pod.metadata.deletionTimestamp !== undefined) return false;
  const status = newestOf(runtime, container.name);
  if (status === undefined) return true;
  if (status.state === "running") return false;
  if (status.state !== "exited") return true;
  for (const rule of container.restartPolicyRules ?? []) {
    const listed = rule.exitCodes?.values?.includes(status.exitCode) ?? false;
    const matches = rule.exitCodes?.operator === "NotIn" ? !listed : listed;
    if (matches) return rule.action === "Restart" || rule.action === "RestartAllContainers";
  }
  const policy = container.restartPolicy ?? restartPolicyOf(pod);
  if (policy === "Never") return false;
  return policy === "OnFailure" ? status.exitCode !== 0 : true;
}

/** False where a failed init container is the end of the pod. */
export function initIsRestartable(pod: Pod, container: AnyContainer): boolean {
  return (container.restartPolicy ?? restartPolicyOf(pod)) !== "Never";
}

/** A regular container was created once: the init containers had their turn. */
function isInitialized(pod: Pod, runtime: RuntimePod): boolean {
  return pod.spec.containers.some(({ name }) => {
    const state = newestOf(runtime, name)?.state;
    return state === "created" || state === "running";
  });
}

export function computePodActions(
  pod: Pod,
  runtime: RuntimePod,
  probes: ProbeResults,
  actuated?: PodResourceInfo,
): PodActions {
  const { changed, attempt, sandboxId } = sandboxChanged(pod, runtime);
  const nothing: PodActions = {
    killPod: false,
    createSandbox: false,
    attempt,
    sandboxId,
    kill: [],
    ephemeral: [],
    init: [],
    regular: [],
    resize: NO_RESIZE,
  };
  if (changed) return startOver(pod, runtime, attempt, nothing);

  const ephemeral = ephemeralContainers(pod)
    .filter(({ name }) => newestOf(runtime, name) === undefined)
    .map(({ name }) => name);
  const kill: ContainerKill[] = [];
  const plan = actuated === undefined ? NO_RESIZE : resizePlan(pod, runtime, actuated);
  const inits = computeInitActions(pod, runtime, probes, plan, kill);
  if (inits.killPod) return { ...nothing, killPod: true, kill };
  if (!inits.initialized) return { ...nothing, ephemeral, init: inits.start, kill, resize: without(kill, plan) };

  const regular: string[] = [];
  let kept = 0;
  for (const container of pod.spec.containers) {
    const status = newestOf(runtime, container.name);
    if (status === undefined || status.state !== "running") {
      if (shouldRestart(pod, container, runtime)) {
        if (status?.state === "unknown") {
          kill.push({
            container: status,
            message: `Container is in "${status.state}" state, try killing it before restart`,
            reason: "other",
          });
        }
        regular.push(container.name);
      }
      continue;
    }
    const why = reasonToKill(container, status, probes);
    if (why === undefined && !plan.restart.has(container.name)) {
      kept++;
      continue;
    }
    if (why === undefined) {
      regular.push(container.name);
      kill.push(killToResize(status));
      continue;
    }
    const restarts = why.reason === "containerChanged" || restartPolicyOf(pod) !== "Never";
    if (restarts) regular.push(container.name);
    kill.push({ ...why, container: status, message: restarts ? `${why.message}, will be restarted` : why.message });
  }
  if (kept === 0 && regular.length === 0) return { ...nothing, killPod: true };
  return { ...nothing, ephemeral, init: inits.start, regular, kill, resize: without(kill, plan) };
}

const killToResize = (container: RuntimeContainer): ContainerKill => ({
  container,
  message: `Container ${container.name} resize requires restart`,
  reason: "other",
});

/** A container that ends needs no update. */
function without(kill: readonly ContainerKill[], plan: ResizePlan): ResizePlan {
  if (plan === NO_RESIZE || kill.length === 0) return plan;
  const ends = new Set(kill.map(({ container }) => container.id));
  const staying = (resource: "cpu" | "memory") => plan.updates[resource].filter((each) => !ends.has(each.containerId));
  return { ...plan, updates: { cpu: staying("cpu"), memory: staying("memory") } };
}

function reasonToKill(
  container: AnyContainer,
  status: RuntimeContainer,
  probes: ProbeResults,
): { readonly message: string; readonly reason: KillReason } | undefined {
  if (status.hash !== containerHash(container))
    return { message: `Container ${container.name} definition changed`, reason: "containerChanged" };
  if (probes.liveness(status.id) === "failure")
    return { message: `Container ${container.name} failed liveness probe`, reason: "livenessProbe" };
  if (probes.startup(status.id) === "failure")
    return { message: `Container ${container.name} failed startup probe`, reason: "startupProbe" };
  return undefined;
}

/** There is no usable sandbox: what shall run in a new one. */
function startOver(pod: Pod, runtime: RuntimePod, attempt: number, nothing: PodActions): PodActions {
  const again: PodActions = { ...nothing, killPod: true, createSandbox: true, sandboxId: undefined };
  if (attempt !== 0 && runtime.containers.length > 0 && !mayStartAnything(pod, runtime))
    return { ...nothing, killPod: true };
  const inits = initContainers(pod);
  if (inits.length > 0) return { ...again, init: [inits[0]!.name] };
  const regular = pod.spec.containers
    .filter((container) => {
      const policy = container.restartPolicy ?? restartPolicyOf(pod);
      return !(policy === "OnFailure" && succeeded(newestOf(runtime, container.name)));
    })
    .map(({ name }) => name);
  return { ...again, regular };
}

/** A pod that may not restart, or whose containers are all done, gets no second sandbox. */
function mayStartAnything(pod: Pod, runtime: RuntimePod): boolean {
  if (restartPolicyOf(pod) === "Never")
    return pod.spec.containers.some((each) => shouldRestart(pod, each, runtime) && each.restartPolicy !== undefined);
  return pod.spec.containers.some(
    (each) => newestOf(runtime, each.name)?.state === "running" || shouldRestart(pod, each, runtime),
  );
}

interface InitActions {
  /** Regular containers may run. */
  readonly initialized: boolean;
  readonly killPod: boolean;
  readonly start: readonly string[];
}

/** Looks from the last init container to the first: the last one with a status tells how far the pod came. */
function computeInitActions(
  pod: Pod,
  runtime: RuntimePod,
  probes: ProbeResults,
  plan: ResizePlan,
  kill: ContainerKill[],
): InitActions {
  const inits = initContainers(pod);
  if (inits.length === 0) return { initialized: true, killPod: false, start: [] };
  const initialized = isInitialized(pod, runtime);
  const start: string[] = [];
  let reached = false;
  let complete = initialized;
  for (let i = inits.length - 1; i >= 0; i--) {
    const container = inits[i]!;
    const status = newestOf(runtime, container.name);
    const last = i === inits.length - 1;
    // In an initialized pod only the sidecars still matter.
    if (initialized && !isSidecar(container)) continue;
    if (status === undefined) {
      if (initialized || reached) start.unshift(container.name);
      continue;
    }
    if (isSidecar(container)) {
      const first = !reached;
      reached = true;
      if (status.state === "running") {
        const startup = container.startupProbe === undefined ? "success" : probes.startup(status.id);
        const why = reasonToKill(container, status, probes);
        if (why !== undefined && why.reason !== "containerChanged") {
          kill.push({
            ...why,
            container: status,
            message: `Init container ${container.name} ${why.message.slice(`Container ${container.name} `.length)}`,
          });
          start.unshift(container.name);
        } else if (why !== undefined) {
          kill.push({ ...why, container: status, message: `Init container ${container.name} definition changed` });
          start.unshift(container.name);
        } else if (startup === "success") {
          if (first && !initialized) {
            if (last) complete = true;
            else start.push(inits[i + 1]!.name);
          }
          if (plan.restart.has(container.name)) {
            kill.push(killToResize(status));
            start.unshift(container.name);
          }
        }
      } else {
        start.unshift(container.name);
      }
      continue;
    }
    if (reached) continue; // An earlier one: it ended, or a later one would not have been started.
    reached = true;
    if (status.state === "running") continue;
    if (failed(status)) {
      if (!initIsRestartable(pod, container)) return { initialized: false, killPod: true, start: [] };
      start.unshift(container.name);
    } else if (succeeded(status)) {
      if (last) complete = true;
      else start.push(inits[i + 1]!.name);
    } else {
      start.unshift(container.name); // Created and never started.
    }
  }
  if (!reached && !initialized) start.unshift(inits[0]!.name);
  return { initialized: complete, killPod: false, start: [...new Set(start)] };
}
