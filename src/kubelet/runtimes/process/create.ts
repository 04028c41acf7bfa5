/** Makes a container: its command, environment and user worked out, its folders made, its record kept. Nothing runs yet. */
import type { ContainerConfig, PodSandboxConfig } from "../../../protocols/cri/generated.ts";
import { RpcError } from "../../../wire/rpc/service.ts";
import { ownerOf } from "./identity.ts";
import type { UnpackedImage } from "./images.ts";
import { capabilitiesOf, type Identity } from "./launch.ts";
import { newContainer } from "./state.ts";
import type { ContainerRecord, ProcessState } from "./state.ts";

export const DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export async function createContainer(
  state: ProcessState,
  sandboxId: string,
  config: ContainerConfig,
  sandboxConfig: PodSandboxConfig | undefined,
): Promise<string> {
  const { fs, host } = state.deps;
  const sandbox = state.sandbox(sandboxId);
  const name = config.image?.image ?? "";
  const image = await state.image(name);
  const entrypoint = config.command.length > 0 ? config.command : (image?.config.Entrypoint ?? []);
  const args = config.args.length > 0 ? config.args : config.command.length > 0 ? [] : (image?.config.Cmd ?? []);
  const command = [...entrypoint, ...args];
  if (command.length === 0) {
    throw new RpcError(
      "InvalidArgument",
      `no command specified: image ${JSON.stringify(name)} is not loaded (t8s image load), so the container needs a command of this machine`,
    );
  }
  const environment: Record<string, string> = {
    PATH: image === undefined ? (host.environment["PATH"] ?? DEFAULT_PATH) : DEFAULT_PATH,
    HOSTNAME: sandbox.config.hostname || host.hostname,
  };
  for (const pair of image?.config.Env ?? [])
    environment[pair.slice(0, pair.indexOf("="))] = pair.slice(pair.indexOf("=") + 1);
  for (const { key, value } of config.envs) environment[key] = value;
  const identity = await identityOf(state, config, image);
  const id = state.newId();
  const dir = state.dirOf(id);
  for (const folder of ["upper", "work", "root"]) await fs.mkdir(`${dir}/${folder}`, { recursive: true });
  const logDirectory = sandboxConfig?.log_directory ?? sandbox.config.log_directory;
  const logPath = config.log_path === "" || logDirectory === "" ? "" : `${logDirectory}/${config.log_path}`;
  const container = newContainer({
    id,
    sandboxId,
    config,
    logPath,
    imageId: image?.id ?? name,
    command,
    environment,
    workingDir: config.working_dir || image?.config.WorkingDir || "/",
    stopSignal: image?.config.StopSignal ?? "SIGTERM",
    createdAt: state.now(),
    ...(identity && { identity }),
  });
  state.containers.set(id, container);
  await state.save(container);
  return id;
}

async function identityOf(
  state: ProcessState,
  config: ContainerConfig,
  image: UnpackedImage | undefined,
): Promise<Identity | undefined> {
  if (state.isolation !== "root") return undefined;
  const security = config.linux?.security_context;
  const read = (name: string) => state.deps.fs.readFile(`${image?.root ?? ""}/etc/${name}`).catch(() => Buffer.of());
  return ownerOf(
    {
      uid: security?.run_as_user && Number(security.run_as_user.value),
      gid: security?.run_as_group && Number(security.run_as_group.value),
      username: security?.run_as_username ?? "",
      imageUser: image?.config.User ?? "",
      supplementalGroups: (security?.supplemental_groups ?? []).map(Number),
    },
    Buffer.from(await read("passwd")).toString(),
    Buffer.from(await read("group")).toString(),
  );
}

export function privilegesOf({ config }: ContainerRecord) {
  const security = config.linux?.security_context;
  const privileged = security?.privileged ?? false;
  const { add_capabilities: added = [], drop_capabilities: dropped = [] } = security?.capabilities ?? {};
  return {
    privileged,
    capabilities: privileged ? undefined : capabilitiesOf(added, dropped),
    noNewPrivileges: security?.no_new_privs ?? false,
  };
}
