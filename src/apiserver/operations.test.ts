/** Each operation of upstream's OpenAPI document is asked for, on an object that is there: all of them have an answer. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { builtinResources } from "../api/index.ts";
import { pathOf } from "../machinery/resource.ts";
import { SAMPLE_NAMESPACE, sampleOf } from "../testing/samples.ts";
import { nodeWorld } from "../world/node/index.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import { startServer } from "./testing/harness.ts";
import operations from "./testing/operations.json" with { type: "json" };

const NAME = sampleOf({ group: "", version: "v1", kind: "Pod", plural: "pods", scope: "Namespaced" }).metadata.name;
/** `--enable-logs-handler` is off by default. */
const OFF = ["/logs/", "/logs/{logpath}"];
const ORDER = ["get", "head", "options", "post", "patch", "put", "delete"];

const harness = await startServer(nodeWorld(), {
  ...ASKABLE,
  resources: builtinResources,
  disableAdmissionPlugins: ["ServiceAccount"],
});
after(() => harness[Symbol.asyncDispose]());

interface Operation {
  readonly method: string;
  /** As it stands in the document. */
  readonly path: string;
  readonly resource: (typeof builtinResources)[number] | undefined;
  readonly subresource: string | undefined;
}

function operationsOf(): readonly Operation[] {
  const found = Object.entries(operations).flatMap(([path, methods]) => {
    const match =
      /^\/(?:api|apis\/([^/]+))\/(v[^/]+)\/(?:watch\/)?(?:namespaces\/\{namespace\}\/)?([a-z]+)(?:\/\{name\})?(?:\/([a-z]+))?/.exec(
        path,
      );
    const [, group = "", version, plural, subresource] = match ?? [];
    const resource = builtinResources.find(
      (one) => one.group === group && one.version === version && one.plural === plural,
    );
    return methods.split(" ").map((method) => ({ method, path, resource, subresource }));
  });
  // Subresources before what they are of, and deletion last of all.
  return found.sort((a, b) => ORDER.indexOf(a.method) - ORDER.indexOf(b.method) || b.path.length - a.path.length);
}

/** What is sent where it isn't the sample of a kind. */
const BODIES: Readonly<Record<string, object>> = {
  bindings: { metadata: { name: NAME }, target: { kind: "Node", name: NAME } },
  "pods/binding": { metadata: { name: NAME }, target: { kind: "Node", name: NAME } },
  // What is asked for next needs the pod still.
  "pods/eviction": { metadata: { name: NAME }, deleteOptions: { dryRun: ["All"] } },
  "serviceaccounts/token": { spec: { audiences: ["me"] } },
  selfsubjectreviews: {},
  tokenreviews: { spec: { token: "t" } },
  localsubjectaccessreviews: {
    metadata: { namespace: SAMPLE_NAMESPACE },
    spec: { user: "jane", resourceAttributes: { namespace: SAMPLE_NAMESPACE, verb: "get", resource: "pods" } },
  },
  subjectaccessreviews: { spec: { user: "jane", resourceAttributes: { verb: "get", resource: "pods" } } },
  selfsubjectaccessreviews: { spec: { resourceAttributes: { verb: "get", resource: "pods" } } },
  selfsubjectrulesreviews: { spec: { namespace: SAMPLE_NAMESPACE } },
};
const CONNECTS = ["attach", "exec", "portforward", "proxy", "log"];

async function bodyOf({ method, resource, subresource }: Operation, path: string): Promise<object | undefined> {
  if (method === "patch") return {};
  if (method === "put" && resource !== undefined) {
    // What can only be written is read one level up.
    const answer = await ask(harness, "GET", subresource === "finalize" ? path.replace(/\/finalize$/, "") : path);
    return answer.status === 200 ? JSON.parse(answer.body.toString()) : {};
  }
  if (method !== "post" || resource === undefined) return undefined;
  const special = BODIES[subresource === undefined ? resource.plural : `${resource.plural}/${subresource}`];
  return special ?? (resource.storage.virtual === true ? {} : sampleOf(resource, 9));
}

async function answerOf(operation: Operation): Promise<{ readonly status: number; readonly text: string }> {
  const { method, resource } = operation;
  const name = resource === undefined || resource.storage.virtual ? "etcd-0" : sampleOf(resource).metadata.name;
  const path = operation.path
    .replace("{namespace}", SAMPLE_NAMESPACE)
    .replace("{name}", name)
    .replace("{path}", "metrics");
  const isConnect = CONNECTS.includes(operation.subresource ?? "");
  const body = isConnect ? undefined : await bodyOf(operation, path);
  const stop = new AbortController();
  const query = operation.subresource === "eviction" ? "?dryRun=All" : "";
  const answer = await ask(harness, method.toUpperCase(), path + query, {
    headers: { "content-type": method === "patch" ? "application/merge-patch+json" : "application/json" },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: stop.signal,
    onOpen: () => queueMicrotask(() => stop.abort()),
  });
  return { status: answer.status, text: answer.body.toString() };
}

test("every operation that upstream's document lists has its answer", async () => {
  for (const resource of builtinResources) {
    if (resource.storage.virtual === true) continue;
    const at = resource.scope === "Namespaced" ? { namespace: SAMPLE_NAMESPACE } : {};
    const answer = await ask(harness, "POST", pathOf(resource, at), { body: JSON.stringify(sampleOf(resource)) });
    // A version of a kind that another version has made already.
    assert.ok([201, 409].includes(answer.status), answer.body.toString());
  }
  const unanswered: string[] = [];
  let asked = 0;
  for (const operation of operationsOf()) {
    if (OFF.includes(operation.path)) continue;
    asked++;
    const { status, text } = await answerOf(operation);
    if (isAnswered(operation, status)) continue;
    unanswered.push(`${operation.method} ${operation.path}: ${status} ${text.slice(0, 300)}`);
  }
  assert.deepEqual(unanswered, []);
  assert.equal(asked, 1121);
});

/** Objects answer with success, except that another version of the same kind may have been there or gone before; what needs a kubelet says that there is none. */
function isAnswered({ method, resource, subresource }: Operation, status: number): boolean {
  if (CONNECTS.includes(subresource ?? "")) return [400, 403, 500, 502, 503].includes(status) || status < 300;
  if (status === 409) return method === "post";
  if (status === 404) return method === "delete" && resource !== undefined;
  return status >= 200 && status < 300;
}

test("the server's own documents list the same operations", async () => {
  const get = async (path: string) => JSON.parse((await ask(harness, "GET", path)).body.toString());
  const listed = ({ paths }: any, prefix = "/"): readonly string[] =>
    Object.entries<any>(paths)
      .filter(([path]) => path.startsWith(prefix))
      .flatMap(([path, item]) =>
        ORDER.filter((method) => item[method] !== undefined).map((method) => `${method} ${path}`),
      )
      .sort();
  const wanted = Object.entries(operations)
    .filter(([path]) => !OFF.includes(path))
    .flatMap(([path, methods]) => methods.split(" ").map((method) => `${method} ${path}`))
    .sort();
  const v2 = listed(await get("/openapi/v2"));
  assert.deepEqual(
    wanted.filter((operation) => !v2.includes(operation)),
    [],
  );
  assert.deepEqual(
    v2.filter((operation) => !wanted.includes(operation)),
    [],
  );
  const { paths } = await get("/openapi/v3");
  for (const [name, { serverRelativeURL }] of Object.entries<any>(paths)) {
    const prefix = `/${name}/`;
    const document = listed(await get(serverRelativeURL), prefix);
    const of = wanted.filter((operation) => operation.split(" ")[1]!.startsWith(prefix));
    // The documents of a group and of the roots hold one path, those of a version all that is below.
    if (/\/v\d[^/]*$/.test(name)) assert.deepEqual(document, of, name);
  }
});

test("aggregated discovery lists every resource and subresource with its verbs", async () => {
  const type = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList";
  for (const [root, core] of [
    ["/api", true],
    ["/apis", false],
  ] as const) {
    const answer = await ask(harness, "GET", root, { headers: { accept: type } });
    const { kind, items } = JSON.parse(answer.body.toString());
    assert.equal(kind, "APIGroupDiscoveryList");
    for (const resource of builtinResources.filter(({ group }) => (group === "") === core)) {
      const group = items.find(({ metadata }: any) => (metadata.name ?? "") === resource.group);
      const version = group.versions.find((one: any) => one.version === resource.version);
      const found = version.resources.find((one: any) => one.resource === resource.plural);
      assert.deepEqual(
        [found.scope, found.singularResource, found.verbs, found.responseKind.kind],
        [
          resource.scope === "Cluster" ? "Cluster" : "Namespaced",
          resource.singular,
          [...resource.verbs],
          resource.kind,
        ],
      );
      assert.deepEqual(
        (found.subresources ?? []).map((one: any) => one.subresource).sort(),
        Object.keys(resource.subresources).sort(),
      );
    }
  }
});

test("what is off by default is not there until it is asked for", async () => {
  await using usual = await startServer(nodeWorld(), ASKABLE);
  for (const resource of builtinResources) {
    if (!resource.verbs.includes("list")) continue;
    const answer = await ask(usual, "GET", pathOf(resource));
    assert.equal(answer.status, resource.servedByDefault ? 200 : 404, pathOf(resource));
  }
});

test("a scale can be applied, and who applied its replicas owns them", async () => {
  const name = "to-scale";
  const deployments = builtinResources.find(({ kind }) => kind === "Deployment")!;
  const collection = pathOf(deployments, { namespace: SAMPLE_NAMESPACE });
  const sample = sampleOf(deployments);
  await ask(harness, "POST", collection, {
    body: JSON.stringify({ ...sample, metadata: { ...sample.metadata, name } }),
  });
  const apply = async (manager: string, replicas: number, force: boolean) => {
    const answer = await ask(harness, "PATCH", `${collection}/${name}/scale?fieldManager=${manager}&force=${force}`, {
      headers: { "content-type": "application/apply-patch+yaml" },
      body: JSON.stringify({ apiVersion: "autoscaling/v1", kind: "Scale", metadata: { name }, spec: { replicas } }),
    });
    return JSON.parse(answer.body.toString());
  };
  // Whoever created it owns the replicas, also where they are a default.
  assert.match(
    (await apply("first", 3, false)).message,
    /conflict with "unknown" using autoscaling\/v1: \.spec\.replicas$/,
  );
  const first = await apply("first", 3, true);
  assert.equal(first.spec?.replicas, 3, JSON.stringify(first));
  const { message } = await apply("second", 4, false);
  assert.match(message, /^Apply failed with 1 conflict: conflict with "first" .*\.spec\.replicas$/);
});
