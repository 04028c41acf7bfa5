/** Plugins that limit how much is used, and how often. */
import type { Rows, DecisionTable } from "./table.ts";
import { named, pod, resources } from "./objects.ts";

export const limitDecisions: DecisionTable = {
  LimitRanger: [
    ...limits({ type: "Container", default: { cpu: "2" }, defaultRequest: { cpu: "1", memory: "1Gi" } }, [
      {
        when: "a container states nothing and there are defaults",
        object: pod(),
        becomes: {
          metadata: {
            annotations: {
              "kubernetes.io/limit-ranger":
                "LimitRanger plugin set: cpu, memory request for container c; cpu limit for container c",
            },
          },
          spec: {
            containers: [
              {
                name: "c",
                image: "i",
                resources: { requests: { cpu: "1", memory: "1Gi" }, limits: { cpu: "2" } },
              },
            ],
          },
        },
      },
    ]),
    ...limits({ type: "Container", min: { cpu: "100m" }, max: { cpu: "1" }, maxLimitRequestRatio: { cpu: "2" } }, [
      {
        when: "a container is within its bounds",
        object: resources({ cpu: "500m" }, { cpu: "1" }),
      },
      {
        when: "a container asks for too little",
        object: resources({ cpu: "50m" }, { cpu: "100m" }),
        says: "minimum cpu usage per Container is 100m, but request is 50m",
      },
      {
        when: "a container's limit is too low, though it asks for enough",
        object: resources({ cpu: "100m" }, { cpu: "50m" }),
        says: "minimum cpu usage per Container is 100m, but limit is 50m",
      },
      {
        when: "a container may use too much",
        object: resources({ cpu: "1" }, { cpu: "2" }),
        says: "maximum cpu usage per Container is 1, but limit is 2",
      },
      {
        when: "a container may use much more than it asks for",
        object: resources({ cpu: "100m" }, { cpu: "1" }),
        says: "cpu max limit to request ratio per Container is 2, but provided ratio is 10.000000",
      },
      {
        when: "a container states nothing",
        object: pod(),
        says: "[minimum cpu usage per Container is 100m.  No request is specified, maximum cpu usage per Container is 1.  No limit is specified, cpu max limit to request ratio per Container is 2, but no request is specified or request is 0]",
      },
      { when: "a pod is updated", operation: "UPDATE", object: pod(), old: pod() },
      {
        when: "a pod is resized to too much",
        operation: "UPDATE",
        resource: "pods/resize",
        object: resources({ cpu: "2" }, { cpu: "2" }),
        old: resources({ cpu: "1" }, { cpu: "1" }),
        says: "maximum cpu usage per Container is 1, but limit is 2",
      },
    ]),
    ...limits({ type: "Pod", max: { memory: "1Gi" } }, [
      {
        when: "containers together may use too much",
        object: pod({
          containers: [
            { name: "a", image: "i", resources: { limits: { memory: "1Gi" } } },
            { name: "b", image: "i", resources: { limits: { memory: "1Gi" } } },
          ],
        }),
        says: "maximum memory usage per Pod is 1Gi, but limit is 2Gi",
      },
    ]),
    ...limits({ type: "PersistentVolumeClaim", min: { storage: "1Gi" }, max: { storage: "10Gi" } }, [
      {
        when: "a claim asks for too much",
        resource: "persistentvolumeclaims",
        object: { ...named("c"), spec: { resources: { requests: { storage: "20Gi" } } } },
        says: "maximum storage usage per PersistentVolumeClaim is 10Gi, but request is 20Gi",
      },
      {
        when: "a claim asks for too little",
        resource: "persistentvolumeclaims",
        object: { ...named("c"), spec: { resources: { requests: { storage: "1Mi" } } } },
        says: "minimum storage usage per PersistentVolumeClaim is 1Gi, but request is 1Mi",
      },
    ]),
  ],
  EventRateLimit: [
    {
      when: "it is told of no limits",
      resource: "events",
      object: {},
      says: 'couldn\'t init admission plugin "EventRateLimit": limits: Invalid value: null: must not be empty',
    },
    ...(
      [
        [{ type: "Server", qps: 1, burst: 2 }, ""],
        [{ type: "Namespace", qps: 1, burst: 2 }, "default"],
        [{ type: "User", qps: 1, burst: 2 }, "jane"],
        [{ type: "SourceAndObject", qps: 1, burst: 2 }, "kubeletn1Poddefaultpuv1"],
      ] as const
    ).map(([limit, key]) => ({
      when: `the third event at once, with two allowed by ${limit.type}`,
      resource: "events",
      configuration: { limits: [limit] },
      object: {
        source: { component: "kubelet", host: "n1" },
        involvedObject: { kind: "Pod", namespace: "default", name: "p", uid: "u", apiVersion: "v1" },
      },
      times: 3,
      says: `429 limit reached on type ${limit.type} for key ${key}`,
    })),
    {
      when: "the second event",
      resource: "events",
      configuration: { limits: [{ type: "Server", qps: 1, burst: 2 }] },
      object: {},
      times: 2,
    },
  ],
  ResourceQuota: [
    ...(
      [
        [
          "a quota is used up",
          { pods: "1" },
          { pods: "1" },
          pod(),
          "exceeded quota: q, requested: pods=1, used: pods=1, limited: pods=1",
        ],
        ["a quota has room", { pods: "2" }, { pods: "1" }, pod(), undefined],
        ["nobody has counted yet", { pods: "2" }, {}, pod(), "status unknown for quota: q, resources: pods"],
        [
          "a quota of memory, and a container that states none",
          { memory: "1Gi" },
          { memory: "0" },
          pod(),
          "failed quota: q: must specify memory for: c",
        ],
        [
          "more memory than there is",
          { memory: "1Gi", pods: "5" },
          { memory: "512Mi", pods: "1" },
          resources({ memory: "1Gi" }),
          "exceeded quota: q, requested: memory=1Gi, used: memory=512Mi, limited: memory=1Gi",
        ],
      ] as const
    ).map(([when, hard, used, object, says]) => ({
      when,
      object: { ...object, status: {} },
      cluster: {
        resourcequotas: [{ ...named("q", { namespace: "default" }), spec: { hard }, status: { hard, used } }],
      },
      ...(says !== undefined && { says }),
    })),
    {
      when: "what is limited by default has no quota",
      object: { ...resources({ cpu: "1" }), status: {} },
      configuration: { limitedResources: [{ resource: "pods", matchContains: ["cpu"] }] },
      says: "insufficient quota to consume: cpu,requests.cpu",
    },
    {
      when: "a class is limited by default, and no quota is for it",
      object: { ...pod({ priorityClassName: "vip" }), status: {} },
      configuration: {
        limitedResources: [
          { resource: "pods", matchScopes: [{ scopeName: "PriorityClass", operator: "In", values: ["vip"] }] },
        ],
      },
      says: "500 insufficient quota to match these scopes: [{PriorityClass In [vip]}]",
    },
    {
      when: "its configuration names no resource",
      object: pod(),
      configuration: { limitedResources: [{ matchContains: ["cpu"] }] },
      says: 'couldn\'t init admission plugin "ResourceQuota": limitedResources[0].resource: Required value',
    },
  ],
};

function limits(limit: object, rows: Rows): Rows {
  const range = { ...named("r", { namespace: "default" }), spec: { limits: [limit] } };
  return rows.map((row) => ({ ...row, cluster: { limitranges: [range] } }));
}
