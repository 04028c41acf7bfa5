import { nodes } from "../../api/core/v1/node/resource.ts";
import { pods } from "../../api/core/v1/pod/resource.ts";
import { adminClient } from "../admin.ts";
import { defineCommand } from "../command.ts";
import { clusterFlags } from "../flags/common.ts";
import { contextOf } from "../kubeconfig-file.ts";
import { dataDirOf, isRunning, readState } from "../state.ts";

/** Exit code 0 when the cluster runs and all its nodes are Ready, 1 otherwise. */
export const status = defineCommand({
  name: "status",
  usage: "[flags]",
  about: "Tell whether a cluster runs, and how its nodes and pods are.",
  flags: clusterFlags,
  async run({ world, out }, values) {
    const dir = dataDirOf(world, values.name, values["data-dir"]);
    const state = await readState(world, dir);
    if (state === undefined) {
      out(`cluster ${values.name} is not running\n`);
      return 1;
    }
    if (!isRunning(world, state)) {
      out(`cluster ${values.name} was killed: \`t8s up\` goes on with it, \`t8s down\` stops its containers\n`);
      return 1;
    }
    const client = await adminClient(world, values.name, dir);
    try {
      const nodeList = await client.list(nodes);
      const podList = await client.list(pods);
      const isReady = (conditions: readonly { readonly type: string; readonly status: string }[] = []) =>
        conditions.some(({ type, status: is }) => type === "Ready" && is === "True");
      const ready = nodeList.items.filter((node) => isReady(node.status.conditions));
      const minutes = Math.floor((world.clock.now() - state.startedAt) / 60_000);
      out(
        [
          `cluster   ${state.name}, process ${state.pid}, up for ${minutes < 1 ? "less than a minute" : `${minutes} min`}`,
          `server    ${state.server}`,
          `context   ${contextOf(state.name)}`,
          `runtime   ${state.runtime}`,
          `nodes     ${ready.length} of ${nodeList.items.length} Ready`,
          `pods      ${podList.items.filter((pod) => pod.status.phase === "Running").length} running of ${podList.items.length}`,
          `data      ${dir}`,
          "",
        ].join("\n"),
      );
      return ready.length === nodeList.items.length ? 0 : 1;
    } finally {
      await client.transport.close();
    }
  },
});
