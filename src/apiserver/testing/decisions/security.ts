/** Plugins that guard what a user could gain. */
import type { DecisionTable } from "./table.ts";
import { named, pod, namespace, only, OWNER } from "./objects.ts";

export const securityDecisions: DecisionTable = {
  PodSecurity: [
    {
      when: "a privileged pod where baseline is enforced",
      object: only({ securityContext: { privileged: true } }),
      cluster: { namespaces: [namespace({ labels: { "pod-security.kubernetes.io/enforce": "baseline" } })] },
      says: 'violates PodSecurity "baseline:latest": privileged (container "c" must not set securityContext.privileged=true)',
    },
    {
      when: "a plain pod where restricted is warned of",
      object: pod(),
      cluster: {
        namespaces: [
          namespace({
            labels: {
              "pod-security.kubernetes.io/warn": "restricted",
              "pod-security.kubernetes.io/warn-version": "v1.7",
            },
          }),
        ],
      },
      warns: [
        'would violate PodSecurity "restricted:v1.7": runAsNonRoot != true (pod or container "c" must set securityContext.runAsNonRoot=true)',
      ],
    },
    {
      when: "a deployment of such pods where restricted is enforced",
      resource: "deployments.apps",
      object: { ...named("d"), spec: { template: pod({ hostNetwork: true }) } },
      cluster: {
        namespaces: [
          namespace({
            labels: { "pod-security.kubernetes.io/enforce": "baseline" },
          }),
        ],
      },
      warns: ['would violate PodSecurity "baseline:latest": host namespaces (hostNetwork=true)'],
    },
    {
      when: "a privileged pod where the defaults forbid it",
      object: only({ securityContext: { privileged: true } }),
      configuration: { defaults: { enforce: "baseline", "enforce-version": "v1.30" } },
      cluster: { namespaces: [namespace()] },
      says: 'violates PodSecurity "baseline:v1.30": privileged (container "c" must not set securityContext.privileged=true)',
    },
    ...(
      [
        ["user", { usernames: ["jane"] }, {}],
        ["namespace", { namespaces: ["default"] }, {}],
        ["runtime class", { runtimeClasses: ["vm"] }, { runtimeClassName: "vm" }],
      ] as const
    ).map(([what, exemptions, spec]) => ({
      when: `a privileged pod of a ${what} that is exempt`,
      object: pod({ containers: [{ name: "c", securityContext: { privileged: true } }], ...spec }),
      configuration: { defaults: { enforce: "baseline" }, exemptions },
      cluster: { namespaces: [namespace()] },
    })),
    {
      when: "a namespace with a level that isn't one",
      resource: "namespaces",
      object: named("a", { labels: { "pod-security.kubernetes.io/enforce": "strict" } }),
      says: '422 Namespace "a" is invalid: metadata.labels[pod-security.kubernetes.io/enforce]: Invalid value: "strict": must be one of privileged, baseline, restricted',
    },
    {
      when: "a namespace with a version that isn't one",
      resource: "namespaces",
      object: named("a", { labels: { "pod-security.kubernetes.io/audit-version": "1.30" } }),
      says: '422 Namespace "a" is invalid: metadata.labels[pod-security.kubernetes.io/audit-version]: Invalid value: "1.30": must be "latest" or "v1.x"',
    },
    {
      when: "a namespace becomes stricter than its pods",
      operation: "UPDATE",
      resource: "namespaces",
      object: named("default", { labels: { "pod-security.kubernetes.io/enforce": "baseline" } }),
      old: named("default"),
      cluster: {
        pods: [
          pod({ hostNetwork: true }, { name: "b" }),
          pod({ hostNetwork: true }, { name: "a" }),
          pod({ hostNetwork: true, hostPID: true }, { name: "c" }),
          pod({ volumes: [{ name: "v", hostPath: {} }] }, { name: "d" }),
        ],
      },
      warns: [
        'existing pods in namespace "default" violate the new PodSecurity enforce level "baseline:latest"',
        "a (and 2 other pods): host namespaces",
        "d: hostPath volumes",
      ],
    },
    {
      when: "a namespace that is exempt gets a policy",
      resource: "namespaces",
      object: named("default", { labels: { "pod-security.kubernetes.io/enforce": "baseline" } }),
      configuration: { exemptions: { namespaces: ["default"] } },
      warns: [
        'namespace "default" is exempt from Pod Security, and the policy (enforce=baseline:latest) will be ignored',
      ],
    },
    {
      when: "its defaults are wrong",
      object: pod(),
      configuration: { defaults: { warn: "strict" }, exemptions: { usernames: ["", "a", "a"] } },
      says: 'couldn\'t init admission plugin "PodSecurity": PodSecurity invalid: [defaults.warn: Invalid value: "strict": must be one of privileged, baseline, restricted, exemptions.usernames[0]: Invalid value: "": username must not be empty, exemptions.usernames[2]: Duplicate value: "a"]',
    },
  ],
  OwnerReferencesPermissionEnforcement: [
    {
      when: "something gets an owner, and may not be deleted by who gives it",
      operation: "UPDATE",
      resource: "configmaps",
      object: named("m", { ownerReferences: [{ ...OWNER, kind: "Pod" }] }),
      old: named("m"),
      rights: [],
      says: "cannot set an ownerRef on a resource you can't delete: , <nil>",
    },
    {
      when: "something holds up an owner whose finalizers are another's",
      resource: "configmaps",
      object: named("m", { ownerReferences: [{ ...OWNER, kind: "Pod", blockOwnerDeletion: true }] }),
      rights: [],
      says: "cannot set blockOwnerDeletion if an ownerReference refers to a resource you can't set finalizers on: , <nil>",
    },
    {
      when: "something holds up an owner whose finalizers are one's own",
      resource: "configmaps",
      object: named("m", { ownerReferences: [{ ...OWNER, kind: "Pod", blockOwnerDeletion: true }] }),
      rights: ["update pods/finalizers n1"],
    },
  ],
  DenyServiceExternalIPs: [
    {
      when: "a service gets an external address",
      resource: "services",
      object: { ...named("s"), spec: { externalIPs: ["1.2.3.4"] } },
      says: "Use of external IPs is denied by admission control",
    },
    {
      when: "a service keeps what it has",
      operation: "UPDATE",
      resource: "services",
      object: { ...named("s"), spec: { externalIPs: ["1.2.3.4"] } },
      old: { ...named("s"), spec: { externalIPs: ["1.2.3.4", "1.2.3.5"] } },
    },
  ],
};
