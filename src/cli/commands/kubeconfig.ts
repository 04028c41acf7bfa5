import { formatKubeconfig } from "../../client/kubeconfig.ts";
import { defineCommand } from "../command.ts";
import { clusterFlags } from "../flags/common.ts";
import { adminKubeconfig } from "../admin.ts";
import { dataDirOf } from "../state.ts";

export const kubeconfig = defineCommand({
  name: "kubeconfig",
  usage: "[flags]",
  about: "Print a kubeconfig with the cluster's administrator.",
  flags: clusterFlags,
  async run({ world, out }, values) {
    out(formatKubeconfig(await adminKubeconfig(world, values.name, dataDirOf(world, values.name, values["data-dir"]))));
    return 0;
  },
});
