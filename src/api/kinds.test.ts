/** Each kind as its clients meet it: what a short object becomes, what a broken one is told, what a row shows. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { HookContext, Resource } from "../machinery/resource.ts";
import { builtinResources } from "./index.ts";

const NOW = "2026-01-01T00:00:00Z";
const context: HookContext = {
  now: NOW,
  user: { name: "jane", groups: ["system:authenticated"] },
  featureGates: new Map(),
  uuid: () => "00000000-0000-4000-8000-000000000000",
};

function resourceOf(kind: string): Resource {
  return builtinResources.find((resource) => resource.kind === kind)!;
}

/** What the API server does to a new object, without the parts that are not the kind's. */
function create(kind: string, body: object): { readonly object: any; readonly errors: readonly string[] } {
  const resource = resourceOf(kind);
  const object: any = structuredClone(body);
  object.metadata = {
    name: "x",
    uid: "u1",
    creationTimestamp: NOW,
    ...(resource.scope === "Namespaced" && { namespace: "default" }),
    ...object.metadata,
  };
  const { behaviour } = resource;
  behaviour.defaults?.(object);
  behaviour.prepareForCreate?.(object, context);
  const errors = behaviour.validate!(object, context).map(({ field, message }) => `${field}: ${message}`);
  behaviour.canonicalize?.(object);
  return { object, errors };
}

function update(
  kind: string,
  old: any,
  change: (draft: any) => void,
): { readonly object: any; readonly errors: readonly string[] } {
  const { behaviour } = resourceOf(kind);
  const before = { ...old, metadata: { ...old.metadata, resourceVersion: "1" } };
  const object = structuredClone(before);
  change(object);
  behaviour.defaults?.(object);
  behaviour.prepareForUpdate?.(object, before, context);
  const errors = behaviour.validateUpdate!(object, before, context).map(({ field, message }) => `${field}: ${message}`);
  return { object, errors };
}

const container = { name: "c", image: "nginx:1.27" };
const template = { metadata: { labels: { app: "a" } }, spec: { containers: [container] } };
const selector = { matchLabels: { app: "a" } };

const DEFAULTED_CONTAINER = {
  ...container,
  imagePullPolicy: "IfNotPresent",
  resources: {},
  terminationMessagePath: "/dev/termination-log",
  terminationMessagePolicy: "File",
};
const DEFAULTED_POD_SPEC = {
  containers: [DEFAULTED_CONTAINER],
  dnsPolicy: "ClusterFirst",
  restartPolicy: "Always",
  schedulerName: "default-scheduler",
  securityContext: {},
  terminationGracePeriodSeconds: 30,
};

test("a short object comes back as upstream shows it", () => {
  const cases: readonly (readonly [kind: string, body: object, spec: object, status: object | undefined])[] = [
    [
      "Pod",
      { spec: { containers: [container] } },
      { ...DEFAULTED_POD_SPEC, enableServiceLinks: true },
      { phase: "Pending", qosClass: "BestEffort" },
    ],
    [
      "Deployment",
      { spec: { selector, template } },
      {
        progressDeadlineSeconds: 600,
        replicas: 1,
        revisionHistoryLimit: 10,
        selector,
        strategy: { rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" }, type: "RollingUpdate" },
        template: { ...template, spec: DEFAULTED_POD_SPEC },
      },
      {},
    ],
    [
      "StatefulSet",
      { spec: { selector, template, serviceName: "s" } },
      {
        persistentVolumeClaimRetentionPolicy: { whenDeleted: "Retain", whenScaled: "Retain" },
        podManagementPolicy: "OrderedReady",
        replicas: 1,
        revisionHistoryLimit: 10,
        selector,
        serviceName: "s",
        template: { ...template, spec: DEFAULTED_POD_SPEC },
        updateStrategy: { rollingUpdate: { partition: 0 }, type: "RollingUpdate" },
      },
      { availableReplicas: 0, replicas: 0 },
    ],
    [
      "DaemonSet",
      { spec: { selector, template } },
      {
        revisionHistoryLimit: 10,
        selector,
        template: { ...template, spec: DEFAULTED_POD_SPEC },
        updateStrategy: { rollingUpdate: { maxSurge: 0, maxUnavailable: 1 }, type: "RollingUpdate" },
      },
      { currentNumberScheduled: 0, desiredNumberScheduled: 0, numberMisscheduled: 0, numberReady: 0 },
    ],
    [
      "CronJob",
      {
        spec: {
          schedule: "*/5 * * * *",
          jobTemplate: { spec: { template: { spec: { ...template.spec, restartPolicy: "OnFailure" } } } },
        },
      },
      {
        concurrencyPolicy: "Allow",
        failedJobsHistoryLimit: 1,
        jobTemplate: { spec: { template: { spec: { ...DEFAULTED_POD_SPEC, restartPolicy: "OnFailure" } } } },
        schedule: "*/5 * * * *",
        successfulJobsHistoryLimit: 3,
        suspend: false,
      },
      {},
    ],
    [
      "Service",
      { spec: { ports: [{ port: 80 }] } },
      {
        internalTrafficPolicy: "Cluster",
        ports: [{ port: 80, protocol: "TCP", targetPort: 80 }],
        sessionAffinity: "None",
        type: "ClusterIP",
      },
      { loadBalancer: {} },
    ],
    [
      "PersistentVolumeClaim",
      { spec: { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1024Mi" } } } },
      { accessModes: ["ReadWriteOnce"], resources: { requests: { storage: "1Gi" } }, volumeMode: "Filesystem" },
      { phase: "Pending" },
    ],
    ["Namespace", { spec: {} }, { finalizers: ["kubernetes"] }, { phase: "Active" }],
    ["NetworkPolicy", { spec: { podSelector: {} } }, { podSelector: {}, policyTypes: ["Ingress"] }, undefined],
  ];
  for (const [kind, body, spec, status] of cases) {
    const { object, errors } = create(kind, body);
    assert.deepEqual(errors, [], kind);
    assert.deepEqual(object.spec, spec, kind);
    assert.deepEqual(object.status, status, kind);
  }
});

test("defaults that depend on the rest of a pod", () => {
  const containerOf = (extra: object, spec: object = {}) =>
    create("Pod", { spec: { containers: [{ ...container, ...extra }], ...spec } }).object.spec.containers[0];
  assert.equal(containerOf({ image: "nginx" }).imagePullPolicy, "Always");
  assert.equal(containerOf({ image: "nginx:latest" }).imagePullPolicy, "Always");
  assert.equal(containerOf({ image: "host:5000/nginx" }).imagePullPolicy, "Always");
  assert.equal(containerOf({ image: `nginx@sha256:${"a".repeat(64)}` }).imagePullPolicy, "IfNotPresent");
  assert.deepEqual(
    containerOf({ resources: { limits: { cpu: "1.5", memory: "1Gi" }, requests: { cpu: "1" } } }).resources,
    {
      limits: { cpu: "1500m", memory: "1Gi" },
      requests: { cpu: "1", memory: "1Gi" },
    },
  );
  assert.deepEqual(containerOf({ ports: [{ containerPort: 80 }] }, { hostNetwork: true }).ports, [
    { containerPort: 80, hostPort: 80, protocol: "TCP" },
  ]);
  assert.deepEqual(containerOf({ livenessProbe: { httpGet: { port: 80 } } }).livenessProbe, {
    failureThreshold: 3,
    httpGet: { path: "/", port: 80, scheme: "HTTP" },
    periodSeconds: 10,
    successThreshold: 1,
    timeoutSeconds: 1,
  });
});

test("the quality of service follows from requests and limits", () => {
  const qos = (resources: object) =>
    create("Pod", { spec: { containers: [{ ...container, resources }] } }).object.status.qosClass;
  assert.equal(qos({}), "BestEffort");
  assert.equal(qos({ requests: { cpu: "1" } }), "Burstable");
  assert.equal(qos({ limits: { cpu: "1", memory: "1Gi" } }), "Guaranteed");
  assert.equal(qos({ limits: { cpu: "1", memory: "1Gi" }, requests: { cpu: "500m" } }), "Burstable");
  assert.equal(qos({ requests: { "ephemeral-storage": "1Gi" } }), "BestEffort");
});

test("a broken object is told why in upstream's words", () => {
  const label =
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
  const cases: readonly (readonly [kind: string, body: object, errors: readonly string[]])[] = [
    ["Pod", { spec: { containers: [] } }, ["spec.containers: Required value"]],
    [
      "Pod",
      { spec: { containers: [{ name: "C", image: "a:1" }] } },
      [`spec.containers[0].name: Invalid value: "C": ${label}`],
    ],
    [
      "Pod",
      { spec: { containers: [{ ...container, volumeMounts: [{ name: "v", mountPath: "/v" }] }] } },
      ['spec.containers[0].volumeMounts[0].name: Not found: "v"'],
    ],
    [
      "Pod",
      { spec: { containers: [{ ...container, resources: { limits: { cpu: "1" }, requests: { cpu: "2" } } }] } },
      ['spec.containers[0].resources.requests: Invalid value: "2": must be less than or equal to cpu limit of 1'],
    ],
    [
      "Pod",
      { spec: { containers: [container], restartPolicy: "Foo" } },
      ['spec.restartPolicy: Unsupported value: "Foo": supported values: "Always", "OnFailure", "Never"'],
    ],
    [
      "Pod",
      { spec: { containers: [container], tolerations: [{ key: "a", operator: "Exists", value: "b" }] } },
      ["spec.tolerations[0].operator: Invalid value: \"b\": value must be empty when `operator` is 'Exists'"],
    ],
    [
      "Pod",
      { spec: { containers: [{ ...container, livenessProbe: {} }] } },
      ["spec.containers[0].livenessProbe: Required value: must specify a handler type"],
    ],
    [
      "Deployment",
      { spec: { selector: { matchLabels: { app: "b" } }, template } },
      ['spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`'],
    ],
    [
      "Deployment",
      { spec: { template } },
      [
        "spec.selector: Required value",
        'spec.template.metadata.labels: Invalid value: {"app":"a"}: `selector` does not match template `labels`',
      ],
    ],
    [
      "DaemonSet",
      { spec: { selector, template: { ...template, spec: { ...template.spec, restartPolicy: "Never" } } } },
      ['spec.template.spec.restartPolicy: Unsupported value: "Never": supported values: "Always"'],
    ],
    ["Service", { spec: {} }, ["spec.ports: Required value"]],
    [
      "Service",
      { spec: { ports: [{ port: 80 }, { port: 80, name: "b" }] } },
      [
        "spec.ports[0].name: Required value",
        'spec.ports[1]: Duplicate value: {"Name":"","Protocol":"TCP","AppProtocol":null,"Port":80,"TargetPort":0,"NodePort":0}',
      ],
    ],
    [
      "CronJob",
      {
        spec: {
          schedule: "nope",
          jobTemplate: { spec: { template: { spec: { ...template.spec, restartPolicy: "Never" } } } },
        },
      },
      ['spec.schedule: Invalid value: "nope": expected exactly 5 fields, found 1: [nope]'],
    ],
    [
      "ConfigMap",
      { data: { "a b": "" } },
      [
        "data[a b]: Invalid value: \"a b\": a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')",
      ],
    ],
    ["Secret", { type: "kubernetes.io/tls" }, ["data[tls.crt]: Required value", "data[tls.key]: Required value"]],
    [
      "PersistentVolumeClaim",
      { spec: {} },
      [
        "spec.accessModes: Required value: at least 1 access mode is required",
        "spec.resources[storage]: Required value",
      ],
    ],
    ["Ingress", { spec: {} }, ["spec: Invalid value: null: either `defaultBackend` or `rules` must be specified"]],
    [
      "ClusterRole",
      { rules: [{ verbs: [], apiGroups: [""], resources: ["pods"] }] },
      ["rules[0].verbs: Required value: verbs must contain at least one value"],
    ],
    [
      "PriorityClass",
      { metadata: { name: "system-x" }, value: 1 },
      [
        "metadata.name: Forbidden: priority class names with 'system-' prefix are reserved for system use only. error: system-x is not a known system priority class",
      ],
    ],
    ["Namespace", { metadata: { name: "A" } }, [`metadata.name: Invalid value: "A": ${label}`]],
    [
      "ConfigMap",
      { metadata: { labels: { "a/b/c": "d" } } },
      [
        "metadata.labels: Invalid value: \"a/b/c\": a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')",
      ],
    ],
  ];
  for (const [kind, body, expected] of cases) assert.deepEqual(create(kind, body).errors, expected, kind);
});

test("what is allowed and probably not meant is warned about", () => {
  const warn = (kind: string, body: object) =>
    resourceOf(kind).behaviour.warnings!(create(kind, body).object, undefined);
  assert.deepEqual(warn("Pod", { spec: { containers: [container] } }), []);
  assert.deepEqual(
    warn("Pod", {
      spec: {
        containers: [{ ...container, env: [{ name: "A" }, { name: "A" }] }],
        nodeSelector: { "beta.kubernetes.io/os": "linux" },
      },
    }),
    [
      'spec.nodeSelector[beta.kubernetes.io/os]: deprecated since v1.14; use "kubernetes.io/os" instead',
      'spec.containers[0].env[1]: hides previous definition of "A", which may be dropped when using apply',
    ],
  );
  assert.deepEqual(warn("Service", { spec: { ports: [{ port: 80 }], externalName: "a.b" } }), [
    'spec.externalName is ignored when spec.type is not "ExternalName"',
  ]);
});

test("what one object is given is not shared with the next", () => {
  const define = (version: string) =>
    create("CustomResourceDefinition", {
      metadata: { name: "foos.example.com" },
      spec: {
        group: "example.com",
        scope: "Cluster",
        names: { plural: "foos", kind: "Foo" },
        versions: [{ name: version, served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
      },
    });
  assert.deepEqual(define("v1").object.status.storedVersions, ["v1"]);
  assert.deepEqual(define("v2").object.status.storedVersions, ["v2"]);
  assert.deepEqual(define("v2").errors, []);
});

test("a change of the spec raises the generation, a change of the status through the main endpoint is undone", () => {
  const { object } = create("Deployment", { spec: { selector, template } });
  const scaled = update("Deployment", object, (draft) => {
    draft.spec.replicas = 3;
    draft.status = { replicas: 7 };
  });
  assert.deepEqual(scaled.errors, []);
  assert.equal(scaled.object.metadata.generation, 2);
  assert.deepEqual(scaled.object.status, {});
  const annotated = update("Deployment", object, (draft) => (draft.metadata.annotations = { a: "b" }));
  assert.equal(annotated.object.metadata.generation, 2);
  const labelled = update("Deployment", object, (draft) => (draft.metadata.labels = { a: "b" }));
  assert.equal(labelled.object.metadata.generation, 1);
});

test("what may not change is refused", () => {
  const pod = create("Pod", { spec: { containers: [container] } }).object;
  assert.deepEqual(update("Pod", pod, (draft) => (draft.spec.containers[0].image = "nginx:1.28")).errors, []);
  assert.match(
    update("Pod", pod, (draft) => (draft.spec.containers[0].name = "d")).errors[0]!,
    /^spec: Forbidden: pod updates may not change fields other than/,
  );
  assert.deepEqual(update("Pod", pod, (draft) => (draft.spec.containers = [])).errors, [
    "spec.containers: Required value",
    "spec.containers: Forbidden: pod updates may not add or remove containers",
  ]);
  const deployment = create("Deployment", { spec: { selector, template } }).object;
  assert.deepEqual(
    update("Deployment", deployment, (draft) => {
      draft.spec.selector = { matchLabels: { app: "b" } };
      draft.spec.template.metadata.labels = { app: "b" };
    }).errors,
    ['spec.selector: Invalid value: {"matchLabels":{"app":"b"}}: field is immutable'],
  );
  const configMap = create("ConfigMap", { data: { a: "b" }, immutable: true }).object;
  assert.deepEqual(update("ConfigMap", configMap, (draft) => (draft.data.a = "c")).errors, [
    "data: Forbidden: field is immutable when `immutable` is set",
  ]);
  assert.deepEqual(update("ConfigMap", configMap, (draft) => (draft.metadata.uid = "u2")).errors, [
    'metadata.uid: Invalid value: "u2": field is immutable',
    'metadata.uid: Invalid value: "u2": field is immutable',
  ]);
});

test("the status endpoint writes status alone", () => {
  const old = create("Deployment", { metadata: { labels: { a: "b" } }, spec: { selector, template } }).object;
  const draft = structuredClone(old);
  draft.spec.replicas = 9;
  draft.metadata.labels = { c: "d" };
  draft.status = { replicas: 1 };
  resourceOf("Deployment").subresources["status"]!.behaviour!.prepareForUpdate!(draft, old, context);
  assert.equal(draft.spec.replicas, 1);
  assert.deepEqual(draft.metadata.labels, { a: "b" });
  assert.deepEqual(draft.status, { replicas: 1 });
});

test("a row shows what kubectl get shows", () => {
  const now = Date.parse("2026-01-01T01:00:00Z");
  const row = (kind: string, object: object) =>
    resourceOf(kind)
      .columns.map((column) => column.cell(object, now))
      .join(" | ");
  const metadata = { name: "x", namespace: "default", creationTimestamp: NOW, uid: "u", resourceVersion: "1" };
  const containerStatus = (extra: object) => ({
    name: "c",
    image: "",
    imageID: "",
    ready: false,
    restartCount: 0,
    ...extra,
  });
  const pod = (status: object, extra: object = {}) => ({
    metadata: { ...metadata, ...extra },
    spec: { containers: [container] },
    status,
  });
  for (const [kind, object, expected] of [
    ["Pod", pod({ phase: "Pending" }), "x | 0/1 | Pending | 0 | 60m | <none> | <none> | <none> | <none>"],
    [
      "Pod",
      pod({
        phase: "Running",
        podIPs: [{ ip: "10.0.0.1" }],
        containerStatuses: [
          containerStatus({
            ready: true,
            restartCount: 2,
            state: { running: {} },
            lastState: { terminated: { exitCode: 1, finishedAt: "2026-01-01T00:57:00Z" } },
          }),
        ],
      }),
      "x | 1/1 | Running | 2 (3m ago) | 60m | 10.0.0.1 | <none> | <none> | <none>",
    ],
    [
      "Pod",
      pod({
        phase: "Running",
        containerStatuses: [containerStatus({ restartCount: 5, state: { waiting: { reason: "CrashLoopBackOff" } } })],
      }),
      "x | 0/1 | CrashLoopBackOff | 5 | 60m | <none> | <none> | <none> | <none>",
    ],
    [
      "Pod",
      {
        ...pod({
          phase: "Pending",
          initContainerStatuses: [
            { ...containerStatus({ state: { terminated: { exitCode: 1, reason: "Error" } } }), name: "i" },
          ],
        }),
        spec: { containers: [container], initContainers: [{ name: "i", image: "i" }] },
      },
      "x | 0/1 | Init:Error | 0 | 60m | <none> | <none> | <none> | <none>",
    ],
    [
      "Pod",
      pod({ phase: "Running" }, { deletionTimestamp: NOW }),
      "x | 0/1 | Terminating | 0 | 60m | <none> | <none> | <none> | <none>",
    ],
    [
      "Node",
      {
        metadata: {
          ...metadata,
          labels: { "node-role.kubernetes.io/control-plane": "", "kubernetes.io/role": "edge" },
        },
        spec: { unschedulable: true },
        status: {
          conditions: [{ type: "Ready", status: "True" }],
          addresses: [{ type: "InternalIP", address: "10.0.0.2" }],
          nodeInfo: {
            kubeletVersion: "v1.36.2",
            osImage: "Debian",
            kernelVersion: "6.1",
            architecture: "amd64",
            containerRuntimeVersion: "containerd://2",
          },
        },
      },
      "x | Ready,SchedulingDisabled | control-plane,edge | 60m | v1.36.2 | 10.0.0.2 | <none> | Debian | 6.1 (amd64) | containerd://2",
    ],
    [
      "Deployment",
      {
        metadata,
        spec: { replicas: 3, selector, template },
        status: { readyReplicas: 2, updatedReplicas: 3, availableReplicas: 2 },
      },
      "x | 2/3 | 3 | 2 | 60m | c | nginx:1.27 | app=a",
    ],
    [
      "Service",
      {
        metadata,
        spec: {
          type: "LoadBalancer",
          clusterIPs: ["10.96.0.1"],
          ports: [{ port: 80, nodePort: 30080, protocol: "TCP" }],
          selector: { app: "a" },
        },
        status: {},
      },
      "x | LoadBalancer | 10.96.0.1 | <pending> | 80:30080/TCP | 60m | app=a",
    ],
    [
      "Job",
      {
        metadata,
        spec: { completions: 1, selector, template },
        status: {
          succeeded: 1,
          startTime: NOW,
          completionTime: "2026-01-01T00:00:09Z",
          conditions: [{ type: "Complete", status: "True" }],
        },
      },
      "x | Complete | 1/1 | 9s | 60m | c | nginx:1.27 | app=a",
    ],
    [
      "CronJob",
      { metadata, spec: { schedule: "* * * * *", suspend: false, jobTemplate: { spec: { template } } }, status: {} },
      "x | * * * * * | <none> | False | 0 | <none> | 60m | c | nginx:1.27 | <none>",
    ],
    [
      "Ingress",
      {
        metadata,
        spec: { ingressClassName: "n", rules: [{ host: "a" }, { host: "b" }, { host: "c" }, { host: "d" }] },
      },
      "x | n | a,b,c + 1 more... |  | 80 | 60m",
    ],
    [
      "Endpoints",
      { metadata, subsets: [{ addresses: [{ ip: "10.0.0.1" }, { ip: "fd00::1" }], ports: [{ port: 80 }] }] },
      "x | 10.0.0.1:80,[fd00::1]:80 | 60m",
    ],
    [
      "StorageClass",
      {
        metadata: { ...metadata, annotations: { "storageclass.kubernetes.io/is-default-class": "true" } },
        provisioner: "p",
        reclaimPolicy: "Delete",
      },
      "x (default) | p | Delete | Immediate | false | 60m",
    ],
    [
      "Event",
      {
        metadata,
        involvedObject: { kind: "Pod", name: "p" },
        reason: "Killing",
        type: "Normal",
        message: " m ",
        count: 3,
        firstTimestamp: NOW,
        lastTimestamp: "2026-01-01T00:59:00Z",
        source: { component: "kubelet", host: "n" },
      },
      "60s | Normal | Killing | pod/p |  | kubelet, n | m | 60m | 3 | x",
    ],
    [
      "ResourceQuota",
      { metadata, status: { hard: { pods: "10", "limits.cpu": "2" }, used: { pods: "3" } } },
      "x | pods: 3/10 | limits.cpu: 0/2 | 60m",
    ],
    ["LimitRange", { metadata }, `x | ${NOW}`],
  ] as const)
    assert.equal(row(kind, object), expected, kind);
});

test("an autoscaler and an event read the same through either version", () => {
  const [v2, v1] = builtinResources.filter(({ kind }) => kind === "HorizontalPodAutoscaler");
  const metric = (name: string, averageUtilization: number) => ({
    type: "Resource",
    resource: { name, target: { type: "Utilization", averageUtilization } },
  });
  const stored = {
    apiVersion: "autoscaling/v2",
    kind: "HorizontalPodAutoscaler",
    metadata: { name: "x", annotations: { keep: "me" } },
    spec: {
      scaleTargetRef: { kind: "Deployment", name: "d", apiVersion: "apps/v1" },
      minReplicas: 1,
      maxReplicas: 3,
      metrics: [metric("memory", 50), metric("cpu", 70)],
      behavior: { scaleDown: { selectPolicy: "Min" } },
    },
    status: { currentMetrics: [], desiredReplicas: 1 },
  };
  const seen = v1!.storage.fromStored!(stored);
  assert.equal(seen.apiVersion, "autoscaling/v1");
  assert.equal(seen.spec.targetCPUUtilizationPercentage, 70);
  assert.equal(
    seen.metadata.annotations["autoscaling.alpha.kubernetes.io/metrics"],
    '[{"type":"Resource","resource":{"name":"memory","targetAverageUtilization":50}}]',
  );
  assert.deepEqual(v1!.storage.toStored!(seen), stored);
  assert.equal(v2!.storage.toStored, undefined);

  const newEvents = builtinResources.find(({ group, kind }) => group === "events.k8s.io" && kind === "Event")!;
  const event = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name: "e" },
    involvedObject: { name: "p" },
    message: "m",
    count: 2,
    // Which are there even when they say nothing.
    source: {},
    reportingComponent: "",
    reportingInstance: "",
  };
  const view = newEvents.storage.fromStored!(event);
  assert.deepEqual(view, {
    apiVersion: "events.k8s.io/v1",
    kind: "Event",
    metadata: { name: "e" },
    regarding: { name: "p" },
    note: "m",
    deprecatedSource: {},
    deprecatedCount: 2,
  });
  assert.deepEqual(newEvents.storage.toStored!(view), event);
});
