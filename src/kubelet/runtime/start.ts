/**
 * Starts one container: image, configuration, create, start, postStart. A failure of each step has its own reason in the container's status.
 * Upstream: pkg/kubelet/kuberuntime/kuberuntime_container.go startContainer
 */
import type { Pod } from "../../api/generated/core.v1.ts";
import type { Mount, PodSandboxConfig } from "../../protocols/cri/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import { actuatedResources } from "../allocation/resources.ts";
import { ensureImage, StartError } from "../images/ensure.ts";
import type { PullQueue } from "../images/ensure.ts";
import type { AnyContainer, ContainerType } from "../pod.ts";
import { makeMounts } from "../volumes/mounts.ts";
import { containerConfig } from "./container-config.ts";
import { containerReference, errorText } from "./context.ts";
import type { RuntimeContext } from "./context.ts";
import { environmentOf, environmentReferences, serviceEnvironment } from "./environment.ts";
import { renderHosts, renderNodeHosts } from "./hosts.ts";
import { runHook } from "./hooks.ts";
import { hostnameOf } from "./hostname.ts";
import { podLogDir } from "./sandbox-config.ts";
import { verifyRunAsNonRoot } from "./security-context.ts";
import { newestOf } from "./state.ts";
import type { RuntimePod } from "./state.ts";
import { killContainer } from "./kill.ts";

export interface StartInput {
  readonly pod: Pod;
  readonly type: ContainerType;
  readonly container: AnyContainer;
  readonly runtime: RuntimePod;
  readonly sandboxId: string;
  readonly sandboxConfig: Init<PodSandboxConfig>;
  readonly podIPs: readonly string[];
}

/** Throws `StartError`. */
export async function startContainer(context: RuntimeContext, queue: PullQueue, input: StartInput): Promise<void> {
  const { pod, type, container } = input;
  const about = containerReference(pod, type, container.name);
  const fail = (reason: string, error: unknown): never => {
    const message = errorText(error);
    context.events.event(about, "Warning", "Failed", `Error: ${message}`);
    throw new StartError(reason, message);
  };

  let imageRef: string;
  try {
    imageRef = await ensureImage(context, queue, pod, type, container, input.sandboxConfig);
  } catch (error) {
    if (!(error instanceof StartError)) return fail("ErrImagePull", error);
    context.events.event(about, "Warning", "Failed", `Error: ${error.reason}`);
    throw error;
  }

  const restartCount = await restartCountOf(context, pod, container, input.runtime);
  const config = await prepare(context, input, imageRef, restartCount).catch((error: unknown) =>
    fail("CreateContainerConfigError", error),
  );
  if (type !== "ephemeral") {
    context.actuated.setContainer(pod.metadata.uid, container.name, actuatedResources(pod, container.resources));
    await context.actuated.flush().catch((error: unknown) => fail("CreateContainerConfigError", error));
  }
  const { container_id } = await context.cri.runtime
    .CreateContainer({ pod_sandbox_id: input.sandboxId, config, sandbox_config: input.sandboxConfig })
    .catch((error: unknown) => fail("CreateContainerError", error));
  context.events.event(about, "Normal", "Created", "Container created");

  await context.cri.runtime
    .StartContainer({ container_id })
    .catch((error: unknown) => fail("RunContainerError", error));
  context.events.event(about, "Normal", "Started", "Container started");
  await linkLog(
    context,
    pod,
    container,
    container_id,
    `${podLogDir(context.settings.podLogsDir, pod)}/${config.log_path}`,
  );

  const postStart = container.lifecycle?.postStart;
  if (postStart === undefined) return;
  try {
    await runHook(context, postStart, {
      containerId: container_id,
      container,
      podIP: input.podIPs[0] ?? context.downward([]).hostIPs[0] ?? "",
      pod,
    });
  } catch (error) {
    context.events.event(about, "Warning", "FailedPostStartHook", "PostStartHook failed");
    const started = { ...NEVER_KNOWN, id: container_id, name: container.name, sandboxId: input.sandboxId };
    await killContainer(context, pod, input.runtime, started, { message: "FailedPostStartHook" });
    throw new StartError("PostStartHookError", errorText(error));
  }
}

const NEVER_KNOWN = {
  state: "running",
  restartCount: 0,
  hash: "",
  createdAtMs: 0,
  startedAtMs: 0,
  finishedAtMs: 0,
  exitCode: 0,
  reason: "",
  message: "",
  image: "",
  imageRef: "",
  annotations: {},
  logPath: "",
  terminationLog: undefined,
} as const;

/** Everything that must be known, and the files that must be there, before the container can be created. */
async function prepare(context: RuntimeContext, input: StartInput, imageRef: string, restartCount: number) {
  const { pod, type, container, runtime, podIPs } = input;
  const { namespace = "" } = pod.metadata;
  const references = await context.references(namespace, environmentReferences(container));
  const services = serviceEnvironment(pod, context.services(pod));
  const { hostIPs } = context.downward([]);
  const ownIPs = pod.spec.hostNetwork === true ? hostIPs : podIPs;
  const environment = environmentOf(pod, container, references, services, context.downward(ownIPs));
  const mounts = await makeMounts(
    context.world.fs,
    pod,
    container,
    environment,
    (volume) => context.volumePath(pod, volume),
    context.cri.usesFiles,
  );
  const own = context.cri.usesFiles ? await ownFiles(context, pod, container, podIPs) : [];
  const image = (await context.cri.images.ImageStatus({ image: { image: imageRef } })).image;
  const imageUser = {
    uid: image?.uid?.value ?? (image === undefined || image.username === "" ? 0 : undefined),
    username: image?.username ?? "",
  };
  verifyRunAsNonRoot(pod, container, imageUser);
  const targetName =
    type === "ephemeral" ? (container as { targetContainerName?: string }).targetContainerName : undefined;
  let target: { readonly containerId: string } | undefined;
  if (targetName !== undefined && targetName !== "") {
    const found = newestOf(runtime, targetName);
    if (found === undefined) throw new Error(`unable to find target container ${targetName}`);
    target = { containerId: found.id };
  }
  return containerConfig(
    pod,
    container,
    { restartCount, imageRef, imageUser, environment, mounts: [...mounts, ...own], target },
    context.settings,
  ) as ReturnType<typeof containerConfig> & { readonly log_path: string };
}

/** The hosts file and the file for the termination message; and the folder that the log goes into. */
async function ownFiles(
  context: RuntimeContext,
  pod: Pod,
  container: AnyContainer,
  podIPs: readonly string[],
): Promise<readonly Init<Mount>[]> {
  const { fs, random } = context.world;
  const { uid } = pod.metadata;
  const mounts: Init<Mount>[] = [];
  await fs.mkdir(`${podLogDir(context.settings.podLogsDir, pod)}/${container.name}`, { recursive: true, mode: 0o755 });
  const hostNetwork = pod.spec.hostNetwork === true;
  const managed =
    (hostNetwork || podIPs.length > 0) &&
    !(container.volumeMounts ?? []).some(({ mountPath }) => mountPath === "/etc/hosts");
  if (managed) {
    const { hostname, domain } = hostnameOf(pod, context.settings.clusterDomain);
    const aliases = pod.spec.hostAliases ?? [];
    const text = hostNetwork
      ? renderNodeHosts(Buffer.from(await fs.readFile("/etc/hosts")).toString("utf8"), aliases)
      : renderHosts({ ips: podIPs, hostname, domain, aliases });
    const path = context.paths.etcHosts(uid);
    await fs.writeFile(path, text, { mode: 0o644 });
    await fs.chmod(path, 0o644);
    mounts.push({ container_path: "/etc/hosts", host_path: path, readonly: false, selinux_relabel: true });
  }
  const terminationPath = container.terminationMessagePath ?? "";
  if (terminationPath !== "") {
    const dir = context.paths.container(uid, container.name);
    const path = `${dir}/${Buffer.from(random.bytes(4)).toString("hex")}`;
    await fs.mkdir(dir, { recursive: true, mode: 0o750 });
    await fs.writeFile(path, "");
    await fs.chmod(path, 0o666);
    mounts.push({ container_path: terminationPath, host_path: path, readonly: false });
  }
  return mounts;
}

/** One more than the last one; where the runtime has forgotten, the log files remember. */
async function restartCountOf(
  context: RuntimeContext,
  pod: Pod,
  container: AnyContainer,
  runtime: RuntimePod,
): Promise<number> {
  const previous = newestOf(runtime, container.name);
  if (previous !== undefined) return previous.restartCount + 1;
  if (!context.cri.usesFiles) return 0;
  const dir = `${podLogDir(context.settings.podLogsDir, pod)}/${container.name}`;
  if ((await context.world.fs.stat(dir)) === undefined) return 0;
  const counts = (await context.world.fs.list(dir)).flatMap((name) => {
    const match = /^(\d+)\.log(\..*)?$/.exec(name);
    return match === null ? [] : [Number(match[1])];
  });
  return counts.length === 0 ? 0 : Math.max(...counts) + 1;
}

/** `/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log`: where log collectors look. */
async function linkLog(
  context: RuntimeContext,
  pod: Pod,
  container: AnyContainer,
  id: string,
  logFile: string,
): Promise<void> {
  if (!context.cri.usesFiles || context.containerLogsDir === "") return;
  const { fs } = context.world;
  if ((await fs.stat(logFile)) === undefined) return;
  const name = `${pod.metadata.name}_${pod.metadata.namespace ?? ""}_${container.name}-${id}`.slice(0, 251);
  await fs.mkdir(context.containerLogsDir, { recursive: true });
  await fs.remove(`${context.containerLogsDir}/${name}.log`);
  await fs.symlink(logFile, `${context.containerLogsDir}/${name}.log`);
}
