/** CRI's RuntimeService over processes. */
import { processNanoseconds } from "../../cpu-time.ts";
import type { RuntimeService } from "../../../protocols/cri/generated.ts";
import { type Implementation, RpcError } from "../../../wire/rpc/service.ts";
import { createContainer } from "./create.ts";
import { execInContainer } from "./exec.ts";
import { startContainer } from "./start.ts";
import { stateOf } from "./state.ts";
import type { Container, ProcessState, Sandbox } from "./state.ts";
import { removeContainer, stopContainer } from "./stop.ts";

export function processRuntimeService(state: ProcessState): Partial<Implementation<typeof RuntimeService>> {
  const matches = (labels: Readonly<Record<string, string>>, selector: Readonly<Record<string, string>> = {}) =>
    Object.entries(selector).every(([key, value]) => labels[key] === value);
  return {
    Version: () => ({
      version: "0.1.0",
      runtime_name: "process",
      runtime_version: "1.0.0",
      runtime_api_version: "v1",
    }),
    Status: () => ({
      status: {
        conditions: [
          { type: "RuntimeReady", status: true },
          state.network === undefined || state.network.ready()
            ? { type: "NetworkReady", status: true }
            : {
                type: "NetworkReady",
                status: false,
                reason: "NetworkPluginNotReady",
                message: "Network plugin returns error: cni plugin not initialized",
              },
        ],
      },
    }),
    RunPodSandbox: async ({ config }) => {
      if (config === undefined) throw new RpcError("InvalidArgument", "sandbox config must include metadata");
      const sandbox: Sandbox = { id: state.newId(), config, createdAt: state.now(), ready: true };
      const network = config.linux?.security_context?.namespace_options?.network;
      if (state.network !== undefined && network !== "NODE")
        sandbox.address = await state.network.add(sandbox.id, config.port_mappings);
      state.sandboxes.set(sandbox.id, sandbox);
      await state.saveSandbox(sandbox);
      return { pod_sandbox_id: sandbox.id };
    },
    StopPodSandbox: async ({ pod_sandbox_id: id }) => {
      const sandbox = state.sandboxes.get(id);
      if (sandbox === undefined) return {};
      await Promise.all(
        [...state.containers.values()]
          .filter(({ record }) => record.sandboxId === id)
          .map(({ record }) => stopContainer(state, record.id, 0)),
      );
      sandbox.ready = false;
      await state.saveSandbox(sandbox);
      if (sandbox.address !== undefined) await state.network?.remove(id, sandbox.config.port_mappings);
      state.changed(id);
      return {};
    },
    RemovePodSandbox: async ({ pod_sandbox_id: id }) => {
      for (const { record } of state.containers.values())
        if (record.sandboxId === id) await removeContainer(state, record.id);
      state.changed(id);
      const sandbox = state.sandboxes.get(id);
      if (sandbox?.address !== undefined) await state.network?.remove(id, sandbox.config.port_mappings);
      state.sandboxes.delete(id);
      await state.deps.fs.remove(`${state.options.dir}/sandboxes/${id}.resolv.conf`);
      await state.deps.fs.remove(`${state.options.dir}/sandboxes/${id}.json`);
      return {};
    },
    PodSandboxStatus: ({ pod_sandbox_id: id }) => {
      const { config, createdAt, ready, address } = state.sandbox(id);
      return {
        status: {
          id,
          metadata: config.metadata,
          state: ready ? "SANDBOX_READY" : "SANDBOX_NOTREADY",
          created_at: BigInt(createdAt),
          network: { ip: ready ? (address ?? state.options.address) : "" },
          linux: { namespaces: { options: config.linux?.security_context?.namespace_options } },
          labels: config.labels,
          annotations: config.annotations,
        },
      };
    },
    ListPodSandbox: ({ filter }) => ({
      items: [...state.sandboxes.values()]
        .filter(({ id, ready, config }) => {
          const state = filter?.state?.state;
          return (
            (!filter?.id || filter.id === id) &&
            (state === undefined || (state === "SANDBOX_READY") === ready) &&
            matches(config.labels, filter?.label_selector)
          );
        })
        .map(({ id, config, createdAt, ready }) => ({
          id,
          metadata: config.metadata,
          state: ready ? ("SANDBOX_READY" as const) : ("SANDBOX_NOTREADY" as const),
          created_at: BigInt(createdAt),
          labels: config.labels,
          annotations: config.annotations,
        })),
    }),
    CreateContainer: async ({ pod_sandbox_id: id, config, sandbox_config: sandboxConfig }) => {
      if (config === undefined) throw new RpcError("InvalidArgument", "container config must include metadata");
      return { container_id: await createContainer(state, id, config, sandboxConfig) };
    },
    StartContainer: async ({ container_id: id }) => {
      await startContainer(state, id);
      return {};
    },
    StopContainer: async ({ container_id: id, timeout }) => {
      if (state.containers.has(id)) await stopContainer(state, id, timeout);
      return {};
    },
    RemoveContainer: async ({ container_id: id }) => {
      await removeContainer(state, id);
      return {};
    },
    ListContainers: ({ filter }) => ({
      containers: [...state.containers.values()]
        .filter((container) => {
          const { record } = container;
          const state = filter?.state?.state;
          return (
            (!filter?.id || filter.id === record.id) &&
            (!filter?.pod_sandbox_id || filter.pod_sandbox_id === record.sandboxId) &&
            (state === undefined || state === stateOf(record)) &&
            matches(record.config.labels, filter?.label_selector)
          );
        })
        .map(({ record }) => ({
          id: record.id,
          pod_sandbox_id: record.sandboxId,
          metadata: record.config.metadata,
          image: record.config.image,
          image_ref: record.imageId,
          image_id: record.imageId,
          state: stateOf(record),
          created_at: BigInt(record.createdAt),
          labels: record.config.labels,
          annotations: record.config.annotations,
        })),
    }),
    ContainerStatus: ({ container_id: id }) => {
      const { record } = state.container(id);
      return {
        status: {
          id,
          metadata: record.config.metadata,
          state: stateOf(record),
          created_at: BigInt(record.createdAt),
          started_at: BigInt(record.startedAt ?? 0),
          finished_at: BigInt(record.finishedAt ?? 0),
          exit_code: record.exitCode ?? 0,
          image: record.config.image,
          image_ref: record.imageId,
          image_id: record.imageId,
          reason: record.reason ?? "",
          message: record.message ?? "",
          labels: record.config.labels,
          annotations: record.config.annotations,
          mounts: record.config.mounts,
          log_path: record.logPath,
        },
      };
    },
    ExecSync: async ({ container_id: id, cmd, timeout }) => {
      const out: Uint8Array[] = [];
      const err: Uint8Array[] = [];
      const stop = new AbortController();
      using _timer =
        timeout > 0 ? state.deps.clock.after(timeout * 1000, () => stop.abort()) : { [Symbol.dispose]() {} };
      const { exitCode } = await execInContainer(state, id, cmd, false, {
        stdin: undefined,
        resizes: undefined,
        stdout: (data) => void out.push(data),
        stderr: (data) => void err.push(data),
        signal: stop.signal,
      });
      if (stop.signal.aborted) throw new RpcError("DeadlineExceeded", `command ${JSON.stringify(cmd)} timed out`);
      return { stdout: Buffer.concat(out), stderr: Buffer.concat(err), exit_code: exitCode };
    },
    ReopenContainerLog: () => ({}),
    UpdateContainerResources: () => ({}),
    UpdateRuntimeConfig: async ({ runtime_config: config }) => {
      await state.network?.setPodCidr(config?.network_config?.pod_cidr ?? "");
      return {};
    },
    ContainerStats: async ({ container_id: id }) => ({ stats: await statsOf(state, state.container(id)) }),
    ListContainerStats: async ({ filter }) => {
      const wanted = [...state.containers.values()].filter(
        ({ record }) => !filter?.pod_sandbox_id || filter.pod_sandbox_id === record.sandboxId,
      );
      return {
        stats: await Promise.all(
          wanted
            .filter(({ record }) => stateOf(record) === "CONTAINER_RUNNING")
            .map((container) => statsOf(state, container)),
        ),
      };
    },
  };
}

/** Of the process and the children that it waited for, from /proc. */
async function statsOf(state: ProcessState, { record, pid }: Container) {
  const { fs, clock } = state.deps;
  const timestamp = BigInt(Math.floor(clock.now())) * 1_000_000n;
  const attributes = {
    id: record.id,
    metadata: record.config.metadata,
    labels: record.config.labels,
    annotations: record.config.annotations,
  };
  const path = `/proc/${pid}/stat`;
  if ((await fs.stat(path)) === undefined) return { attributes };
  const stat = Buffer.from(await fs.readFile(path)).toString();
  const scheduled = await fs.readFile(`/proc/${pid}/schedstat`).catch(() => "");
  const nanoseconds = processNanoseconds(stat, Buffer.from(scheduled).toString());
  const residentBytes = Number(stat.replace(/^.*\) /s, "").split(" ")[21]) * 4096;
  return {
    attributes,
    cpu: { timestamp, usage_core_nano_seconds: { value: nanoseconds } },
    memory: { timestamp, working_set_bytes: { value: residentBytes }, rss_bytes: { value: residentBytes } },
  };
}
