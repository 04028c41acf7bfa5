/** `t8s kube-proxy`, and `bin/kube-proxy`. */
import { kubeProxyFlags } from "../flags/kube-proxy.ts";
import { componentCommand } from "../processes/process.ts";

export const kubeProxy = componentCommand(
  "kube-proxy",
  "Run a node's proxy alone, with upstream's flags, ports and configuration file.",
  kubeProxyFlags,
  async () => (await import("../processes/kube-proxy.ts")).kubeProxy,
);
