import { importImages } from "../../kubelet/runtimes/containerd/containerd.ts";
import { socketOf } from "../../kubelet/runtimes/containerd/config.ts";
import { CommandError, defineCommand } from "../command.ts";
import { clusterFlags } from "../flags/common.ts";
import { loadArchive } from "../../kubelet/runtimes/process/images.ts";
import { type ClusterState, dataDirOf, isRunning, readState } from "../state.ts";

/** `t8s image load FILE…`: OCI and docker archives (`docker save`, `podman save`, `buildah push oci-archive:`) into every node. */
export const image = defineCommand({
  name: "image",
  usage: "load FILE... [flags]",
  about: "Load images from OCI or docker archives into the cluster's nodes.",
  flags: clusterFlags,
  async run({ world, out }, values, [verb, ...files]) {
    if (verb !== "load" || files.length === 0) throw new CommandError("usage: t8s image load FILE...");
    const dir = dataDirOf(world, values.name, values["data-dir"]);
    const state = await readState(world, dir);
    if (!isRunning(world, state)) throw new CommandError(`cluster ${values.name} is not running`);
    for (const file of files) {
      if ((await world.fs.stat(file))?.kind !== "file") throw new CommandError(`${file}: no such file`);
      if (state.runtime === "simulated") continue; // Every image is there.
      const names =
        state.runtime === "containerd"
          ? await Promise.all(containerdSockets(dir, state).map((socket) => importImages(world, socket, file)))
          : [await loadArchive(world, `${dir}/images`, file)];
      for (const name of names[0]!) out(`loaded ${name}\n`);
    }
    return 0;
  },
});

function containerdSockets(dir: string, { lan, options }: ClusterState): readonly string[] {
  if (lan !== undefined) return lan.machines.map((machine) => socketOf(`${machine.dir}/containerd`));
  const endpoint = options["container-runtime-endpoint"];
  return [
    typeof endpoint === "string" && endpoint !== ""
      ? endpoint.replace(/^unix:(\/\/)?/, "")
      : socketOf(`${dir}/containerd`),
  ];
}
