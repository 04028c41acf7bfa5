/** Computes the status of a pod from the runtime's state and the probe results. Pure. Upstream: pkg/kubelet/kubelet_pods.go generateAPIPodStatus */
import { formatTime } from "../../machinery/meta/time.ts";
import { qosClassOf, isSidecar } from "../../api/core/v1/pod/resources.ts";
import type { ContainerState, ContainerStatus, Pod, PodCondition, PodStatus } from "../../api/generated/core.v1.ts";
import { ephemeralContainers, initContainers, isTerminalPhase } from "../pod.ts";
import type { AnyContainer } from "../pod.ts";
import { sandboxChanged, shouldRestart } from "../runtime/actions.ts";
import type { StartFailure } from "../runtime/context.ts";
import { newestOf } from "../runtime/state.ts";
import type { RuntimeContainer, RuntimePod } from "../runtime/state.ts";
import type { PodResourceInfo } from "../allocation/resources.ts";
import type { PodCgroupValues } from "../runtime/resize.ts";
import { conditionsOf } from "./conditions.ts";
import { phaseOf } from "./phase.ts";
import { podResourcesOf, resourcesOf } from "./resources.ts";

/** Why the node ended or refused a pod. */
export interface Verdict {
  readonly reason: string;
  readonly message: string;
  /** Ended to make room: others count it as a disruption. */
  readonly disruption?: boolean;
}

export interface StatusInput {
  readonly pod: Pod;
  readonly runtime: RuntimePod;
  /** The status that was set last; the API's when there is none yet. */
  readonly previous: PodStatus;
  readonly runtimeName: string;
  readonly hostIPs: readonly string[];
  readonly nowMs: number;
  /** The worker is done with the pod: nothing starts any more. */
  readonly finished: boolean;
  /** Stopping, or stopped: containers that ended stay so. */
  readonly stopping: boolean;
  readonly initialized?: boolean;
  isReady(container: RuntimeContainer, spec: AnyContainer): boolean;
  isStarted(container: RuntimeContainer, spec: AnyContainer): boolean;
  startError(container: string): StartFailure | undefined;
  terminationMessage(container: RuntimeContainer): string;
  /** Why the pod was ended by the kubelet: evicted, past its deadline, not admitted. */
  readonly verdict: Verdict | undefined;
  /** How far a resize has come. */
  readonly resizeConditions: readonly PodCondition[];
  /** What the runtime was told of containers' resources. */
  readonly actuated: PodResourceInfo | undefined;
  readonly cgroup: PodCgroupValues | undefined;
}

export function generateStatus(input: StatusInput): PodStatus {
  const { pod, runtime, previous } = input;
  const containerStatuses = statusesOf(input, pod.spec.containers, previous.containerStatuses, "regular");
  const started = containerStatuses.some(
    ({ state, lastState }) =>
      state.running !== undefined || state.terminated !== undefined || lastState.terminated !== undefined,
  );
  const initContainerStatuses = statusesOf(input, initContainers(pod), previous.initContainerStatuses, "init", started);
  const ephemeralContainerStatuses = statusesOf(
    input,
    ephemeralContainers(pod),
    previous.ephemeralContainerStatuses,
    "ephemeral",
  );
  const computed = phaseOf(pod, [...initContainerStatuses, ...containerStatuses], {
    terminal: input.finished,
    initialized: started,
  });
  let phase = isTerminalPhase(previous.phase) ? previous.phase! : computed;
  if (input.verdict !== undefined) phase = "Failed";
  // Others act on a terminal phase at once: it must not be seen while a container can still run.
  const mayRun = !input.finished && runtime.containers.some(({ state }) => state === "running");
  if (isTerminalPhase(phase) && !isTerminalPhase(previous.phase) && mayRun) phase = previous.phase ?? "Pending";
  const verdictShows = input.verdict !== undefined && phase === "Failed";

  const newest = runtime.sandboxes[0];
  const hostNetwork = pod.spec.hostNetwork === true;
  const ips = hostNetwork ? input.hostIPs : newest !== undefined && newest.ips.length > 0 ? newest.ips : undefined;
  const podIPs = ips?.map((ip) => ({ ip })) ?? previous.podIPs ?? [];
  const conditions = conditionsOf({
    pod,
    phase,
    previous: previous.conditions ?? [],
    containerStatuses,
    initContainerStatuses,
    sandboxReady: !sandboxChanged(pod, runtime).changed,
    started,
    told: [...(input.finished ? [] : input.resizeConditions), ...disruptionOf(input)],
    now: formatTime(input.nowMs),
  });
  return {
    ...(pod.metadata.generation !== undefined && { observedGeneration: pod.metadata.generation }),
    phase,
    conditions,
    ...(verdictShows
      ? { reason: input.verdict!.reason, message: input.verdict!.message }
      : {
          ...(previous.reason !== undefined && { reason: previous.reason }),
          ...(previous.message !== undefined && { message: previous.message }),
        }),
    ...(input.hostIPs[0] !== undefined && {
      hostIP: input.hostIPs[0],
      hostIPs: input.hostIPs.map((ip) => ({ ip })),
    }),
    ...(podIPs[0] !== undefined && { podIP: podIPs[0].ip, podIPs }),
    startTime: previous.startTime ?? formatTime(input.nowMs),
    ...(initContainerStatuses.length > 0 && { initContainerStatuses }),
    containerStatuses,
    ...(ephemeralContainerStatuses.length > 0 && { ephemeralContainerStatuses }),
    qosClass: previous.qosClass ?? qosClassOf(pod.spec),
    ...podResourcesOf(pod, input.cgroup, previous),
  };
}

function disruptionOf({ pod, verdict, previous, nowMs }: StatusInput): readonly PodCondition[] {
  if (verdict?.disruption !== true) return [];
  const { generation } = pod.metadata;
  const type = "DisruptionTarget";
  const before = previous.conditions?.find((condition) => condition.type === type && condition.status === "True");
  return [
    {
      type,
      ...(generation !== undefined && { observedGeneration: generation }),
      status: "True",
      lastProbeTime: null as unknown as string, // Always null on the wire.
      lastTransitionTime: before?.lastTransitionTime ?? formatTime(nowMs),
      reason: "TerminationByKubelet",
      message: verdict.message,
    },
  ];
}

const UNKNOWN_EXIT = 137;
const LOST = "The container could not be located when the pod was terminated";
const LOST_WHILE_DELETING =
  "The container could not be located when the pod was deleted.  The container used to be Running";

type Draft = { -readonly [K in keyof ContainerStatus]: ContainerStatus[K] };

function statusesOf(
  input: StatusInput,
  containers: readonly AnyContainer[],
  previous: readonly ContainerStatus[] | undefined,
  type: "regular" | "init" | "ephemeral",
  initialized = false,
): readonly ContainerStatus[] {
  const { pod, runtime } = input;
  const reason = initContainers(pod).length > 0 && type !== "ephemeral" ? "PodInitializing" : "ContainerCreating";
  const statuses = containers.map((container) => {
    const old = previous?.find(({ name }) => name === container.name);
    const seen = runtime.containers.filter(({ name }) => name === container.name).slice(0, 2);
    let status: Draft =
      seen[0] === undefined
        ? absent(input, container, old, { waiting: { reason } })
        : present(input, container, seen[0], old);
    if (seen[1] !== undefined) status.lastState = stateOf(input, seen[1], undefined);
    else if (
      seen[0] !== undefined &&
      old?.containerID !== undefined &&
      old.containerID !== status.containerID &&
      old.state.terminated !== undefined
    )
      status.lastState = old.state; // Already removed from the runtime, and still the last one.
    else if (seen[0] !== undefined && old?.containerID === status.containerID) status.lastState = old?.lastState ?? {};

    if (
      type === "init" &&
      seen[0] === undefined &&
      initialized &&
      !isSidecar(container) &&
      status.state.terminated === undefined
    ) {
      status.state = {
        terminated: {
          exitCode: 0,
          reason: "Completed",
          message:
            "Unable to get init container status from container runtime and pod has been initialized, treat it as exited normally",
        },
      };
    }
    const done = type === "init" && !isSidecar(container) && seen[0]?.state === "exited" && seen[0].exitCode === 0;
    const failure = input.startError(container.name);
    if (!done && !input.stopping && failure !== undefined && shouldRestart(pod, container, runtime)) {
      if (status.state.terminated !== undefined) status.lastState = status.state;
      status.state = { waiting: { reason: failure.reason, message: failure.message } };
    }
    if (input.finished && status.state.terminated === undefined) {
      const was = status.state.running;
      status.state = {
        terminated: {
          exitCode: UNKNOWN_EXIT,
          reason: "ContainerStatusUnknown",
          message: LOST,
          ...(was?.startedAt && { startedAt: was.startedAt }),
        },
      };
      if (status.lastState.terminated?.reason === "ContainerStatusUnknown") status.lastState = {};
    }
    const newest = newestOf(runtime, container.name);
    const running = status.state.running !== undefined && newest !== undefined;
    const isStarted = running && input.isStarted(newest, container);
    status.started = isStarted;
    status.ready =
      type === "init" && !isSidecar(container)
        ? status.state.terminated?.exitCode === 0
        : type === "ephemeral"
          ? false
          : isStarted && input.isReady(newest!, container);
    if (type === "ephemeral") delete status.started;
    return status as ContainerStatus;
  });
  return type === "init" ? statuses : statuses.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function absent(
  input: StatusInput,
  container: AnyContainer,
  old: ContainerStatus | undefined,
  waiting: ContainerState,
): Draft {
  if (old?.state.terminated !== undefined) return { ...old };
  const status: Draft = {
    name: container.name,
    image: container.image ?? "",
    imageID: "",
    state: waiting,
    lastState: old?.lastState ?? {},
    ready: false,
    restartCount: old?.restartCount ?? 0,
  };
  if (old?.state.running === undefined || status.lastState.terminated !== undefined) return status;
  status.lastState = {
    terminated: { exitCode: UNKNOWN_EXIT, reason: "ContainerStatusUnknown", message: LOST_WHILE_DELETING },
  };
  if (input.pod.metadata.deletionTimestamp === undefined) status.restartCount++;
  return status;
}

function present(
  input: StatusInput,
  container: AnyContainer,
  seen: RuntimeContainer,
  old: ContainerStatus | undefined,
): Draft {
  const { requests } = container.resources ?? {};
  const mounts = container.volumeMounts ?? [];
  return {
    name: container.name,
    restartCount: seen.restartCount + (seen.state === "unknown" && old?.state.running ? 1 : 0),
    containerID: `${input.runtimeName}://${seen.id}`,
    image: seen.image,
    imageID: seen.imageRef,
    state: stateOf(input, seen, old),
    lastState: {},
    ready: false,
    ...(requests && { allocatedResources: requests }),
    resources: resourcesOf(container, seen, input.actuated?.ContainerResources[container.name], old),
    ...(seen.user && {
      user: {
        linux: {
          uid: seen.user.uid,
          gid: seen.user.gid,
          supplementalGroups: [...seen.user.supplementalGroups],
        },
      },
    }),
    ...(mounts.length > 0 && {
      volumeMounts: mounts.map(({ name, mountPath, readOnly, recursiveReadOnly }) => ({
        name,
        mountPath,
        ...(readOnly === true && {
          readOnly,
          recursiveReadOnly: recursiveReadOnly === "Enabled" ? "Enabled" : "Disabled",
        }),
      })),
    }),
  } as Draft;
}

function stateOf(input: StatusInput, seen: RuntimeContainer, old: ContainerStatus | undefined): ContainerState {
  switch (seen.state) {
    case "created":
      return { waiting: {} };
    case "running":
      return { running: { startedAt: formatTime(seen.startedAtMs) } };
    case "exited": {
      const message = input.terminationMessage(seen);
      return {
        terminated: {
          exitCode: seen.exitCode,
          ...(seen.reason !== "" && { reason: seen.reason }),
          ...(message !== "" && { message }),
          startedAt: seen.startedAtMs > 0 ? formatTime(seen.startedAtMs) : formatTime(0),
          finishedAt: formatTime(seen.finishedAtMs),
          containerID: `${input.runtimeName}://${seen.id}`,
        },
      };
    }
    case "unknown":
      return old?.state.running === undefined
        ? { waiting: {} }
        : { terminated: { exitCode: UNKNOWN_EXIT, reason: "ContainerStatusUnknown", message: LOST } };
  }
}
