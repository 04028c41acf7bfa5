/** The objects that priority and fairness cannot do without and that nobody may change. Upstream: pkg/apis/flowcontrol/bootstrap/default.go */
import type { FlowSchema, PriorityLevelConfiguration } from "../../generated/flowcontrol.v1.ts";

const everything = {
  resourceRules: [{ verbs: ["*"], apiGroups: ["*"], resources: ["*"], clusterScope: true, namespaces: ["*"] }],
  nonResourceRules: [{ verbs: ["*"], nonResourceURLs: ["*"] }],
};
const groups = (...names: string[]) => names.map((name) => ({ kind: "Group", group: { name } }));

export const MANDATORY_FLOW_SCHEMAS: Readonly<Record<string, NonNullable<FlowSchema["spec"]>>> = {
  exempt: {
    priorityLevelConfiguration: { name: "exempt" },
    matchingPrecedence: 1,
    rules: [{ subjects: groups("system:masters"), ...everything }],
  },
  "catch-all": {
    priorityLevelConfiguration: { name: "catch-all" },
    matchingPrecedence: 10_000,
    distinguisherMethod: { type: "ByUser" },
    rules: [{ subjects: groups("system:unauthenticated", "system:authenticated"), ...everything }],
  },
};

export const MANDATORY_PRIORITY_LEVELS: Readonly<Record<string, NonNullable<PriorityLevelConfiguration["spec"]>>> = {
  exempt: { type: "Exempt", exempt: { nominalConcurrencyShares: 0, lendablePercent: 0 } },
  "catch-all": {
    type: "Limited",
    limited: { nominalConcurrencyShares: 5, lendablePercent: 0, limitResponse: { type: "Reject" } },
  },
};
