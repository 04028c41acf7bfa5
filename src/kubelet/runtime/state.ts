/** What the runtime has of one pod, parsed from CRI responses once and used everywhere. Upstream: pkg/kubelet/container/runtime.go */
import type {
  Container as CriContainer,
  ContainerStatus,
  LinuxContainerResources,
  PodSandbox,
  PodSandboxStatus,
} from "../../protocols/cri/generated.ts";
import { CONTAINER_HASH, CONTAINER_NAME, CONTAINER_RESTART_COUNT, POD_NAME, POD_NAMESPACE, POD_UID } from "../keys.ts";

export interface RuntimeSandbox {
  readonly id: string;
  readonly attempt: number;
  readonly ready: boolean;
  readonly createdAtMs: number;
  readonly ips: readonly string[];
  readonly hostNetwork: boolean;
}

export type RuntimeContainerState = "created" | "running" | "exited" | "unknown";

export interface RuntimeContainer {
  readonly id: string;
  readonly name: string;
  readonly sandboxId: string;
  readonly state: RuntimeContainerState;
  readonly restartCount: number;
  readonly hash: string;
  readonly createdAtMs: number;
  readonly startedAtMs: number;
  readonly finishedAtMs: number;
  readonly exitCode: number;
  readonly reason: string;
  readonly message: string;
  readonly image: string;
  readonly imageRef: string;
  readonly annotations: Readonly<Record<string, string>>;
  readonly logPath: string;
  /** The file on this machine behind the termination message path, when it was mounted. */
  readonly terminationLog: string | undefined;
  /** What it has, where the runtime says. */
  readonly resources?: LinuxContainerResources;
  readonly user?: { readonly uid: number; readonly gid: number; readonly supplementalGroups: readonly number[] };
}

export interface RuntimePod {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  /** Newest first. */
  readonly sandboxes: readonly RuntimeSandbox[];
  /** Newest first. */
  readonly containers: readonly RuntimeContainer[];
}

export const NO_RUNTIME_POD: RuntimePod = { uid: "", name: "", namespace: "", sandboxes: [], containers: [] };

const ms = (nanoseconds: bigint): number => Number(nanoseconds / 1_000_000n);

export function readSandbox(status: PodSandboxStatus): RuntimeSandbox {
  const network = status.linux?.namespaces?.options?.network;
  const ips = [status.network?.ip ?? "", ...(status.network?.additional_ips ?? []).map(({ ip }) => ip)].filter(
    (ip) => ip !== "",
  );
  return {
    id: status.id,
    attempt: status.metadata?.attempt ?? 0,
    ready: status.state === "SANDBOX_READY",
    createdAtMs: ms(status.created_at),
    ips,
    hostNetwork: network === "NODE",
  };
}

const STATES: Readonly<Record<string, RuntimeContainerState>> = {
  CONTAINER_CREATED: "created",
  CONTAINER_RUNNING: "running",
  CONTAINER_EXITED: "exited",
};

export function readContainer(listed: CriContainer, status: ContainerStatus): RuntimeContainer {
  const path = status.annotations["io.kubernetes.container.terminationMessagePath"];
  const user = status.user?.linux;
  return {
    id: status.id,
    name: status.labels[CONTAINER_NAME] ?? status.metadata?.name ?? "",
    sandboxId: listed.pod_sandbox_id,
    state: STATES[status.state] ?? "unknown",
    restartCount: Number(status.annotations[CONTAINER_RESTART_COUNT] ?? status.metadata?.attempt ?? 0),
    hash: status.annotations[CONTAINER_HASH] ?? "",
    createdAtMs: ms(status.created_at),
    startedAtMs: ms(status.started_at),
    finishedAtMs: ms(status.finished_at),
    exitCode: status.exit_code,
    reason: status.reason,
    message: status.message,
    image: status.image?.image ?? "",
    imageRef: status.image_ref,
    annotations: status.annotations,
    logPath: status.log_path,
    terminationLog:
      path === undefined ? undefined : status.mounts.find((mount) => mount.container_path === path)?.host_path,
    ...(status.resources?.linux && { resources: status.resources.linux }),
    ...(user && { user: { uid: user.uid, gid: user.gid, supplementalGroups: user.supplemental_groups } }),
  };
}

/** Highest attempt, then newest, then lowest id. */
export function newestSandboxFirst(a: RuntimeSandbox, b: RuntimeSandbox): number {
  return b.attempt - a.attempt || b.createdAtMs - a.createdAtMs || (a.id < b.id ? -1 : 1);
}
export function newestContainerFirst(a: RuntimeContainer, b: RuntimeContainer): number {
  return b.createdAtMs - a.createdAtMs || b.restartCount - a.restartCount;
}

/** Who a listed sandbox belongs to; undefined for one that no kubelet made. */
export function ownerOf(sandbox: Pick<PodSandbox, "labels">) {
  const uid = sandbox.labels[POD_UID];
  if (uid === undefined || uid === "") return undefined;
  return { uid, name: sandbox.labels[POD_NAME] ?? "", namespace: sandbox.labels[POD_NAMESPACE] ?? "" };
}

/** The newest container of that name. */
export function newestOf(pod: RuntimePod, name: string): RuntimeContainer | undefined {
  return pod.containers.find((container) => container.name === name);
}
