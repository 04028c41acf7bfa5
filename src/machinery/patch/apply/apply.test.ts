import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { schemaOf } from "../../../api/schemas.ts";
import { deepFreeze } from "../../../base/mutable.ts";
import type { KubeObject } from "../../meta/object.ts";
import type { Schema } from "../../schema/schema.ts";
import { StatusError } from "../../status.ts";
import { apply } from "./apply.ts";
import { fieldSet, type FieldSet } from "./field-set.ts";
import { checkTyped, compare, mergeTyped } from "./typed.ts";
import { updateManagedFields } from "./update.ts";

type Any = KubeObject & { readonly [key: string]: any };
const DEPLOYMENT = schemaOf("io.k8s.api.apps.v1.Deployment");
const CONFIG_MAP = schemaOf("io.k8s.api.core.v1.ConfigMap");
const T0 = "2030-01-01T00:00:00Z";
const T1 = "2030-01-01T00:00:10Z";

/** A small API server: applies and updates config maps (or what the schema says) one after the other. */
class Store {
  live: Any | undefined;
  readonly schema: Schema;
  readonly apiVersion: string;
  readonly kind: string;
  constructor(schema: Schema, apiVersion: string, kind: string) {
    Object.assign(this, { schema, apiVersion, kind });
    this.schema = schema;
    this.apiVersion = apiVersion;
    this.kind = kind;
  }
  apply(manager: string, fields: object, { force = false, time = T0, subresource = "" } = {}): Any {
    const { apiVersion, kind, schema } = this;
    const { metadata, ...rest } = fields as { metadata?: object };
    const live = this.live ?? ({ apiVersion, kind, metadata: { name: "x", namespace: "default" } } as unknown as Any);
    const config = { apiVersion, kind, metadata: { name: "x", ...metadata }, ...rest };
    return (this.live = this.#store(apply(live, config, { manager, force, time, apiVersion, schema, subresource })));
  }
  update(manager: string, change: (object: any) => void, { time = T0, subresource = "" } = {}): Any {
    const { apiVersion, kind, schema } = this;
    const draft = structuredClone(
      this.live ?? ({ apiVersion, kind, metadata: { name: "x", namespace: "default" } } as unknown as Any),
    );
    change(draft);
    return (this.live = this.#store(
      updateManagedFields(this.live, draft, { manager, time, apiVersion, schema, subresource }),
    ));
  }
  #store(object: Any): Any {
    return deepFreeze({ ...object, metadata: { ...object.metadata, uid: "u" } });
  }
  owned(manager: string): FieldSet | undefined {
    return this.live?.metadata.managedFields?.find((entry) => entry.manager === manager)?.fieldsV1 as
      | FieldSet
      | undefined;
  }
}
const configMaps = () => new Store(CONFIG_MAP, "v1", "ConfigMap");
const deployments = () => new Store(DEPLOYMENT, "apps/v1", "Deployment");

const WEB = {
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name: "web", namespace: "default", uid: "u", labels: { app: "web" }, generation: 1 },
  spec: {
    progressDeadlineSeconds: 600,
    replicas: 1,
    revisionHistoryLimit: 10,
    selector: { matchLabels: { app: "web" } },
    strategy: { rollingUpdate: { maxSurge: "25%", maxUnavailable: "25%" }, type: "RollingUpdate" },
    template: {
      metadata: { labels: { app: "web" } },
      spec: {
        containers: [{ image: "nginx", imagePullPolicy: "Always", name: "nginx", resources: {} }],
        dnsPolicy: "ClusterFirst",
        securityContext: {},
      },
    },
  },
  status: {},
} as unknown as Any;

test("the creator owns what Go's zero object doesn't have", () => {
  const created = updateManagedFields(undefined, deepFreeze(structuredClone(WEB)), {
    manager: "kubectl-create",
    time: T0,
    apiVersion: "apps/v1",
    schema: DEPLOYMENT,
  });
  assert.equal(
    JSON.stringify(created.metadata.managedFields),
    `[{"manager":"kubectl-create","operation":"Update","apiVersion":"apps/v1","time":"${T0}","fieldsType":"FieldsV1","fieldsV1":` +
      '{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:progressDeadlineSeconds":{},"f:replicas":{},"f:revisionHistoryLimit":{},' +
      '"f:selector":{},"f:strategy":{"f:rollingUpdate":{".":{},"f:maxSurge":{},"f:maxUnavailable":{}},"f:type":{}},' +
      '"f:template":{"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:containers":{"k:{\\"name\\":\\"nginx\\"}":' +
      '{".":{},"f:image":{},"f:imagePullPolicy":{},"f:name":{},"f:resources":{}}},"f:dnsPolicy":{},"f:securityContext":{}}}}}}]',
  );
});

test("a manager gives up what another one agrees to, and the last one out deletes it", () => {
  const store = configMaps();
  store.apply("A", { data: { k: "1" } });
  store.apply("B", { data: { k: "1" } });
  store.apply("A", {});
  assert.deepEqual(store.live!["data"], { k: "1" });
  assert.equal(store.owned("A"), undefined);
  store.apply("B", {});
  assert.equal(store.live!["data"]?.k, undefined);
});

test("a map loses what its manager no longer applies, unless a controller has written it since", () => {
  const store = configMaps();
  store.apply("A", { data: { a: "1", b: "2" } });
  store.apply("A", { data: { a: "1" } });
  assert.deepEqual(store.live!["data"], { a: "1" });
  store.apply("A", { data: { a: "1", b: "2" } });
  store.update("controller", (object) => (object.data.b = "3"));
  store.apply("A", { data: { a: "1" } });
  assert.deepEqual(store.live!["data"], { a: "1", b: "3" });
});

test("a map whose last owner gives it up goes, with what nobody owns in it; with another owner in it that survives", () => {
  const store = configMaps();
  store.apply("A", { metadata: { labels: { a: "1" } } });
  const { metadata } = store.live!;
  store.live = deepFreeze({ ...store.live!, metadata: { ...metadata, labels: { a: "1", b: "2" } } });
  store.apply("A", { data: { k: "1" } });
  assert.equal(store.live!.metadata.labels, undefined);
  store.apply("B", { data: { l: "1" } });
  store.apply("A", {});
  assert.deepEqual(store.live!["data"], { l: "1" });
  store.apply("B", {});
  assert.equal("data" in store.live!, false);
});

test("a set keeps what others put into it", () => {
  const store = configMaps();
  store.apply("A", { metadata: { finalizers: ["x"] } });
  store.apply("B", { metadata: { finalizers: ["y"] } });
  assert.deepEqual(store.live!.metadata.finalizers, ["x", "y"]);
  store.apply("A", { metadata: { finalizers: [] } });
  assert.deepEqual(store.live!.metadata.finalizers, ["y"]);
});

test("a conflict names the manager and the path", () => {
  const store = deployments();
  store.live = deepFreeze(
    updateManagedFields(undefined, structuredClone(WEB), {
      manager: "kubectl-client-side-apply",
      time: T0,
      apiVersion: "apps/v1",
      schema: DEPLOYMENT,
    }),
  );
  assert.throws(
    () => store.apply("A", { spec: { replicas: 3 } }),
    (error) => {
      assert.ok(error instanceof StatusError);
      assert.equal(error.code, 409);
      assert.equal(
        error.message,
        'Apply failed with 1 conflict: conflict with "kubectl-client-side-apply" using apps/v1: .spec.replicas',
      );
      assert.deepEqual(error.details, {
        causes: [
          {
            reason: "FieldManagerConflict",
            message: 'conflict with "kubectl-client-side-apply" using apps/v1',
            field: ".spec.replicas",
          },
        ],
      });
      return true;
    },
  );
  assert.throws(
    () =>
      store.apply("A", {
        spec: { replicas: 3, template: { spec: { containers: [{ name: "nginx", image: "other" }] } } },
      }),
    {
      message:
        'Apply failed with 2 conflicts: conflicts with "kubectl-client-side-apply" using apps/v1:\n- .spec.replicas\n- .spec.template.spec.containers[name="nginx"].image',
    },
  );
  store.apply("A", { spec: { replicas: 3 } }, { force: true });
  assert.equal(store.live!["spec"].replicas, 3);
  assert.deepEqual(store.owned("A"), fieldSet("spec.replicas"));
  assert.equal((store.owned("kubectl-client-side-apply") as any)["f:spec"]["f:replicas"], undefined);
});

test("a subresource's writer is named with it", () => {
  const store = deployments();
  store.apply("A", { spec: { replicas: 1 } });
  store.update("kube-controller-manager", (object) => (object.spec.replicas = 5), { subresource: "scale" });
  assert.throws(() => store.apply("A", { spec: { replicas: 3 } }), {
    message:
      'Apply failed with 1 conflict: conflict with "kube-controller-manager" with subresource "scale" using apps/v1: .spec.replicas',
  });
  assert.equal(store.apply("A", {})["spec"].replicas, 5);
});

test("applying the same again changes nothing, not even the time", () => {
  const store = configMaps();
  const first = store.apply("A", { data: { a: "1" } });
  const again = apply(
    first,
    { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" }, data: { a: "1" } },
    {
      manager: "A",
      force: false,
      time: T1,
      apiVersion: "v1",
      schema: CONFIG_MAP,
    },
  );
  assert.equal(again, first);
});

test("a no-op apply by a new manager adds an entry without a time", () => {
  const store = configMaps();
  store.apply("A", { data: { a: "1" } });
  store.apply("B", { data: { a: "1" } }, { time: T1 });
  assert.equal(store.live!.metadata.managedFields!.find((entry) => entry.manager === "B")!.time, undefined);
});

test("an update that changes nothing touches neither entries nor time", () => {
  const store = configMaps();
  const first = store.update("A", (object) => (object.data = { a: "1" }));
  const second = store.update("A", () => {}, { time: T1 });
  assert.equal(second.metadata.managedFields, first.metadata.managedFields);
});

test("an update takes what it changes from everybody and drops what it removes", () => {
  const store = configMaps();
  store.apply("A", { data: { a: "1", b: "2", c: "3" } });
  store.update("editor", (object) => {
    object.data.a = "9";
    delete object.data.b;
  });
  assert.deepEqual(store.owned("A"), fieldSet("data.c"));
  assert.deepEqual(store.owned("editor"), fieldSet("data.a"));
});

test("a reset list forgets ownership until the next apply, which blames before-first-apply", () => {
  const store = configMaps();
  store.update("A", (object) => (object.data = { a: "1" }));
  store.update("A", (object) => (object.metadata.managedFields = [{}]));
  assert.equal(store.live!.metadata.managedFields, undefined);
  store.update("A", (object) => (object.data.a = "2"));
  assert.equal(store.live!.metadata.managedFields, undefined);
  assert.throws(() => store.apply("B", { data: { a: "3" } }), {
    message: 'Apply failed with 1 conflict: conflict with "before-first-apply" using v1: .data.a',
  });
});

test("the oldest of more than ten updaters end in one bucket a version", () => {
  const store = configMaps();
  for (let i = 0; i < 12; i++) {
    store.update(`m${i}`, (object) => (object.data = { ...object.data, [`k${i}`]: "1" }), {
      time: `2030-01-01T00:00:${10 + i}Z`,
    });
  }
  const managers = store.live!.metadata.managedFields!.map((entry) => entry.manager);
  assert.equal(managers.length, 10);
  assert.equal(managers[0], "ancient-changes");
  assert.deepEqual(Object.keys(store.owned("ancient-changes")!["f:data"]!), [".", "f:k0", "f:k1", "f:k2"]);
});

test("entries are sorted: Apply before Update, then by time, then by manager", () => {
  const store = configMaps();
  store.update("z", (object) => (object.data = { z: "1" }));
  store.update("b", (object) => (object.data.b = "1"), { time: T1 });
  store.apply("m", { data: { m: "1" } }, { time: T1 });
  store.update("a", (object) => (object.data.a = "1"), { time: T1 });
  assert.deepEqual(
    store.live!.metadata.managedFields!.map((entry) => entry.manager),
    ["m", "z", "a", "b"],
  );
});

test("applying nothing but a name leaves no entry", () => {
  const store = configMaps();
  assert.equal(store.apply("A", {}).metadata.managedFields, undefined);
});

test("items of a keyed list take the default of a key that is left out", () => {
  const store = deployments();
  store.apply("A", { spec: { template: { spec: { containers: [{ name: "c", ports: [{ containerPort: 80 }] }] } } } });
  const ports = (store.owned("A") as any)["f:spec"]["f:template"]["f:spec"]["f:containers"]['k:{"name":"c"}'][
    "f:ports"
  ];
  assert.deepEqual(ports, { 'k:{"containerPort":80,"protocol":"TCP"}': { ".": {}, "f:containerPort": {} } });
});

test("a null in the configuration is mentioned and deletes the value", () => {
  const store = deployments();
  store.apply("A", { spec: { replicas: 3, minReadySeconds: 1 } });
  store.apply("A", { spec: { replicas: null, minReadySeconds: 1 } });
  assert.equal("replicas" in store.live!["spec"], false);
  assert.deepEqual(store.owned("A"), fieldSet("spec.replicas", "spec.minReadySeconds"));
});

test("what upstream refuses is refused in its words", () => {
  const config = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" } };
  const live = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" } } as unknown as Any;
  const options = {
    manager: "A",
    force: false,
    time: T0,
    apiVersion: "v1",
    schema: CONFIG_MAP,
  };
  const cases: [object, number, string][] = [
    [{ ...config, kind: "Secret" }, 400, "invalid object type: /v1, Kind=Secret"],
    [{ ...config, metadata: { managedFields: [] } }, 400, "metadata.managedFields must be nil"],
    [
      { ...config, spec: {} },
      500,
      "failed to create typed patch object (/x; /v1, Kind=ConfigMap): .spec: field not declared in schema",
    ],
    [
      { ...config, metadata: { name: "x", finalizers: ["a", "a"] } },
      500,
      'failed to create typed patch object (/x; /v1, Kind=ConfigMap): .metadata.finalizers: duplicate entries for key [="a"]',
    ],
  ];
  for (const [applied, code, message] of cases) {
    assert.throws(() => apply(live, applied, options), { code, message });
  }
  assert.deepEqual(checkTyped({ data: [] }, CONFIG_MAP), [".data: expected map, got &{[]}"]);
});

test("kubectl's first apply doesn't conflict with what its own client-side apply wrote", () => {
  const store = configMaps();
  const last = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x", annotations: {} }, data: { a: "1" } };
  store.update("kubectl-client-side-apply", (object) => {
    object.metadata.annotations = { "kubectl.kubernetes.io/last-applied-configuration": JSON.stringify(last) };
    object.data = { a: "1" };
  });
  store.update("other", (object) => (object.data.b = "1"));
  assert.throws(() => store.apply("kubectl", { data: { a: "2", b: "2" } }), {
    message: 'Apply failed with 1 conflict: conflict with "other" using v1: .data.b',
  });
  const applied = store.apply("kubectl", { data: { a: "2" } });
  assert.equal(applied["data"].a, "2");
  assert.match(applied.metadata.annotations!["kubectl.kubernetes.io/last-applied-configuration"]!, /"a":"2"/);
});

test("live-only items keep their place relative to the items around them", () => {
  const finalizers = (...list: string[]) => ({ metadata: { finalizers: list } });
  const merged = mergeTyped(finalizers("a", "b", "c", "d"), finalizers("d", "x", "b"), CONFIG_MAP) as any;
  assert.deepEqual(merged.metadata.finalizers, ["a", "c", "d", "x", "b"]);
});

test("an atomic list conflicts as a whole", () => {
  const store = deployments();
  const command = (value: string) => ({
    spec: { template: { spec: { containers: [{ name: "c", command: [value] }] } } },
  });
  store.apply("A", command("a"));
  assert.throws(() => store.apply("B", command("b")), {
    message: 'Apply failed with 1 conflict: conflict with "A": .spec.template.spec.containers[name="c"].command',
  });
});

test("a custom resource owns its spec, as its zero object has none", () => {
  const schema: Schema = {
    type: "object",
    properties: new Map<string, Schema>([
      ["apiVersion", { type: "string" }],
      ["kind", { type: "string" }],
      ["metadata", { type: "object" }],
      ["spec", { type: "object", properties: new Map([["size", { type: "integer" } as Schema]]) }],
    ]),
  };
  const object = { apiVersion: "e.com/v1", kind: "Foo", metadata: { name: "x" }, spec: { size: 1 } } as unknown as Any;
  const created = updateManagedFields(undefined, object, { manager: "m", time: T0, apiVersion: "e.com/v1", schema });
  assert.deepEqual(created.metadata.managedFields![0]!.fieldsV1, { "f:spec": { ".": {}, "f:size": {} } });
});

test("comparing shared subtrees costs nothing and finds nothing", () => {
  const spec = {};
  Object.defineProperty(spec, "replicas", { get: () => assert.fail("looked at"), enumerable: true });
  assert.deepEqual(compare({ spec }, { spec, kind: "x" }, DEPLOYMENT), { changed: fieldSet("kind"), removed: {} });
});

test("merging what is there already gives the same object back", () => {
  const data = fc.dictionary(fc.constantFrom("a", "b", "c"), fc.constantFrom("1", "2"), { noNullPrototype: true });
  fc.assert(
    fc.property(data, data, (live, applied) => {
      const merged = mergeTyped({ data: live }, { data: applied }, CONFIG_MAP) as any;
      if (Object.keys(live).length > 0) assert.deepEqual(merged.data, { ...live, ...applied });
      assert.equal(mergeTyped(merged, { data: applied }, CONFIG_MAP), merged);
    }),
  );
});

test("a field that moved between versions is followed: owned, fought over and taken out", () => {
  const field = (name: string): Schema => ({
    type: "object",
    properties: new Map<string, Schema>([
      ["apiVersion", { type: "string" }],
      ["kind", { type: "string" }],
      ["metadata", { type: "object" }],
      [
        "spec",
        {
          type: "object",
          properties: new Map<string, Schema>([
            [name, { type: "integer" }],
            ["other", { type: "string" }],
          ]),
        },
      ],
    ]),
  });
  const rename = (from: string, to: string, apiVersion: string) => (object: any) => {
    const { [from]: value, ...spec } = object.spec ?? {};
    return {
      ...object,
      apiVersion,
      ...(object.spec && { spec: { ...spec, ...(value !== undefined && { [to]: value }) } }),
    };
  };
  const [v1, v2] = [field("size"), field("replicas")];
  const at2 = {
    apiVersion: "e.com/v2",
    schema: v2,
    version: (apiVersion: string) =>
      apiVersion === "e.com/v1"
        ? {
            schema: v1,
            convert: rename("replicas", "size", "e.com/v1"),
            revert: rename("size", "replicas", "e.com/v2"),
          }
        : undefined,
  };
  const base = { apiVersion: "e.com/v1", kind: "Foo", metadata: { name: "x" } } as unknown as Any;
  const apply1 = (manager: string, live: Any, spec: object) =>
    apply(live, { ...base, spec }, { manager, force: false, time: T0, apiVersion: "e.com/v1", schema: v1 });
  const apply2 = (manager: string, live: Any, spec: object) =>
    apply(live, { ...base, apiVersion: "e.com/v2", spec }, { ...at2, manager, force: false, time: T0 });
  const live = rename("size", "replicas", "e.com/v2")(apply1("A", base, { size: 1, other: "a" }));
  assert.throws(() => apply2("B", live, { replicas: 2 }), {
    message: 'Apply failed with 1 conflict: conflict with "A": .spec.size',
  });
  assert.deepEqual(apply2("A", live, { other: "a" })["spec"], { other: "a" });
  const shared = apply2("B", live, { replicas: 1 });
  assert.deepEqual(apply2("A", shared, { other: "a" })["spec"], { replicas: 1, other: "a" });
});

test("an empty list is a value: who applies it over another's items is in conflict, and by force it is left out", () => {
  const store = configMaps();
  store.apply("A", { metadata: { finalizers: ["x"] } });
  const deployment = deployments();
  deployment.apply("A", { spec: { ...WEB.spec, template: withArgs(["1"]) } });
  assert.throws(() => deployment.apply("B", { spec: { template: withArgs([]) } }), {
    message: 'Apply failed with 1 conflict: conflict with "A": .spec.template.spec.containers[name="web"].args',
  });
});

function withArgs(args: readonly string[]) {
  return { spec: { containers: [{ name: "web", args }] } };
}
