/** The flags of `kube-scheduler`, spelled and defaulted as upstream's. Upstream: cmd/kube-scheduler/app/options */
import { componentFlags, connectionFlags, delegatedFlags, leaderElectionFlags, servingFlags } from "./component.ts";
import { withIgnored, type Flags } from "../flags.ts";

const own = {
  config: { type: "string", default: "", help: "The path to the configuration file." },
  "write-config-to": { type: "string", default: "", help: "Write the configuration there, and exit." },
  "pod-max-in-unschedulable-pods-duration": {
    type: "duration",
    default: 300_000,
    help: "The longest that a pod waits among the unschedulable ones before it is tried again.",
  },
} as const satisfies Flags;

export const kubeSchedulerFlags = withIgnored(
  {
    ...servingFlags(10259, ""),
    ...delegatedFlags,
    ...connectionFlags,
    ...leaderElectionFlags("kube-scheduler"),
    ...own,
    ...componentFlags,
  },
  "algorithm-provider",
);
