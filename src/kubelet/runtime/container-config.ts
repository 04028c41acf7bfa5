/** The CRI configuration of a container. Pure. Upstream: pkg/kubelet/kuberuntime/kuberuntime_container.go generateContainerConfig */
import type { Pod } from "../../api/generated/core.v1.ts";
import type { ContainerConfig, Mount } from "../../protocols/cri/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import {
  CONTAINER_HASH,
  CONTAINER_NAME,
  CONTAINER_PORTS,
  CONTAINER_RESTART_COUNT,
  POD_DELETION_GRACE,
  POD_TERMINATION_GRACE,
  PRE_STOP_HANDLER,
  TERMINATION_MESSAGE_PATH,
  TERMINATION_MESSAGE_POLICY,
} from "../keys.ts";
import type { AnyContainer } from "../pod.ts";
import { expand } from "./expansion.ts";
import { containerResources } from "./linux-resources.ts";
import type { ResourceSettings } from "./linux-resources.ts";
import { containerSecurityContext } from "./security-context.ts";
import type { ImageUser, SecuritySettings } from "./security-context.ts";
import { podLabels } from "./sandbox-config.ts";

export interface ContainerInput {
  readonly restartCount: number;
  readonly imageRef: string;
  readonly imageUser: ImageUser;
  readonly environment: ReadonlyMap<string, string>;
  readonly mounts: readonly Init<Mount>[];
  /** For an ephemeral container: whose processes it shall see. */
  readonly target?: { readonly containerId: string } | undefined;
}

export function containerConfig(
  pod: Pod,
  container: AnyContainer,
  input: ContainerInput,
  settings: ResourceSettings & SecuritySettings,
): Init<ContainerConfig> {
  const expanded = (text: string) => expand(text, (name) => input.environment.get(name));
  return {
    metadata: { name: container.name, attempt: input.restartCount },
    image: { image: input.imageRef, user_specified_image: container.image ?? "", annotations: {} },
    command: (container.command ?? []).map(expanded),
    args: (container.args ?? []).map(expanded),
    working_dir: container.workingDir ?? "",
    envs: [...input.environment].map(([key, value]) => ({ key, value })),
    mounts: input.mounts,
    labels: { ...podLabels(pod), [CONTAINER_NAME]: container.name },
    annotations: containerAnnotations(pod, container, input.restartCount),
    log_path: `${container.name}/${input.restartCount}.log`,
    stdin: container.stdin === true,
    stdin_once: container.stdinOnce === true,
    tty: container.tty === true,
    linux: {
      resources: containerResources(pod, container, settings),
      security_context: containerSecurityContext(pod, container, input.imageUser, settings, input.target),
    },
  };
}

/** From these a container can be stopped correctly when its pod is not known any more. */
function containerAnnotations(pod: Pod, container: AnyContainer, restartCount: number): Record<string, string> {
  const { deletionGracePeriodSeconds } = pod.metadata;
  const { terminationGracePeriodSeconds } = pod.spec;
  return {
    [CONTAINER_HASH]: containerHash(container),
    [CONTAINER_RESTART_COUNT]: String(restartCount),
    [TERMINATION_MESSAGE_PATH]: container.terminationMessagePath ?? "",
    [TERMINATION_MESSAGE_POLICY]: container.terminationMessagePolicy ?? "",
    ...(deletionGracePeriodSeconds !== undefined && { [POD_DELETION_GRACE]: String(deletionGracePeriodSeconds) }),
    ...(terminationGracePeriodSeconds !== undefined && {
      [POD_TERMINATION_GRACE]: String(terminationGracePeriodSeconds),
    }),
    ...(container.lifecycle?.preStop && { [PRE_STOP_HANDLER]: JSON.stringify(container.lifecycle.preStop) }),
    ...((container.ports?.length ?? 0) > 0 && { [CONTAINER_PORTS]: JSON.stringify(container.ports) }),
  };
}

/** 32-bit FNV-1a over name and image: what can't change in a running container. */
export function containerHash(container: AnyContainer): string {
  const text = JSON.stringify({ image: container.image ?? "", name: container.name });
  let hash = 0x811c9dc5;
  for (const byte of Buffer.from(text)) hash = Math.imul(hash ^ byte, 0x01000193) >>> 0;
  return hash.toString(16);
}
