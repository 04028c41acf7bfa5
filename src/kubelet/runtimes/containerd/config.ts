/** containerd's configuration file (version 2, which containerd 1.6 to 2.x read). Pure. */
export interface ContainerdConfig {
  /** Everything of this containerd is below: images, snapshots, state, socket. */
  readonly dir: string;
  readonly sandboxImage: string;
  readonly cniBinDirs: readonly string[];
  readonly cniConfDir: string;
  /** False in places (containers, some sandboxes) where a process may not lower its OOM score. */
  readonly mayLowerOomScore: boolean;
  readonly snapshotter: "overlayfs" | "native";
  readonly systemdCgroup: boolean;
  /** Further runtime handlers, by name: the path of an OCI runtime. */
  readonly runtimes: Readonly<Record<string, string>>;
}

export const socketOf = (dir: string): string => `${dir}/containerd.sock`;

export function renderContainerdConfig(config: ContainerdConfig): string {
  const { dir } = config;
  const cri = 'plugins."io.containerd.grpc.v1.cri"';
  const runtime = (name: string, binary: string | undefined) => `
    [${cri}.containerd.runtimes.${name}]
      runtime_type = "io.containerd.runc.v2"
      [${cri}.containerd.runtimes.${name}.options]
        SystemdCgroup = ${config.systemdCgroup}${binary === undefined ? "" : `\n        BinaryName = ${quote(binary)}`}`;
  return `version = 2
root = ${quote(`${dir}/root`)}
state = ${quote(`${dir}/state`)}
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]

[grpc]
  address = ${quote(socketOf(dir))}
[ttrpc]
  address = ${quote(`${socketOf(dir)}.ttrpc`)}
[debug]
  level = "warn"
[plugins."io.containerd.internal.v1.opt"]
  path = ${quote(`${dir}/opt`)}

[${cri}]
  sandbox_image = ${quote(config.sandboxImage)}
  stream_server_address = "127.0.0.1"
  stream_server_port = "0"
  disable_apparmor = true
  restrict_oom_score_adj = ${!config.mayLowerOomScore}
  tolerate_missing_hugetlb_controller = true
  disable_hugetlb_controller = true
  netns_mounts_under_state_dir = true
  [${cri}.containerd]
    snapshotter = ${quote(config.snapshotter)}
    default_runtime_name = "runc"${runtime("runc", undefined)}${Object.entries(config.runtimes)
      .map(([name, binary]) => runtime(name, binary))
      .join("")}
  [${cri}.cni]
    bin_dir = ${quote(config.cniBinDirs[0] ?? "/opt/cni/bin")}
    conf_dir = ${quote(config.cniConfDir)}
  [${cri}.registry]
    config_path = ${quote(`${dir}/certs.d`)}
`;
}

const quote = (text: string): string => JSON.stringify(text);
