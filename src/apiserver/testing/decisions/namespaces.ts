/** Plugins that look at the namespace of a request. */
import type { DecisionTable } from "./table.ts";
import { named, pod, namespace, resources } from "./objects.ts";

export const namespaceDecisions: DecisionTable = {
  NamespaceAutoProvision: [
    { when: "something in a namespace that isn't there", object: pod(), makes: ["default"] },
    { when: "something in one that is", object: pod(), cluster: { namespaces: [named("default")] }, makes: [] },
    { when: "a dry run", object: pod(), dryRun: true, makes: [] },
  ],
  NamespaceLifecycle: [
    {
      when: "kube-system is deleted",
      operation: "DELETE",
      resource: "namespaces",
      name: "kube-system",
      old: named("kube-system"),
      says: "this namespace may not be deleted",
    },
    { when: "another namespace is", operation: "DELETE", resource: "namespaces", name: "a", old: named("a") },
    {
      when: "something is made in a namespace that isn't there",
      object: pod(),
      says: '404 namespaces "default" not found',
    },
    {
      when: "something is made in a namespace that goes",
      object: pod(),
      cluster: { namespaces: [namespace({}, "Terminating")] },
      says: "unable to create new content in namespace default because it is being terminated",
    },
    {
      when: "something is changed in a namespace that goes",
      operation: "UPDATE",
      object: pod(),
      old: pod(),
      cluster: { namespaces: [namespace({}, "Terminating")] },
    },
    {
      when: "something is changed in a namespace that isn't there",
      operation: "UPDATE",
      object: pod(),
      old: pod(),
      says: '404 namespaces "default" not found',
    },
    { when: "something is deleted in a namespace that isn't there", operation: "DELETE", old: pod() },
    { when: "a review is asked for there", resource: "localsubjectaccessreviews.authorization.k8s.io", object: {} },
  ],
  NamespaceExists: [
    { when: "the namespace isn't there", object: pod(), says: '404 namespaces "default" not found' },
    { when: "the namespace is there", object: pod(), cluster: { namespaces: [namespace()] } },
  ],
  PodNodeSelector: [
    {
      when: "the namespace says where its pods run",
      object: pod({ nodeSelector: { more: "x" } }),
      cluster: {
        namespaces: [
          namespace({ annotations: { "scheduler.alpha.kubernetes.io/node-selector": "env=prod, disk=fast" } }),
        ],
      },
      becomes: { spec: { nodeSelector: { env: "prod", disk: "fast", more: "x" } } },
    },
    {
      when: "the pod says otherwise",
      object: pod({ nodeSelector: { env: "test" } }),
      cluster: {
        namespaces: [namespace({ annotations: { "scheduler.alpha.kubernetes.io/node-selector": "env=prod" } })],
      },
      says: "pod node label selector conflicts with its namespace node label selector",
    },
    {
      when: "the namespace says nothing, and the cluster does",
      object: pod(),
      configuration: { podNodeSelectorPluginConfig: { clusterDefaultNodeSelector: "env=any" } },
      cluster: { namespaces: [namespace()] },
      becomes: { spec: { nodeSelector: { env: "any" } } },
    },
    {
      when: "the pod asks for what its namespace may not",
      object: pod({ nodeSelector: { env: "prod" } }),
      configuration: { podNodeSelectorPluginConfig: { default: "env=test" } },
      cluster: { namespaces: [namespace()] },
      says: "pod node label selector labels conflict with its namespace whitelist",
    },
  ],
  PodTolerationRestriction: [
    {
      when: "the namespace gives its pods tolerations",
      object: pod(),
      cluster: {
        namespaces: [
          namespace({
            annotations: { "scheduler.alpha.kubernetes.io/defaultTolerations": '[{"key":"a","operator":"Exists"}]' },
          }),
        ],
      },
      becomes: { spec: { tolerations: [{ key: "a", operator: "Exists" }] } },
    },
    {
      when: "the cluster does, and the namespace wants none",
      object: pod(),
      configuration: { default: [{ key: "a", operator: "Exists" }] },
      cluster: { namespaces: [namespace({ annotations: { "scheduler.alpha.kubernetes.io/defaultTolerations": "" } })] },
      becomes: { spec: { tolerations: undefined } },
    },
    {
      when: "a pod with requests",
      object: resources({ cpu: "1" }),
      cluster: { namespaces: [namespace()] },
      becomes: {
        spec: {
          tolerations: [{ key: "node.kubernetes.io/memory-pressure", operator: "Exists", effect: "NoSchedule" }],
        },
      },
    },
    {
      when: "a pod tolerates more than its namespace may",
      object: pod({ tolerations: [{ key: "b", operator: "Exists" }] }),
      cluster: {
        namespaces: [
          namespace({
            annotations: { "scheduler.alpha.kubernetes.io/tolerationsWhitelist": '[{"key":"a","operator":"Exists"}]' },
          }),
        ],
      },
      says: "500 pod tolerations (possibly merged with namespace default tolerations) conflict with its namespace whitelist",
    },
    {
      when: "a pod tolerates more than the cluster lets anybody",
      object: pod({ tolerations: [{ key: "b", operator: "Exists" }] }),
      configuration: { whitelist: [{ key: "a", operator: "Exists" }] },
      cluster: { namespaces: [namespace()] },
      says: "500 pod tolerations (possibly merged with namespace default tolerations) conflict with its cluster whitelist",
    },
  ],
};
