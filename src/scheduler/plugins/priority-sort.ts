/** Orders the queue: higher priority first, then the pod that has waited longer. Upstream: pkg/scheduler/framework/plugins/queuesort */
import { definePlugin } from "../framework.ts";

export const prioritySort = definePlugin({
  name: "PrioritySort",
  create: () => ({
    retryOn: [],
    before: (a, b) =>
      a.info.priority > b.info.priority || (a.info.priority === b.info.priority && a.timestamp < b.timestamp),
  }),
});
