/** `t8s kube-scheduler`, and `bin/kube-scheduler`. */
import { kubeSchedulerFlags } from "../flags/kube-scheduler.ts";
import { componentCommand } from "../processes/process.ts";

export const kubeScheduler = componentCommand(
  "kube-scheduler",
  "Run a scheduler alone, with upstream's flags, ports and configuration file.",
  kubeSchedulerFlags,
  async () => (await import("../processes/kube-scheduler.ts")).kubeScheduler,
);
