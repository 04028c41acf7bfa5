/** What the functions of this folder that act work with. */
import type { Pod, Secret, Service } from "../../api/generated/core.v1.ts";
import type { EventRecorder, ObjectReferenceLike } from "../../client/events.ts";
import type { Logger } from "../../observe/log.ts";
import type { Metrics } from "../../observe/metrics.ts";
import type { World } from "../../world/world.ts";
import type { ResourceCheckpoint } from "../allocation/checkpoint.ts";
import type { Paths } from "../paths.ts";
import { fieldPath } from "../pod.ts";
import type { ContainerType } from "../pod.ts";
import type { Runtime } from "../runtimes/runtime.ts";
import type { ProbeResults } from "./actions.ts";
import type { BackOff } from "./back-off.ts";
import type { DnsSettings } from "./dns.ts";
import type { DownwardContext } from "./downward.ts";
import type { References } from "./environment.ts";
import type { PodCgroups } from "./resize.ts";
import type { SandboxSettings } from "./sandbox-config.ts";
import type { SecuritySettings } from "./security-context.ts";

export interface RuntimeContext {
  readonly world: Pick<World, "clock" | "random" | "fs" | "net">;
  readonly cri: Runtime;
  readonly log: Logger;
  readonly events: EventRecorder;
  readonly metrics: Metrics;
  readonly paths: Paths;
  readonly containerLogsDir: string;
  readonly settings: SandboxSettings & SecuritySettings & { readonly serializeImagePulls: boolean };
  readonly probes: ProbeResults;
  readonly crashBackOff: BackOff;
  readonly imageBackOff: BackOff;
  /** The last failed pull, by pod uid and image. */
  readonly pullFailures: Map<string, { readonly atMs: number; readonly message: string }>;
  readonly startErrors: StartErrors;
  /** What the runtime was told of each container's resources. */
  readonly actuated: ResourceCheckpoint;
  readonly podCgroups: PodCgroups | undefined;
  dns(): Promise<DnsSettings>;
  cgroupParent(pod: Pod): string;
  runtimeHandler(pod: Pod): Promise<string>;
  /** Services that the pod may be told of; throws until they were read once. */
  services(pod: Pod): readonly Service[];
  references(
    namespace: string,
    names: { configMaps: readonly string[]; secrets: readonly string[] },
  ): Promise<References>;
  pullSecrets(pod: Pod): Promise<readonly Secret[]>;
  downward(podIPs: readonly string[]): DownwardContext;
  /** Where a volume of the pod is on this machine; undefined where it isn't mounted. */
  volumePath(pod: Pod, volume: string): string | undefined;
}

export interface StartFailure {
  readonly reason: string;
  readonly message: string;
}

/** Why a container could not be started, by pod and container: what its status shows as the reason for waiting. */
export class StartErrors {
  readonly #failures = new Map<string, StartFailure>();
  get(uid: string, container: string): StartFailure | undefined {
    return this.#failures.get(`${uid}_${container}`);
  }
  set(uid: string, container: string, failure: StartFailure): void {
    this.#failures.set(`${uid}_${container}`, failure);
  }
  clear(uid: string, container: string): void {
    this.#failures.delete(`${uid}_${container}`);
  }
  forget(uid: string): void {
    for (const key of this.#failures.keys()) if (key.startsWith(`${uid}_`)) this.#failures.delete(key);
  }
}

/** The reference that events about one container carry. */
export function containerReference(pod: Pod, type: ContainerType, name: string): ObjectReferenceLike {
  return { ...podReference(pod), fieldPath: fieldPath(type, name) };
}

export function podReference(pod: Pick<Pod, "metadata">): ObjectReferenceLike {
  const { namespace, name, uid, resourceVersion } = pod.metadata;
  return {
    apiVersion: "v1",
    kind: "Pod",
    ...(namespace !== undefined && { namespace }),
    name,
    uid,
    ...(resourceVersion !== undefined && { resourceVersion }),
  };
}

/** The words of an error that a user is shown: gRPC's as gRPC prints them. */
export function errorText(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
