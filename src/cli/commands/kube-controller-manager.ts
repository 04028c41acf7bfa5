/** `t8s kube-controller-manager`, and `bin/kube-controller-manager`. */
import { kubeControllerManagerFlags } from "../flags/kube-controller-manager.ts";
import { componentCommand } from "../processes/process.ts";

export const kubeControllerManager = componentCommand(
  "kube-controller-manager",
  "Run a controller manager alone, with upstream's flags and ports.",
  kubeControllerManagerFlags,
  async () => (await import("../processes/kube-controller-manager.ts")).kubeControllerManager,
);
