/** `t8s kubelet`, and `bin/kubelet`. */
import { kubeletFlags } from "../flags/kubelet.ts";
import { componentCommand } from "../processes/process.ts";

export const kubelet = componentCommand(
  "kubelet",
  "Run a node's agent alone, with upstream's flags, ports and configuration file.",
  kubeletFlags,
  async () => (await import("../processes/kubelet.ts")).kubelet,
);
