/** Makes sure that a container's image is present before the container is created. Upstream: pkg/kubelet/images/image_manager.go */
import type { Pod } from "../../api/generated/core.v1.ts";
import type { Image, PodSandboxConfig } from "../../protocols/cri/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import { goDuration } from "../format.ts";
import type { AnyContainer, ContainerType } from "../pod.ts";
import { containerReference, errorText } from "../runtime/context.ts";
import type { RuntimeContext, StartFailure } from "../runtime/context.ts";
import { credentialsFor } from "./keyring.ts";

/** A container that could not be started: the reason that its status shows, and the words beside it. */
export class StartError extends Error implements StartFailure {
  override readonly name = "StartError";
  readonly reason: string;
  /** When another try makes sense; undefined leaves it to the pod's worker. */
  readonly retryMs: number | undefined;
  constructor(reason: string, message: string, retryMs?: number) {
    super(message);
    this.reason = reason;
    this.retryMs = retryMs;
  }
}

const BACK_OFF_SHOWS_MS = 1000;

/** One pull at a time where pulls are serialised. */
export class PullQueue {
  #last: Promise<unknown> = Promise.resolve();
  readonly #serial: boolean;
  constructor(serial: boolean) {
    this.#serial = serial;
  }
  run<T>(pull: () => Promise<T>): Promise<T> {
    if (!this.#serial) return pull();
    const result = this.#last.then(pull, pull);
    this.#last = result.catch(() => {}); // Its caller is told; the next pull only waits for it.
    return result;
  }
}

export async function ensureImage(
  context: RuntimeContext,
  queue: PullQueue,
  pod: Pod,
  type: ContainerType,
  container: AnyContainer,
  sandboxConfig: Init<PodSandboxConfig>,
): Promise<string> {
  const { events, world, imageBackOff } = context;
  const about = containerReference(pod, type, container.name);
  const name = container.image ?? "";
  const policy = container.imagePullPolicy ?? defaultPolicy(name);
  if (context.cri.usesFiles && !isReference(name)) {
    events.event(
      about,
      "Warning",
      "InspectFailed",
      `Failed to apply default image tag "${name}": couldn't parse image name "${name}": invalid reference format`,
    );
    throw new StartError(
      "InvalidImageName",
      `Failed to apply default image tag "${name}": couldn't parse image name "${name}": invalid reference format`,
    );
  }
  const spec = { image: tagged(name), annotations: pod.metadata.annotations ?? {} };

  if (policy !== "Always") {
    let present: Image | undefined;
    try {
      present = (await context.cri.images.ImageStatus({ image: spec })).image;
    } catch (error) {
      const message = `Failed to inspect image "${name}": ${errorText(error)}`;
      events.event(about, "Warning", "InspectFailed", message);
      throw new StartError("ImageInspectError", message);
    }
    if (present !== undefined) {
      events.event(
        about,
        "Normal",
        "Pulled",
        `Container image "${name}" already present on machine and can be accessed by the pod`,
      );
      return present.id;
    }
    if (policy === "Never") {
      const message = `Container image "${name}" is not present with pull policy of Never`;
      events.event(about, "Warning", "ErrImageNeverPull", message);
      throw new StartError("ErrImageNeverPull", message);
    }
  }

  const key = `${pod.metadata.uid}_${name}`;
  const failure = context.pullFailures.get(key);
  if (failure !== undefined) {
    const remainingMs = imageBackOff.remainingMs(key, failure.atMs, world.clock.now());
    if (remainingMs > 0) {
      events.event(about, "Normal", "BackOff", `Back-off pulling image "${name}"`);
      throw new StartError(
        "ImagePullBackOff",
        `Back-off pulling image "${name}": ErrImagePull: ${failure.message}`,
        remainingMs,
      );
    }
  }
  events.event(about, "Normal", "Pulling", `Pulling image "${name}"`);
  const askedMs = world.clock.monotonic();
  try {
    const secrets = await context.pullSecrets(pod);
    const { ref, tookMs } = await queue.run(async () => {
      const startedMs = world.clock.monotonic();
      const ref = await pull(context, spec, credentialsFor(name, secrets), sandboxConfig);
      return { ref, tookMs: world.clock.monotonic() - startedMs };
    });
    const image = (await context.cri.images.ImageStatus({ image: { ...spec, image: ref } })).image;
    context.pullFailures.delete(key);
    imageBackOff.forget(key);
    const whole = (ms: number) => goDuration(Math.round(ms));
    events.event(
      about,
      "Normal",
      "Pulled",
      `Successfully pulled image "${name}" in ${whole(tookMs)} (${whole(world.clock.monotonic() - askedMs)} including waiting). Image size: ${image?.size ?? 0} bytes.`,
    );
    return ref;
  } catch (error) {
    const message = errorText(error);
    const now = world.clock.now();
    imageBackOff.next(key, failure?.atMs ?? now, now);
    context.pullFailures.set(key, { atMs: now, message });
    events.event(about, "Warning", "Failed", `Failed to pull image "${name}": ${message}`);
    // Looked at again soon, so that the back-off shows; upstream's relist has the same effect.
    throw new StartError("ErrImagePull", message, BACK_OFF_SHOWS_MS);
  }
}

async function pull(
  context: RuntimeContext,
  image: { readonly image: string; readonly annotations: Readonly<Record<string, string>> },
  credentials: ReturnType<typeof credentialsFor>,
  sandbox_config: Init<PodSandboxConfig>,
): Promise<string> {
  let failure: unknown;
  for (const auth of credentials.length === 0 ? [undefined] : credentials) {
    try {
      return (await context.cri.images.PullImage({ image, auth, sandbox_config })).image_ref;
    } catch (error) {
      failure = error;
    }
  }
  // As gRPC prints an error: upstream's users see the code.
  if (failure instanceof RpcError) throw new Error(`rpc error: code = ${failure.code} desc = ${failure.message}`);
  throw failure;
}

function defaultPolicy(image: string): string {
  return image.includes("@") || !/:latest$|^[^:]*$|\/[^:/]*$/.test(image) ? "IfNotPresent" : "Always";
}

/** With `:latest` where neither tag nor digest is given. */
function tagged(image: string): string {
  if (image.includes("@") || image.includes("?")) return image;
  return image.slice(image.lastIndexOf("/") + 1).includes(":") ? image : `${image}:latest`;
}

/** `[host[:port]/]path[:tag][@digest]`, lower case but for the tag. */
function isReference(image: string): boolean {
  return /^(?:[a-zA-Z0-9][a-zA-Z0-9.-]*(?::\d+)?\/)?[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*(?::[\w][\w.-]{0,127})?(?:@[a-z0-9+._-]+:[0-9a-fA-F]{32,})?$/.test(
    image,
  );
}
