import { definePlugin } from "../framework.ts";

/** The higher priority first, then who has waited longer. */
export const prioritySort = definePlugin({
  name: "PrioritySort",
  create: () => ({
    retryOn: [],
    before: (a, b) =>
      a.info.priority > b.info.priority || (a.info.priority === b.info.priority && a.timestamp < b.timestamp),
  }),
});
