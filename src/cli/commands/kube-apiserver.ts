/** `t8s kube-apiserver`, and `bin/kube-apiserver`. */
import { kubeApiserverFlags } from "../flags/kube-apiserver.ts";
import { componentCommand } from "../processes/process.ts";

export const kubeApiserver = componentCommand(
  "kube-apiserver",
  "Run an API server alone, with upstream's flags, ports and files.",
  kubeApiserverFlags,
  async () => (await import("../processes/kube-apiserver.ts")).kubeApiserver,
);
