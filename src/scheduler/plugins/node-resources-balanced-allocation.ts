/**
 * Prefers nodes whose cpu and memory would be used in more equal proportion with the pod than without it.
 * Upstream: pkg/scheduler/framework/plugins/noderesources/balanced_allocation.go
 */
import { definePlugin } from "../framework.ts";

export const nodeResourcesBalancedAllocation = definePlugin({
  name: "NodeResourcesBalancedAllocation",
  weight: 1,
  create: ({ cache }) => ({
    retryOn: [],
    score({ requests: { cpu, memory } }) {
      if (cpu === 0 && memory === 0) return undefined;
      const { columns } = cache;
      return (nodes, scores) => {
        for (let i = 0; i < nodes.length; i++) {
          const { row } = nodes[i]!;
          const [cpus, bytes] = [columns.allocatableCpu[row]!, columns.allocatableMemory[row]!];
          const [usedCpu, usedMemory] = [columns.cpu[row]!, columns.memory[row]!];
          const after = balance(usedCpu + cpu, cpus, usedMemory + memory, bytes);
          const before = balance(usedCpu, cpus, usedMemory, bytes);
          scores[i] = 50 + Math.trunc((50 + after - before) / 2);
        }
      };
    },
  }),
});

/** 100 where both are used alike. A resource that the node hasn't got doesn't count. */
function balance(cpu: number, cpus: number, memory: number, bytes: number): number {
  if (cpus === 0 || bytes === 0) return 100;
  return Math.trunc((1 - Math.abs(Math.min(1, cpu / cpus) - Math.min(1, memory / bytes)) / 2) * 100);
}
