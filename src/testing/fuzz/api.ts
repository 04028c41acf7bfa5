/**
 * The API server: whatever comes, it answers in time with what a client can read, it never fails, and what it stores stays. One run is one server
 * and many cases.
 */
import assert from "node:assert/strict";
import { builtinResources } from "../../api/index.ts";
import { type Answer, ask, type Asked, ASKABLE } from "../../apiserver/testing/ask.ts";
import { type Harness, startServer } from "../../apiserver/testing/harness.ts";
import { assertReadable } from "../../apiserver/testing/readable.ts";
import { encodeCbor } from "../../machinery/codec/cbor.ts";
import { ProtobufCodec } from "../../machinery/codec/protobuf.ts";
import { encodeYaml } from "../../machinery/codec/yaml.ts";
import { pathOf, type Resource } from "../../machinery/resource.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { type Random, randomInt } from "../../world/world.ts";
import { sampleOf, SAMPLE_NAMESPACE } from "../samples.ts";
import { type Fuzzer, mutated, pick } from "./fuzzer.ts";

const CASES_A_RUN = 400;
const CPU_MS_MAX = 1500;
const ANSWER_MS_MAX = 20_000;

interface Case {
  readonly method: string;
  readonly url: string;
  readonly type?: string;
  readonly body?: string | Uint8Array;
  readonly headers?: Asked["headers"];
  /** In place of the general rules. */
  judge?(answer: Answer): void;
}

type Maker = (random: Random) => Case;

const MAPS = "/api/v1/namespaces/default/configmaps";
const SENTINEL = { apiVersion: "v1", kind: "ConfigMap", metadata: { name: "sentinel" }, data: { a: "b" } };

function apiFuzzer(name: string, about: string, prepare: (harness: Harness) => Promise<Maker> | Maker): Fuzzer {
  return {
    name,
    about,
    briefly: CASES_A_RUN,
    async run(random) {
      await using harness = await startServer(nodeWorld(), {
        ...ASKABLE,
        resources: builtinResources,
        disableAdmissionPlugins: ["ServiceAccount"],
        featureGates: new Map([["CBORServingAndStorage", true]]),
      });
      await send(harness, { method: "POST", url: MAPS, body: JSON.stringify(SENTINEL) });
      const before = (await send(harness, { method: "GET", url: `${MAPS}/sentinel` })).body.toString();
      const make = await prepare(harness);
      for (let done = 0; done < CASES_A_RUN; done++) await check(harness, make(random));
      const after = (await send(harness, { method: "GET", url: `${MAPS}/sentinel` })).body.toString();
      assert.equal(after, before, "what was stored before");
      assert.deepEqual(Object.keys(Object.prototype), []);
      return CASES_A_RUN;
    },
  };
}

/** Who watches leaves as soon as it begins, and needs no answer then. */
const GONE: Answer = { status: 200, headers: {}, body: Buffer.alloc(0) };

async function send(
  harness: Harness,
  { method, url, type = "application/json", body, headers }: Case,
): Promise<Answer> {
  const stop = new AbortController();
  const late = Promise.withResolvers<Answer>();
  const timer = setTimeout(() => late.reject(new Error("no answer")), ANSWER_MS_MAX);
  try {
    return await Promise.race([
      late.promise,
      ask(harness, method, url, {
        headers: { "content-type": type, ...headers },
        ...(body !== undefined && { body }),
        onOpen() {
          setImmediate(() => {
            stop.abort();
            setImmediate(() => late.resolve(GONE));
          });
        },
        signal: stop.signal,
      }),
    ]);
  } finally {
    clearTimeout(timer);
  }
}

async function check(harness: Harness, one: Case): Promise<void> {
  const what = () =>
    `${one.method} ${one.url} ${one.type ?? ""} ${JSON.stringify(one.headers ?? {})} ${typeof one.body === "string" ? one.body : Buffer.from(one.body ?? []).toString("hex")}`.slice(
      0,
      2500,
    );
  const cpu = process.cpuUsage();
  let answer: Answer;
  try {
    answer = await send(harness, one);
  } catch (cause) {
    throw new Error(`${what()}: ${String(cause)}`, { cause });
  }
  const { user, system } = process.cpuUsage(cpu);
  assert.ok((user + system) / 1000 < CPU_MS_MAX, `${Math.round((user + system) / 1000)} ms of CPU: ${what()}`);
  if (one.judge !== undefined) one.judge(answer);
  else if (one.method !== "HEAD") assertReadable(answer, what());
}

const writable = builtinResources.filter(
  ({ verbs, kind }) =>
    // A definition or a webhook is a matter of its own, and a namespace that goes takes all with it.
    verbs.includes("create") && !/^(Namespace|CustomResourceDefinition|APIService|.*WebhookConfiguration)$/.test(kind),
);
const collectionOf = (resource: Resource) =>
  pathOf(resource, resource.scope === "Namespaced" ? { namespace: SAMPLE_NAMESPACE } : {});
const codec = new ProtobufCodec();

const ODD: readonly unknown[] = [
  null, "", "a", true, 0, -1, 0.5, 1e308, 2 ** 63, -(2 ** 63), [], {}, [null], [[]], [{}], { "": "" },
  JSON.parse('{"__proto__":{"a":"b"},"constructor":1}'), "\0", "9".repeat(400), "1e99999", "2026-13-45T99:99:99Z",
  "\u00e9\ud800", "a/b/c", "../..", "%2f", "10s", "1Ki", "-5", "0x10", "*", ["a", "a"], { type: "Recreate" },
  { matchLabels: { a: "" }, matchExpressions: [{ key: "x", operator: "In" }] }, "$(A)", "999.999.999.999", "::/0",
]; // prettier-ignore

/** The tree with a few of its values changed, gone, doubled, or moved. */
function twisted(random: Random, tree: unknown): any {
  const root = { root: structuredClone(tree) };
  for (let changes = 1 + randomInt(random, 3); changes > 0; changes--) {
    const places: (readonly [any, string | number])[] = [];
    const visit = (inner: any): void => {
      for (const key of Object.keys(inner)) {
        places.push([inner, key]);
        if (typeof inner[key] === "object" && inner[key] !== null) visit(inner[key]);
      }
    };
    visit(root);
    const [inner, key] = pick(random, places);
    switch (randomInt(random, 5)) {
      case 0:
        if (key !== "root") delete inner[key];
        break;
      case 1: {
        const [from, of] = pick(random, places);
        inner[key] = structuredClone(from[of]);
        break;
      }
      case 2:
        if (Array.isArray(inner)) inner.push(structuredClone(inner[0]));
        else if (typeof inner[key] === "string") inner[key] = mutated(random, Buffer.from(inner[key])).toString();
        break;
      default:
        inner[key] = structuredClone(pick(random, ODD));
    }
  }
  return root.root;
}

const ENCODINGS = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf", "application/cbor"];

const bodies: Maker = (random) => {
  const resource = pick(random, writable);
  const sample: any = resource.storage.virtual === true ? { metadata: {}, spec: {} } : sampleOf(resource);
  const tree = random.next() < 0.7 ? twisted(random, sample) : sample;
  const type = pick(random, ENCODINGS);
  let body: Uint8Array;
  if (type === "application/cbor") body = encodeCbor(tree);
  else if (type === "application/yaml") body = Buffer.from(encodeYaml(tree));
  else if (type === "application/json") body = Buffer.from(JSON.stringify(tree) ?? "");
  // What is not an object of the kind can't be written as one.
  else body = codec.encode(sample, resource.schema);
  if (tree === sample || type.endsWith("protobuf") || random.next() < 0.3) body = mutated(random, body);
  const query = pick(random, ["", "&fieldValidation=Strict", "&fieldValidation=Ignore"]);
  return { method: "POST", url: `${collectionOf(resource)}?dryRun=All${query}`, type, body };
};

const PATCHED = [
  "Deployment",
  "Pod",
  "Service",
  "Secret",
  "ConfigMap",
  "Node",
  "CronJob",
  "Ingress",
  "HorizontalPodAutoscaler",
];
const PATCH_TYPES = [
  "application/merge-patch+json",
  "application/strategic-merge-patch+json",
  "application/json-patch+json",
  "application/apply-patch+yaml",
];

function pointers(tree: any, at = ""): string[] {
  if (typeof tree !== "object" || tree === null) return [at];
  return [at, ...Object.keys(tree).flatMap((key) => pointers(tree[key], `${at}/${key}`))];
}

function directed(random: Random, tree: any): any {
  const next = structuredClone(tree);
  const places: any[] = [];
  const visit = (inner: any): void => {
    if (typeof inner !== "object" || inner === null) return;
    places.push(inner);
    for (const one of Object.values(inner)) visit(one);
  };
  visit(next);
  const at = pick(random, places);
  const key = pick(random, [
    "$patch",
    "$retainKeys",
    "$setElementOrder/containers",
    "$deleteFromPrimitiveList/finalizers",
    "$setElementOrder/ports",
  ]);
  const value = pick<unknown>(random, [
    "delete",
    "replace",
    "merge",
    "x",
    ["a"],
    [{ name: "c" }],
    [{ port: 1 }],
    [null],
    null,
    1,
  ]);
  if (Array.isArray(at)) at.push({ [key]: value });
  else at[key] = value;
  return next;
}

const patches = async (harness: Harness): Promise<Maker> => {
  const targets: { readonly url: string; readonly sample: any }[] = [];
  for (const resource of writable.filter(({ kind }) => PATCHED.includes(kind))) {
    const sample = sampleOf(resource);
    const made = await send(harness, { method: "POST", url: collectionOf(resource), body: JSON.stringify(sample) });
    if (made.status === 201) targets.push({ url: `${collectionOf(resource)}/${sample.metadata.name}`, sample });
  }
  return (random) => {
    const { url, sample } = pick(random, targets);
    const type = pick(random, PATCH_TYPES);
    let tree: any;
    if (type === "application/json-patch+json") {
      const known = [...pointers(sample), "/metadata/labels", "/a~1b", "/~2", "x", "/spec/-", "/metadata/__proto__/a"];
      const operation = () => ({
        op: pick(random, ["add", "remove", "replace", "move", "copy", "test", "x"]),
        path: pick(random, known),
        ...(random.next() < 0.7 && { value: pick(random, ODD) }),
        ...(random.next() < 0.5 && { from: pick(random, known) }),
      });
      tree = Array.from({ length: 1 + randomInt(random, 4) }, operation);
      if (random.next() < 0.2) tree = twisted(random, tree);
    } else {
      tree = random.next() < 0.8 ? twisted(random, sample) : sample;
      if (random.next() < 0.4 && typeof tree === "object" && tree !== null) tree = directed(random, tree);
    }
    let body: Uint8Array = Buffer.from(JSON.stringify(tree) ?? "");
    if (random.next() < 0.1) body = mutated(random, body);
    const sub = random.next() < 0.15 ? pick(random, ["/status", "/scale", "/ephemeralcontainers", "/resize"]) : "";
    const query = type.includes("apply") ? "&fieldManager=m" + pick(random, ["", "&force=true"]) : "";
    const validation = pick(random, ["", "&fieldValidation=Strict", "&fieldValidation=Ignore"]);
    return { method: "PATCH", url: `${url}${sub}?dryRun=All${query}${validation}`, type, body };
  };
};

const WORDS = [
  "api", "apis", "v1", "apps", "namespaces", "default", "pods", "configmaps", "deployments", "sentinel", "status", "scale", "log", "watch",
  "", ".", "..", "%2f", "%2e%2e", "%zz", "%00", "%c3", "\u00e9", "openapi", "v3", "v2", "healthz", "livez", "metrics", "x".repeat(300),
  "__proto__", "constructor", "a b", "a;b", "token", "eviction", "binding", "*", "-", "~", "api%2fv1",
]; // prettier-ignore
const QUERIES = [
  "labelSelector", "fieldSelector", "limit", "continue", "resourceVersionMatch", "timeoutSeconds", "sendInitialEvents", "allowWatchBookmarks",
  "pretty", "dryRun", "fieldValidation", "fieldManager", "force", "gracePeriodSeconds", "propagationPolicy", "orphanDependents", "watch",
  "nonsense", "timeout", "resourceVersion", "__proto__", "container", "tailLines",
]; // prettier-ignore
const VALUES = [
  "true", "false", "0", "1", "-1", "1.5", "99999999999999999999", "All", "Strict", "Exact", "NotOlderThan", "a=b", "a in (b", "a,,b", "!a", "a>x",
  "metadata.name=a", "metadata.name!=", "=", "%00", "%", "%zz", "%ff%fe", "a%5C,b=c", "Orphan", "10s", "-5m", "eyJ2IjoibWV0YS5rOHMuaW8vdjEiLCJydiI6LTF9",
  "bnVsbA", "W10", "", "+", "a%20notin%20(b,c)", "x".repeat(5000),
]; // prettier-ignore

const paths: Maker = (random) => {
  const some = (most: number) => Array.from({ length: randomInt(random, most) }, () => pick(random, WORDS));
  const start = pick(random, ["", "/api/v1", "/apis/apps/v1", "/api/v1/namespaces/default", MAPS, `${MAPS}/sentinel`]);
  const pairs = Array.from({ length: randomInt(random, 4) }, () => {
    const name = pick(random, QUERIES);
    // A revision of the future is waited for.
    const value = name === "resourceVersion" ? pick(random, ["0", "1", "-1", "a", ""]) : pick(random, VALUES);
    return `${name}=${value}`;
  });
  let path = `${start}/${some(6).join("/")}`;
  if (random.next() < 0.2)
    path = mutated(random, Buffer.from(path))
      .toString("latin1")
      .replaceAll(/[\s?#]/g, "");
  const method = pick(random, ["GET", "GET", "GET", "HEAD", "POST", "PUT", "PATCH", "OPTIONS", "TRACE", "X"]);
  return { method, url: `${path}?${pairs.join("&")}` };
};

const LABEL_PARTS = ["a", "b/c", "!", "=", "==", "!=", " in ", " notin ", "(", ")", ",", " ", ">", "<", "1", "\\", "\u00e9", "a".repeat(64), "exists", "-", ".", "metadata.name", "spec.nodeName", "__proto__", "\0"]; // prettier-ignore

const selectors: Maker = (random) => {
  const text = () => Array.from({ length: randomInt(random, 12) }, () => pick(random, LABEL_PARTS)).join("");
  const name = pick(random, ["labelSelector", "fieldSelector"]);
  const path = collectionOf(
    pick(
      random,
      writable.filter(({ verbs }) => verbs.includes("list")),
    ),
  );
  return { method: "GET", url: `${path}?limit=1&${name}=${encodeURIComponent(text())}` };
};

const EXPRESSIONS = [
  "self.a == 'x'", "object.metadata.name.startsWith('a')", "has(object.spec) && object.spec.replicas > 1", "[1,2,3].all(x, x < 4)",
  "{'a': 1}.map(k, k + 'b')", "duration('1h') + duration('2m') < duration('3h')", "quantity('1Ki').isGreaterThan(quantity('1'))",
  "url('https://a/b?c=d').getHost()", "ip('10.0.0.1').family() == 4", "cidr('10.0.0.0/8').containsIP('10.1.1.1')", "'a'.matches('^(a+)+$')",
  "optional.of(1).orValue(2)", "dyn(1) == 1.0", "b'\\x00\\xff'.size()", "timestamp('2026-01-01T00:00:00Z').getFullYear('UTC')", "9223372036854775807 + 1",
  "1 / 0", "int('x')", "type(1) == int", "'%d %s'.format([1, 'a'])", "[[1], [2]].exists_one(x, x[0] == 1)", "request.operation in ['CREATE']",
  "authorizer.group('').resource('pods').check('get').allowed()", "cel.bind(x, 1, x + x)", "'a,b'.split(',').join('-')", "semver('1.2.3').major()",
  "object.?a.?b.orValue('')", "true ? 1 : 'a'", "-(-1)", "!(!true)", "r'\\d'", "'''a'''", "0x10u", "1e10", "\"\\u00e9\"", "a.b.c(d)[e]", "sets.contains([1],[1])",
]; // prettier-ignore
const TOKENS = ["(", ")", "[", "]", "{", "}", ".", ",", "?", ":", "&&", "||", "!", "-", "+", "*", "/", "%", "==", "<", " in ", "'", '"', "\\", "0", "1u", "null", "self", "object", "oldObject", "params", "variables.x", "\n", "//", "`a`", ".?", "[?"]; // prettier-ignore

function expression(random: Random): string {
  let text = pick(random, EXPRESSIONS);
  for (let changes = randomInt(random, 4); changes > 0; changes--) {
    const other = random.next() < 0.5 ? pick(random, TOKENS) : pick(random, EXPRESSIONS);
    switch (randomInt(random, 4)) {
      case 0:
        text = `(${text}) ${pick(random, ["&&", "||", "+", "==", "in", "?", "<"])} (${other})`;
        break;
      case 1:
        text = mutated(random, Buffer.from(text)).toString();
        break;
      default: {
        const at = randomInt(random, text.length + 1);
        text = text.slice(0, at) + other + text.slice(random.next() < 0.5 ? at : at + randomInt(random, 5));
      }
    }
  }
  return random.next() < 0.02
    ? pick(random, ["(", "[", "-", "!", "a.", "{1:"]).repeat(randomInt(random, 3000)) + text
    : text;
}

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions?dryRun=All";
const definition = (schema: unknown) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "things.example.org" },
  spec: {
    group: "example.org",
    scope: "Namespaced",
    names: { plural: "things", kind: "Thing" },
    versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } }],
  },
});
const ruled = (rule: string) => ({
  type: "object",
  properties: {
    a: { type: "string", maxLength: 10 },
    n: { type: "integer" },
    list: { type: "array", maxItems: 5, items: { type: "string", maxLength: 5 } },
  },
  "x-kubernetes-validations": [{ rule, message: "no" }],
});

const expressions: Maker = (random) => {
  const text = expression(random);
  if (random.next() < 0.4) return { method: "POST", url: CRDS, body: JSON.stringify(definition(ruled(text))) };
  const policy = {
    apiVersion: "admissionregistration.k8s.io/v1",
    kind: "ValidatingAdmissionPolicy",
    metadata: { name: "p" },
    spec: {
      matchConstraints: {
        resourceRules: [{ apiGroups: [""], apiVersions: ["v1"], operations: ["CREATE"], resources: ["pods"] }],
      },
      variables: [{ name: "x", expression: "1" }],
      validations: [{ expression: text, messageExpression: random.next() < 0.3 ? expression(random) : "'a'" }],
    },
  };
  const url = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicies?dryRun=All";
  return { method: "POST", url, body: JSON.stringify(policy) };
};

const SCHEMA = {
  ...ruled("self.n > 0 || self.a.size() < 3"),
  required: ["a"],
  properties: {
    ...ruled("true").properties,
    e: { type: "string", enum: ["a", "b"], default: "a", pattern: "^[ab]+$", format: "date-time" },
    any: { "x-kubernetes-int-or-string": true, anyOf: [{ type: "integer" }, { type: "string" }] },
    open: { type: "object", "x-kubernetes-preserve-unknown-fields": true, nullable: true },
    map: { type: "object", additionalProperties: { type: "number", minimum: 1, maximum: 2, multipleOf: 0.5 } },
    keyed: {
      type: "array",
      "x-kubernetes-list-type": "map",
      "x-kubernetes-list-map-keys": ["k"],
      items: {
        type: "object",
        required: ["k"],
        properties: { k: { type: "string" }, v: { type: "integer", not: { enum: [3] } } },
      },
    },
    embedded: { type: "object", "x-kubernetes-embedded-resource": true, "x-kubernetes-preserve-unknown-fields": true },
  },
};

const schemas: Maker = (random) => {
  const tree = random.next() < 0.85 ? definition(twisted(random, SCHEMA)) : twisted(random, definition(SCHEMA));
  return { method: "POST", url: CRDS, body: JSON.stringify(tree) ?? "" };
};

const tokens = async (harness: Harness): Promise<Maker> => {
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "fuzzed" } };
  const accounts = "/api/v1/namespaces/default/serviceaccounts";
  await send(harness, { method: "POST", url: accounts, body: JSON.stringify(account) });
  const asked = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
  const made = await send(harness, { method: "POST", url: `${accounts}/fuzzed/token`, body: JSON.stringify(asked) });
  const { token } = JSON.parse(made.body.toString()).status as { token: string };
  const parts = token.split(".").map((part) => Buffer.from(part, "base64url"));
  const signed = parts[2]!.toString("hex");
  return (random) => {
    let bad: string;
    const which = randomInt(random, 4);
    if (which === 3)
      bad = mutated(random, Buffer.from(token))
        .toString("latin1")
        .replaceAll(/[\r\n]/g, "");
    else {
      const changed = parts.map((part, at) =>
        at !== which
          ? part
          : at < 2 && random.next() < 0.6
            ? Buffer.from(JSON.stringify(twisted(random, JSON.parse(part.toString()))) ?? "")
            : mutated(random, part),
      );
      bad = changed.map((part) => part.toString("base64url")).join(".");
    }
    const again = bad.split(".").map((part) => Buffer.from(part, "base64url"));
    const same =
      bad.trim().split(".").length === 3 &&
      parts.every((part, at) => at === 2 || part.equals(again[at]!)) &&
      again[2]!.toString("hex") === signed;
    return {
      method: "GET",
      url: `${MAPS}/sentinel`,
      headers: { authorization: `Bearer ${bad}` },
      judge({ status, body }) {
        const right = same ? status === 401 || status === 403 : status === 401 || (bad.trim() === "" && status === 403);
        assert.ok(right, `${status} for ${bad}: ${body.toString().slice(0, 300)}`);
      },
    };
  };
};

export const apiFuzzers: readonly Fuzzer[] = [
  apiFuzzer("api-bodies", "damaged objects of all kinds in JSON, YAML, protobuf and CBOR", () => bodies),
  apiFuzzer("api-patches", "damaged patches of all four types", patches),
  apiFuzzer("api-paths", "paths and query strings", () => paths),
  apiFuzzer("api-selectors", "label and field selectors", () => selectors),
  apiFuzzer("api-expressions", "CEL in rules and policies", () => expressions),
  apiFuzzer("api-schemas", "damaged definitions of custom resources", () => schemas),
  apiFuzzer("api-tokens", "damaged service account tokens", tokens),
];
