/** What clients get wrong: each has upstream's reason and words, and nothing whatever is a failure of the server. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import fc from "fast-check";
import { builtinResources } from "../api/index.ts";
import { pathOf } from "../machinery/resource.ts";
import { sampleOf, SAMPLE_NAMESPACE } from "../testing/samples.ts";
import { nodeWorld } from "../world/node/index.ts";
import type { Answer, Asked } from "./testing/ask.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import { startServer } from "./testing/harness.ts";
import { assertReadable } from "./testing/readable.ts";

const harness = await startServer(nodeWorld(), {
  ...ASKABLE,
  resources: builtinResources,
  disableAdmissionPlugins: ["ServiceAccount"],
});
after(() => harness[Symbol.asyncDispose]());

const MAPS = "/api/v1/namespaces/default/configmaps";
const DEPLOYMENTS = "/apis/apps/v1/namespaces/default/deployments";
const JSON_PATCH = "application/json-patch+json";
const MERGE = "application/merge-patch+json";
const STRATEGIC = "application/strategic-merge-patch+json";
const APPLY = "application/apply-patch+yaml";
const YAML = "application/yaml";

const send = (method: string, url: string, body?: unknown, type = "application/json"): Promise<Answer> =>
  ask(harness, method, url, {
    headers: { "content-type": type },
    ...(body !== undefined && {
      body: typeof body === "string" || body instanceof Uint8Array ? body : JSON.stringify(body),
    }),
  });

await send("POST", MAPS, { metadata: { name: "a" }, data: { k: "v" } });
for (const kind of ["Deployment", "Pod", "Service", "Secret"]) {
  const resource = builtinResources.find((one) => one.kind === kind)!;
  await send("POST", pathOf(resource, { namespace: SAMPLE_NAMESPACE }), sampleOf(resource));
}
const SCALERS = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers";
const scaler = (spec: object, name = "s") => ({
  apiVersion: "autoscaling/v2",
  kind: "HorizontalPodAutoscaler",
  metadata: { name },
  spec: { scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "d" }, maxReplicas: 2, ...spec },
});
await send("POST", SCALERS, scaler({}, "there"));
const token = (value: unknown) => Buffer.from(JSON.stringify(value)).toString("base64url");
const map = (more: object = {}) => ({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "b" }, ...more });

/** Method, URL, body, content type; then code, reason (or none) and message. */
type Case = readonly [
  method: string,
  url: string,
  body: unknown,
  type: string | undefined,
  code: number,
  reason: string | undefined,
  message: string | RegExp,
];

const CASES: readonly Case[] = [
  // What is given empty isn't what is left out, by any way of writing.
  [
    "POST",
    SCALERS,
    scaler({ behavior: { scaleUp: { policies: [] } } }),
    undefined,
    422,
    "Invalid",
    'HorizontalPodAutoscaler.autoscaling "s" is invalid: spec.behavior.scaleUp.policies: Required value: must specify at least one Policy',
  ],
  [
    "PATCH",
    `${SCALERS}/there`,
    { spec: { behavior: { scaleDown: { policies: [] } } } },
    MERGE,
    422,
    "Invalid",
    'HorizontalPodAutoscaler.autoscaling "there" is invalid: spec.behavior.scaleDown.policies: Required value: must specify at least one Policy',
  ],
  [
    "PATCH",
    `${SCALERS}/there?fieldManager=m&force=true`,
    scaler({ behavior: { scaleDown: { policies: [] } } }, "there"),
    APPLY,
    422,
    "Invalid",
    'HorizontalPodAutoscaler.autoscaling "there" is invalid: spec.behavior.scaleDown.policies: Required value: must specify at least one Policy',
  ],
  // Decoding.
  ["POST", MAPS, "", undefined, 400, "BadRequest", /^(the object provided is unrecognized|Object 'Kind' is missing)/],
  [
    "POST",
    MAPS,
    map({ apiVersion: "v2" }),
    undefined,
    400,
    "BadRequest",
    'ConfigMap in version "v2" cannot be handled as a ConfigMap: no kind "ConfigMap" is registered for version "v2" in scheme "pkg/api/legacyscheme/scheme.go:30"',
  ],
  [
    "POST",
    MAPS,
    { ...sampleOf(builtinResources.find(({ kind }) => kind === "Secret")!) },
    undefined,
    400,
    "BadRequest",
    /^Secret in version "v1" cannot be handled as a ConfigMap: /,
  ],
  [
    "POST",
    MAPS,
    map({ data: { a: 1 } }),
    undefined,
    400,
    "BadRequest",
    'ConfigMap in version "v1" cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap.data of type string',
  ],
  [
    "POST",
    `${MAPS}?fieldValidation=Strict`,
    '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"b"},"x":1,"data":{"a":"1","a":"2"}}',
    undefined,
    400,
    "BadRequest",
    'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: unknown field "x", duplicate field "data.a"',
  ],
  [
    "POST",
    MAPS,
    "a: b: c",
    YAML,
    400,
    "BadRequest",
    /^the object provided is unrecognized \(must be of type ConfigMap\): yaml: .*mapping values are not allowed in this context \(613a20623a2063\)$/,
  ],
  [
    "POST",
    MAPS,
    map({ metadata: { name: "b", namespace: "other" } }),
    undefined,
    400,
    "BadRequest",
    "the namespace of the provided object does not match the namespace sent on the request",
  ],
  [
    "PUT",
    `${MAPS}/a`,
    map({ metadata: { name: "a", namespace: "other" } }),
    undefined,
    400,
    "BadRequest",
    "the namespace of the object (other) does not match the namespace on the request (default)",
  ],
  [
    "POST",
    MAPS,
    map({ metadata: { name: "b_", resourceVersion: "5" } }),
    undefined,
    422,
    "Invalid",
    /metadata\.name: Invalid value: "b_"/,
  ],
  [
    "POST",
    MAPS,
    map({ metadata: { name: "b", resourceVersion: "5" } }),
    undefined,
    500,
    undefined,
    "resourceVersion should not be set on objects to be created",
  ],
  [
    "POST",
    MAPS,
    map({ metadata: {} }),
    undefined,
    422,
    "Invalid",
    'ConfigMap "" is invalid: metadata.name: Required value: name or generateName is required',
  ],
  [
    "POST",
    MAPS,
    "x",
    "text/plain",
    415,
    "UnsupportedMediaType",
    /^the body of the request was in an unknown format - accepted media types include: application\/json, application\/yaml, application\/vnd\.kubernetes\.protobuf/,
  ],
  // Options.
  [
    "POST",
    `${MAPS}?fieldManager=${"m".repeat(129)}`,
    map(),
    undefined,
    422,
    "Invalid",
    'CreateOptions.meta.k8s.io "" is invalid: fieldManager: Too long: may not be more than 128 bytes',
  ],
  [
    "POST",
    `${MAPS}?fieldValidation=Maybe`,
    map(),
    undefined,
    422,
    "Invalid",
    'CreateOptions.meta.k8s.io "" is invalid: fieldValidation: Unsupported value: "Maybe": supported values: "", "Ignore", "Strict", "Warn"',
  ],
  [
    "DELETE",
    `${MAPS}/a`,
    { propagationPolicy: "Maybe" },
    undefined,
    422,
    "Invalid",
    'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Unsupported value: "Maybe": supported values: "Foreground", "Background", "Orphan", "nil"',
  ],
  [
    "DELETE",
    `${MAPS}/a`,
    { propagationPolicy: "Orphan", orphanDependents: true },
    undefined,
    422,
    "Invalid",
    'DeleteOptions.meta.k8s.io "" is invalid: propagationPolicy: Invalid value: "Orphan": orphanDependents and deletionPropagation cannot be both set',
  ],
  // Patches.
  ["PATCH", `${MAPS}/a`, "{", MERGE, 400, "BadRequest", "error decoding patch: unexpected end of JSON input"],
  [
    "PATCH",
    `${MAPS}/a`,
    "[]",
    MERGE,
    400,
    "BadRequest",
    "error decoding patch: json: cannot unmarshal array into Go value of type map[string]interface {}",
  ],
  [
    "PATCH",
    `${MAPS}/a`,
    "{}",
    JSON_PATCH,
    400,
    "BadRequest",
    "error decoding patch: json: cannot unmarshal object into Go value of type []handlers.jsonPatchOp",
  ],
  [
    "PATCH",
    `${MAPS}/a`,
    [{ op: "test", path: "/data/k", value: "other" }],
    JSON_PATCH,
    422,
    "Invalid",
    "the server rejected our request due to an error in our request",
  ],
  [
    "PATCH",
    `${MAPS}/a`,
    [{ op: "remove", path: "/data/none/below" }],
    JSON_PATCH,
    422,
    "Invalid",
    "the server rejected our request due to an error in our request",
  ],
  [
    "PATCH",
    `${MAPS}/a`,
    Array.from({ length: 10_001 }, () => ({ op: "add", path: "/data/k", value: "v" })),
    JSON_PATCH,
    413,
    "RequestEntityTooLarge",
    "Request entity too large: The allowed maximum operations in a JSON patch is 10000, got 10001",
  ],
  [
    "PATCH",
    `${MAPS}/a`,
    { data: { k: 1 } },
    MERGE,
    422,
    "Invalid",
    /^ "" is invalid: patch: Invalid value: ".*": json: cannot unmarshal number into Go struct field ConfigMap\.data of type string$/,
  ],
  [
    "PATCH",
    `${MAPS}/a?force=true`,
    {},
    MERGE,
    422,
    "Invalid",
    'PatchOptions.meta.k8s.io "" is invalid: force: Forbidden: may not be specified for non-apply patch',
  ],
  [
    "PATCH",
    `${MAPS}/a`,
    map(),
    APPLY,
    422,
    "Invalid",
    'PatchOptions.meta.k8s.io "" is invalid: fieldManager: Required value: is required for apply patch',
  ],
  ["PATCH", `${MAPS}/a?fieldManager=m`, "a: b: c", APPLY, 400, "BadRequest", /^error decoding YAML: /],
  [
    "PATCH",
    `${MAPS}/a?fieldManager=m`,
    map({ metadata: { name: "a", managedFields: [{ manager: "x" }] } }),
    APPLY,
    400,
    "BadRequest",
    "metadata.managedFields must be nil",
  ],
  [
    "PATCH",
    `${MAPS}/a?fieldManager=m`,
    map({ metadata: { name: "a" }, extra: 1 }),
    APPLY,
    500,
    undefined,
    "failed to create typed patch object (/a; /v1, Kind=ConfigMap): .extra: field not declared in schema",
  ],
  ["PATCH", `${MAPS}/nobody`, {}, MERGE, 404, "NotFound", 'configmaps "nobody" not found'],
  // Lists and watches.
  [
    "GET",
    `${MAPS}?continue=nonsense`,
    undefined,
    undefined,
    400,
    "BadRequest",
    /^invalid continue token: continue key is not valid: /,
  ],
  [
    "GET",
    `${MAPS}?continue=${token({ v: "meta.k8s.io/v1", rv: 0, start: "a" })}`,
    undefined,
    undefined,
    400,
    "BadRequest",
    "invalid continue token: continue key is not valid: incorrect encoded start resourceVersion (version meta.k8s.io/v1)",
  ],
  [
    "GET",
    `${MAPS}?continue=${token({ v: "meta.k8s.io/v1", rv: 5, start: "" })}`,
    undefined,
    undefined,
    400,
    "BadRequest",
    "invalid continue token: continue key is not valid: encoded start key empty (version meta.k8s.io/v1)",
  ],
  [
    "GET",
    `${MAPS}?continue=${token({ v: "v9", rv: 5, start: "a" })}`,
    undefined,
    undefined,
    400,
    "BadRequest",
    "invalid continue token: continue key is not valid: server does not recognize this encoded version v9",
  ],
  [
    "GET",
    `${MAPS}?resourceVersion=5&continue=${token({ v: "meta.k8s.io/v1", rv: 5, start: "a" })}`,
    undefined,
    undefined,
    400,
    "BadRequest",
    "specifying resource version is not allowed when using continue",
  ],
  [
    "GET",
    `${MAPS}?resourceVersion=abc`,
    undefined,
    undefined,
    400,
    "BadRequest",
    'invalid resource version: resourceVersion: Invalid value: "abc": strconv.ParseUint: parsing "abc": invalid syntax',
  ],
  [
    "GET",
    `${MAPS}?resourceVersionMatch=Exact`,
    undefined,
    undefined,
    422,
    "Invalid",
    'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided',
  ],
  [
    "GET",
    `${MAPS}?resourceVersionMatch=Maybe&resourceVersion=1`,
    undefined,
    undefined,
    422,
    "Invalid",
    'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Unsupported value: "Maybe": supported values: "Exact", "NotOlderThan", ""',
  ],
  [
    "GET",
    `${MAPS}?sendInitialEvents=true`,
    undefined,
    undefined,
    422,
    "Invalid",
    'ListOptions.meta.k8s.io "" is invalid: sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list',
  ],
  [
    "GET",
    `${MAPS}?watch=1&sendInitialEvents=true`,
    undefined,
    undefined,
    422,
    "Invalid",
    'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: sendInitialEvents requires setting resourceVersionMatch to NotOlderThan',
  ],
  [
    "GET",
    `${MAPS}?labelSelector=${encodeURIComponent("a in b")}`,
    undefined,
    undefined,
    400,
    "BadRequest",
    /^unable to parse requirement: found 'b'/,
  ],
  [
    "GET",
    `${MAPS}?labelSelector=${encodeURIComponent("-a=1")}`,
    undefined,
    undefined,
    400,
    "BadRequest",
    /Invalid value: "-a"/,
  ],
  [
    "GET",
    `${MAPS}?fieldSelector=nonsense`,
    undefined,
    undefined,
    400,
    "BadRequest",
    "invalid selector: 'nonsense'; can't understand 'nonsense'",
  ],
  [
    "GET",
    `${MAPS}?limit=many`,
    undefined,
    undefined,
    400,
    "BadRequest",
    'strconv.ParseInt: parsing "many": invalid syntax',
  ],
  [
    "GET",
    `${MAPS}/a?fieldSelector=metadata.name%3Db&watch=1`,
    undefined,
    undefined,
    400,
    "BadRequest",
    "fieldSelector metadata.name doesn't match requested name",
  ],
  // Preconditions.
  [
    "PUT",
    `${MAPS}/a`,
    map({ metadata: { name: "a", uid: "other" } }),
    undefined,
    409,
    "Conflict",
    /^Operation cannot be fulfilled on configmaps "a": StorageError: invalid object, Code: 4, Key: \/registry\/configmaps\/default\/a, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: other, UID in object meta: [0-9a-f-]{36}$/,
  ],
  [
    "PATCH",
    `${MAPS}/a`,
    { metadata: { resourceVersion: "1" }, data: { k: "w" } },
    MERGE,
    409,
    "Conflict",
    'Operation cannot be fulfilled on configmaps "a": the object has been modified; please apply your changes to the latest version and try again',
  ],
  [
    "DELETE",
    `${MAPS}/a`,
    { preconditions: { resourceVersion: "1" } },
    undefined,
    409,
    "Conflict",
    /^Operation cannot be fulfilled on ConfigMap "a": the ResourceVersion in the precondition \(1\) does not match the ResourceVersion in record \(\d+\)\. The object might have been modified$/,
  ],
  [
    "PATCH",
    `${MAPS}/nobody?fieldManager=m`,
    map({ metadata: { name: "nobody", uid: "u" } }),
    APPLY,
    409,
    "Conflict",
    'Operation cannot be fulfilled on configmaps "nobody": uid mismatch: the provided object specified uid u, and no existing object was found',
  ],
  [
    "PATCH",
    `${MAPS}/a?fieldManager=m`,
    map({ metadata: { name: "other" } }),
    APPLY,
    400,
    "BadRequest",
    "the name of the object (other) does not match the name on the URL (a)",
  ],
  [
    "PATCH",
    `${MAPS}/a`,
    { metadata: { uid: "x" } },
    MERGE,
    409,
    "Conflict",
    /Precondition failed: UID in precondition: x, UID in object meta: /,
  ],
  [
    "PATCH",
    `${MAPS}/a`,
    { metadata: { name: "other" } },
    MERGE,
    400,
    "BadRequest",
    "the name of the object (other) does not match the name on the URL (a)",
  ],
  [
    "GET",
    `${MAPS}/a?export=true`,
    undefined,
    undefined,
    400,
    "BadRequest",
    "the export parameter, deprecated since v1.14, is no longer supported",
  ],
  [
    "GET",
    `${MAPS}?watch=1&resourceVersionMatch=NotOlderThan`,
    undefined,
    undefined,
    422,
    "Invalid",
    'ListOptions.meta.k8s.io "" is invalid: resourceVersionMatch: Forbidden: resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided',
  ],
  [
    "POST",
    `${MAPS}?dryRun=Some`,
    map(),
    undefined,
    422,
    "Invalid",
    'CreateOptions.meta.k8s.io "" is invalid: dryRun: Unsupported value: ["Some"]: supported values: "All"',
  ],
  [
    "POST",
    MAPS,
    map({ metadata: { name: "b", ownerReferences: [{ apiVersion: "v1", kind: "Pod", name: "p", uid: "" }] } }),
    undefined,
    422,
    "Invalid",
    'ConfigMap "b" is invalid: metadata.ownerReferences.uid: Invalid value: "": must not be empty',
  ],
  [
    "POST",
    MAPS,
    map({ metadata: { name: "b", labels: { a: "not ok" } } }),
    undefined,
    422,
    "Invalid",
    /^ConfigMap "b" is invalid: metadata\.labels: Invalid value: "not ok": a valid label must be an empty string or consist of alphanumeric characters/,
  ],
  [
    "POST",
    MAPS,
    map({ metadata: { name: "b", annotations: { a: "x".repeat(262_145) } } }),
    undefined,
    422,
    "Invalid",
    'ConfigMap "b" is invalid: metadata.annotations: Too long: may not be more than 262144 bytes',
  ],
  [
    "POST",
    MAPS,
    map({ data: { big: "x".repeat(1_048_577) } }),
    undefined,
    422,
    "Invalid",
    /^ConfigMap "b" is invalid: (\[\])?: ?Too long: may not be more than 1048576 bytes$/,
  ],
  // Routes.
  [
    "GET",
    "/api/v1/nonsense",
    undefined,
    undefined,
    404,
    "NotFound",
    "the server could not find the requested resource",
  ],
  [
    "POST",
    `${MAPS}/a`,
    map(),
    undefined,
    405,
    "MethodNotAllowed",
    "the server does not allow this method on the requested resource",
  ],
  [
    "PUT",
    MAPS,
    map(),
    undefined,
    405,
    "MethodNotAllowed",
    "the server does not allow this method on the requested resource",
  ],
  [
    "DELETE",
    "/api/v1/namespaces",
    undefined,
    undefined,
    405,
    "MethodNotAllowed",
    "the server does not allow this method on the requested resource",
  ],
  [
    "PUT",
    `${DEPLOYMENTS}/sample-0/scale`,
    { spec: { replicas: -1 }, metadata: { name: "sample-0", namespace: "default" } },
    undefined,
    422,
    "Invalid",
    /^Scale\.autoscaling "sample-0" is invalid: spec\.replicas: Invalid value: -1: must be greater than or equal to 0$/,
  ],
  ["GET", `${DEPLOYMENTS}/nobody/scale`, undefined, undefined, 404, "NotFound", /nobody" not found$/],
  [
    "POST",
    `${MAPS.replace("configmaps", "pods")}/sample-0/eviction`,
    { metadata: { name: "other" } },
    undefined,
    400,
    "BadRequest",
    "name in URL does not match name in Eviction object",
  ],
  [
    "POST",
    `${MAPS.replace("configmaps", "pods")}/sample-0/binding`,
    { metadata: { name: "other" }, target: { kind: "Node", name: "n" } },
    undefined,
    400,
    "BadRequest",
    "name in URL does not match name in Binding object",
  ],
  [
    "GET",
    `${MAPS.replace("configmaps", "pods")}/sample-0/log?container=none`,
    undefined,
    undefined,
    400,
    "BadRequest",
    "container none is not valid for pod sample-0",
  ],
  [
    "POST",
    "/apis/authentication.k8s.io/v1/tokenreviews",
    { spec: {} },
    undefined,
    400,
    "BadRequest",
    "token is required for TokenReview in authentication",
  ],
];

test("what is wrong with a request is said in upstream's words", async () => {
  const wrong: unknown[] = [];
  for (const [method, url, body, type, code, reason, message] of CASES) {
    const answer = await send(method, url, body, type);
    const status = JSON.parse(answer.body.toString());
    const right =
      answer.status === code &&
      (code < 400 ||
        (status.reason === reason &&
          status.code === code &&
          (typeof message === "string" ? status.message === message : message.test(status.message))));
    if (!right)
      wrong.push(
        `${method} ${url.slice(0, 120)}: ${answer.status} ${status.reason}: ${status.message} / ${code} ${reason}: ${message}`,
      );
  }
  assert.deepEqual(wrong, []);
});

const FUZZ = { seed: 36, numRuns: 200 };
const fuzzed = builtinResources.filter(
  ({ verbs, kind }) =>
    // A namespace that is going or a definition refuses what comes later, and a webhook is asked.
    verbs.includes("create") && !/^(Namespace|CustomResourceDefinition|APIService|.*WebhookConfiguration)$/.test(kind),
);
const aResource = fc.constantFrom(...fuzzed);
const collectionOf = (resource: (typeof fuzzed)[number]) =>
  pathOf(resource, resource.scope === "Namespaced" ? { namespace: SAMPLE_NAMESPACE } : {});

const odd = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    "",
    "a",
    true,
    0,
    -1,
    0.5,
    1e308,
    2 ** 63,
    -(2 ** 63),
    [],
    {},
    [null],
    [[]],
    [{}],
    { "": "" },
    { __proto__x: 1, constructor: 1 },
    "\u0000",
    "9".repeat(400),
    "1e99999",
    "2026-13-45T99:99:99Z",
    "é\ud800",
  ),
  fc.jsonValue({ maxDepth: 3 }),
);

/** The object with `value` at one of its places, or at a place of its schema that it doesn't have. */
function twisted(object: any, at: number, value: unknown): any {
  const next = structuredClone(object);
  const places: (readonly [any, string | number])[] = [];
  const visit = (inner: any): void => {
    for (const key of Object.keys(inner)) {
      places.push([inner, key]);
      if (typeof inner[key] === "object" && inner[key] !== null) visit(inner[key]);
    }
  };
  visit(next);
  const [inner, key] = places[at % places.length]!;
  inner[key] = value;
  return next;
}

test("an object with anything anywhere in it is taken or refused", async () => {
  await fc.assert(
    fc.asyncProperty(aResource, fc.nat(200), odd, async (resource, at, value) => {
      const sample = resource.storage.virtual === true ? { metadata: {}, spec: {} } : sampleOf(resource);
      const object = twisted(sample, at, value);
      const answer = await send("POST", `${collectionOf(resource)}?dryRun=All`, object);
      assertReadable(answer, `POST ${resource.plural} ${JSON.stringify(object)}`);
    }),
    { ...FUZZ, numRuns: 600 },
  );
});

test("every field of every kind with a value of a wrong type is refused in words", async () => {
  for (const resource of fuzzed) {
    const top = [...(resource.schema.properties ?? [])].filter(([name]) => name !== "apiVersion" && name !== "kind");
    for (const [name, schema] of top) {
      const fields =
        schema.properties === undefined ? [[name]] : [...schema.properties.keys()].map((key) => [name, key]);
      for (const path of fields)
        for (const value of [null, 7, [7], { x: 7 }]) {
          const object: any =
            resource.storage.virtual === true ? { metadata: {} } : structuredClone(sampleOf(resource));
          if (path.length === 1) object[path[0]!] = value;
          else object[path[0]!] = { ...object[path[0]!], [path[1]!]: value };
          const answer = await send("POST", `${collectionOf(resource)}?dryRun=All`, object);
          assertReadable(answer, `POST ${resource.plural} ${JSON.stringify(object)}`);
        }
    }
  }
});

test("a body of any bytes in any type is refused", async () => {
  const types = fc.constantFrom(
    "application/json",
    YAML,
    "application/vnd.kubernetes.protobuf",
    "application/cbor",
    "text/plain",
    "",
    "application/json; charset=utf-16",
    ";;;",
  );
  const envelope = Buffer.from([0x6b, 0x38, 0x73, 0x00]);
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    fc.string().map((text) => Buffer.from(text)),
    fc.uint8Array({ maxLength: 200 }).map((tail) => Buffer.concat([envelope, tail])),
    fc
      .constantFrom(
        "[".repeat(20_000),
        '{"metadata":'.repeat(5_000),
        "a: &a [*a]",
        `a: &a [x]\n${Array.from({ length: 30 }, (_, i) => `b${i}: &b${i} [*${i === 0 ? "a" : `b${i - 1}`}, *${i === 0 ? "a" : `b${i - 1}`}]`).join("\n")}`,
        '{"metadata":{"name":"\\ud800"}}',
        '{"metadata":{"name":"b"}}{"metadata":{"name":"c"}}',
        "--- \n---\n",
        "!!js/function 'x'",
        "null",
        "1e999",
        '"x"',
      )
      .map((text) => Buffer.from(text)),
  );
  await fc.assert(
    fc.asyncProperty(aResource, bytes, types, async (resource, body, type) => {
      const answer = await send("POST", `${collectionOf(resource)}?dryRun=All`, body, type);
      assertReadable(answer, `POST ${resource.plural} ${type} ${Buffer.from(body).toString("hex").slice(0, 300)}`);
    }),
    FUZZ,
  );
});

test("a patch of anything is taken or refused", async () => {
  const targets = fc.constantFrom(
    `${MAPS}/a`,
    `${DEPLOYMENTS}/sample-0`,
    `${DEPLOYMENTS}/sample-0/status`,
    `${DEPLOYMENTS}/sample-0/scale`,
    "/api/v1/namespaces/default/services/sample-0",
    "/api/v1/namespaces/default/pods/sample-0",
    "/api/v1/namespaces/default/pods/sample-0/ephemeralcontainers",
  );
  const keys = fc.constantFrom(
    "metadata",
    "spec",
    "status",
    "data",
    "labels",
    "name",
    "template",
    "containers",
    "ports",
    "replicas",
    "selector",
    "$patch",
    "$retainKeys",
    "$setElementOrder/containers",
    "$deleteFromPrimitiveList/finalizers",
    "finalizers",
    "uid",
    "resourceVersion",
    "apiVersion",
    "kind",
    "managedFields",
    "ownerReferences",
    "ephemeralContainers",
  );
  const { tree } = fc.letrec<{ tree: unknown; node: unknown }>((tie) => ({
    tree: fc.dictionary(keys, tie("node"), { maxKeys: 4 }),
    node: fc.oneof(
      { maxDepth: 5 },
      odd,
      fc.dictionary(keys, tie("node"), { maxKeys: 3 }),
      fc.array(tie("node"), { maxLength: 2 }),
    ),
  }));
  const pointer = fc
    .array(fc.oneof(keys, fc.constantFrom("0", "-", "", "~0", "~1", "~", "99999999999", "-1", "__proto__")), {
      maxLength: 5,
    })
    .map((parts) => parts.map((part) => `/${part}`).join(""));
  const operation = fc.record(
    {
      op: fc.constantFrom("add", "remove", "replace", "move", "copy", "test", "x"),
      path: pointer,
      from: pointer,
      value: odd,
    },
    { requiredKeys: [] },
  );
  const patches = fc.oneof(
    fc.tuple(fc.constant(JSON_PATCH), fc.array(operation, { maxLength: 3 })),
    fc.tuple(fc.constant(JSON_PATCH), odd),
    fc.tuple(fc.constantFrom(MERGE, STRATEGIC), fc.oneof(tree, odd)),
    fc.tuple(fc.constant(APPLY), fc.oneof(tree, odd)),
    fc.tuple(
      fc.constant(APPLY),
      tree.map((one) => ({
        ...(one as object),
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { name: "sample-0" },
      })),
    ),
  );
  await fc.assert(
    fc.asyncProperty(targets, patches, async (target, [type, body]) => {
      const query = type === APPLY ? "?dryRun=All&fieldManager=m&force=true" : "?dryRun=All";
      const answer = await send("PATCH", target + query, JSON.stringify(body) ?? "", type);
      assertReadable(answer, `PATCH ${target} ${type} ${JSON.stringify(body)}`);
    }),
    { ...FUZZ, numRuns: 500 },
  );
});

test("any query is answered", async () => {
  const names = fc.constantFrom(
    "labelSelector",
    "fieldSelector",
    "limit",
    "continue",
    "resourceVersion",
    "resourceVersionMatch",
    "timeoutSeconds",
    "sendInitialEvents",
    "allowWatchBookmarks",
    "pretty",
    "dryRun",
    "fieldValidation",
    "fieldManager",
    "force",
    "gracePeriodSeconds",
    "propagationPolicy",
    "orphanDependents",
    "nonsense",
    "export",
    "shardSelector",
    "timeout",
  );
  const values = fc.oneof(
    fc.string({ maxLength: 12 }),
    fc.constantFrom(
      "true",
      "false",
      "0",
      "1",
      "-1",
      "1.5",
      "99999999999999999999",
      "All",
      "Strict",
      "Exact",
      "NotOlderThan",
      "a=b",
      "a in (b",
      "a,,b",
      "!a",
      "a>x",
      "metadata.name=a",
      "metadata.name!=",
      "=",
      "\u0000",
      "%",
      "a\\,b=c",
      "Orphan",
      token({ v: "meta.k8s.io/v1", rv: 1, start: "a" }),
      token({ v: "meta.k8s.io/v1", rv: -1, start: "../../x" }),
      token(null),
      token([]),
      "10s",
      "-5m",
    ),
  );
  const queries = fc
    .array(fc.tuple(names, values), { maxLength: 4 })
    .map((pairs) => new URLSearchParams(pairs).toString());
  const raw = fc.oneof(queries, fc.constantFrom("%", "%zz=1", "&&&", "=", "a=%ff%fe", ";"));
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom("GET", "DELETE"),
      fc.constantFrom(MAPS, `${MAPS}/nobody`, "/api/v1/pods"),
      raw,
      async (method, path, query) => {
        if (method === "DELETE" && path === "/api/v1/pods") return;
        // A revision of the future is waited for, three seconds.
        if (/resourceVersion=\d{3,}/.test(query)) return;
        const dry = method === "DELETE" ? "&dryRun=All" : "";
        const answer = await send(method, `${path}?${query}${dry}`);
        assertReadable(answer, `${method} ${path}?${query}`);
      },
    ),
    { ...FUZZ, numRuns: 500 },
  );
});

test("what is too large is refused before it is read", async () => {
  const large = `{"metadata":{"name":"b"},"data":{"a":"${"x".repeat(4 * 1024 * 1024)}"}}`;
  for (const [method, url, type] of [
    ["POST", MAPS, "application/json"],
    ["PUT", `${MAPS}/a`, "application/json"],
    ["PATCH", `${MAPS}/a`, MERGE],
    ["DELETE", `${MAPS}/a`, "application/json"],
  ] as const) {
    const answer = await send(method, url, large, type);
    assert.equal(answer.status, 413, method);
    assert.equal(JSON.parse(answer.body.toString()).message, "Request entity too large: limit is 3145728");
  }
});

test("any path and any method are answered", async () => {
  const words = fc.constantFrom(
    "api",
    "apis",
    "v1",
    "apps",
    "namespaces",
    "default",
    "pods",
    "configmaps",
    "a",
    "status",
    "scale",
    "log",
    "watch",
    "proxy",
    "",
    ".",
    "..",
    "%2f",
    "%zz",
    "%00",
    "é",
    "openapi",
    "v3",
    "v2",
    "healthz",
    "x".repeat(300),
  );
  const paths = fc.array(words, { maxLength: 8 }).map((parts) => `/${parts.join("/")}`);
  const methods = fc.constantFrom("GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "TRACE", "X");
  await fc.assert(
    fc.asyncProperty(methods, paths, async (method, path) => {
      const stop = new AbortController();
      const asked: Asked = { onOpen: () => queueMicrotask(() => stop.abort()), signal: stop.signal };
      const answer = await ask(harness, method, path, asked);
      if (method !== "HEAD" && !path.includes("proxy")) assertReadable(answer, `${method} ${path}`);
    }),
    { ...FUZZ, numRuns: 500 },
  );
});
