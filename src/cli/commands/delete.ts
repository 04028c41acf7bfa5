import { defineCommand } from "../command.ts";
import { clusterFlags } from "../flags/common.ts";
import { contextOf, removeFromKubeconfig } from "../kubeconfig-file.ts";
import { dataDirOf } from "../state.ts";
import { down } from "./down.ts";

export const deleteCluster = defineCommand({
  name: "delete",
  usage: "[flags]",
  about: "Stop a cluster and remove everything it kept, its context in the kubeconfig too.",
  flags: clusterFlags,
  async run(context, values, positional, parsed) {
    const { world, out } = context;
    const code = await down.run({ ...context, out: () => {} }, values, positional, parsed);
    if (code !== 0) return code;
    const dir = dataDirOf(world, values.name, values["data-dir"]);
    await world.fs.remove(dir);
    const path = await removeFromKubeconfig(world, values.name);
    out(`cluster ${values.name} is deleted${path === undefined ? "" : `, and context ${contextOf(values.name)} is gone from ${path}`}
`);
    return 0;
  },
});
