/** Every built-in resource goes through everything that the API does with it: this is what "served" means. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { builtinResources } from "../api/index.ts";
import { goJson } from "../machinery/codec/go-json.ts";
import { ProtobufCodec } from "../machinery/codec/protobuf.ts";
import { encodeYaml, parseYaml } from "../machinery/codec/yaml.ts";
import type { Resource } from "../machinery/resource.ts";
import { apiVersionOf, pathOf } from "../machinery/resource.ts";
import { qualified } from "../machinery/status.ts";
import { SAMPLE_NAMESPACE, sampleOf, sampleStatusOf } from "../testing/samples.ts";
import { nodeWorld } from "../world/node/index.ts";
import type { Asked } from "./testing/ask.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import { startServer } from "./testing/harness.ts";

const harness = await startServer(nodeWorld(), {
  ...ASKABLE,
  resources: builtinResources,
  // No controller makes the accounts that pods would get.
  disableAdmissionPlugins: ["ServiceAccount"],
});
after(() => harness[Symbol.asyncDispose]());

const codec = new ProtobufCodec();
const stored = builtinResources.filter(({ storage }) => storage.virtual !== true);

interface Reply {
  readonly status: number;
  readonly body: any;
}

async function call(method: string, path: string, body?: unknown, asked: Asked = {}): Promise<Reply> {
  const answer = await ask(harness, method, path, {
    ...asked,
    ...(body !== undefined && { body: typeof body === "string" ? body : JSON.stringify(body) }),
  });
  return { status: answer.status, body: JSON.parse(answer.body.toString()) };
}

async function expect(code: number, method: string, path: string, body?: unknown, asked: Asked = {}): Promise<any> {
  const reply = await call(method, path, body, asked);
  assert.equal(reply.status, code, `${method} ${path}: ${JSON.stringify(reply.body)}`);
  return reply.body;
}

const patch = (code: number, path: string, type: string, body: unknown) =>
  expect(code, "PATCH", path, body, { headers: { "content-type": type } });
const accept = (type: string) => ({ headers: { accept: type } });
const TABLE = "application/json;as=Table;g=meta.k8s.io;v=v1";
const METADATA = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";
const METADATA_LIST = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1";
const MERGE = "application/merge-patch+json";
const APPLY = "application/apply-patch+yaml";

function pathsOf(resource: Resource, name: string) {
  const namespace = resource.scope === "Namespaced" ? { namespace: SAMPLE_NAMESPACE } : {};
  return { collection: pathOf(resource, namespace), one: pathOf(resource, { ...namespace, name }) };
}

function labelled(object: any, labels: Readonly<Record<string, string>>): any {
  return { ...object, metadata: { ...object.metadata, labels: { ...object.metadata.labels, ...labels } } };
}

/** What is gone only when its finalizers are done with it. */
async function finish(resource: Resource, one: string): Promise<void> {
  const reply = await call("GET", one);
  if (reply.status === 404) return;
  if (resource.kind === "Namespace")
    await expect(200, "PUT", `${one}/finalize`, { ...reply.body, spec: { finalizers: [] } });
  else {
    const reply = await call("PATCH", one, { metadata: { finalizers: null } }, { headers: { "content-type": MERGE } });
    // The server's own controllers may have been done with it meanwhile.
    if (reply.status !== 404 || !isLive(resource)) assert.equal(reply.status, 200, JSON.stringify(reply.body));
  }
}

/** What a watch has to say of one object, from a revision to its end. */
function follow(resource: Resource, name: string, resourceVersion: string) {
  const { collection } = pathsOf(resource, name);
  const gone = new AbortController();
  const query = new URLSearchParams({ watch: "1", resourceVersion, fieldSelector: `metadata.name=${name}` });
  const done = ask(harness, "GET", `${collection}?${query}`, {
    signal: gone.signal,
    onStream(chunks) {
      if (
        Buffer.concat([...chunks])
          .toString()
          .includes('{"type":"DELETED"')
      )
        gone.abort();
    },
  });
  return async (): Promise<readonly string[]> => {
    const { body } = await done;
    const types = body
      .toString()
      .trim()
      .split("\n")
      .map((line) => (JSON.parse(line) as { type: string }).type);
    return types.filter((type, i) => type !== types[i - 1]);
  };
}

for (const resource of stored) {
  const title = `${resource.plural} of ${apiVersionOf(resource)}`;
  const sample = sampleOf(resource);
  const { name } = sample.metadata;
  const { collection, one } = pathsOf(resource, name);

  test(`${title} are created, read in every form, changed in every way, selected, paged and deleted`, async () => {
    const before = await expect(200, "GET", collection);
    assert.deepEqual([before.kind, before.apiVersion], [resource.listKind, apiVersionOf(resource)]);
    const events = follow(resource, name, before.metadata.resourceVersion);

    // Dry run first: nothing may be left of it.
    const rehearsed = await expect(201, "POST", `${collection}?dryRun=All`, sample);
    assert.equal(rehearsed.metadata.name, name);
    await assertBodies(resource, collection, sample, rehearsed);
    const missing = await expect(404, "GET", one);
    assert.deepEqual(
      [missing.kind, missing.reason, missing.message],
      ["Status", "NotFound", `${qualified(resource)} "${name}" not found`],
    );

    const answered = await expect(201, "POST", collection, sample);
    const created = await settled(resource, one, answered);
    assert.deepEqual(
      [created.apiVersion, created.kind, created.metadata.name, created.metadata.namespace],
      [sample.apiVersion, sample.kind, name, sample.metadata.namespace],
    );
    assert.match(created.metadata.uid, /^[0-9a-f-]{36}$/);
    assert.match(created.metadata.creationTimestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
    // Who sets nothing but a name, or what the endpoint puts back, owns nothing.
    const passed = ["apiVersion", "kind", "metadata", ...(resource.resetFields?.[""] ?? [])];
    const owned = Object.entries(sample).filter(([field]) => !passed.includes(field));
    if (owned.some(([, value]) => JSON.stringify(value) !== "{}"))
      assert.ok(created.metadata.managedFields?.length > 0);
    const twice = await expect(409, "POST", collection, sample);
    assert.deepEqual(
      [twice.reason, twice.message],
      ["AlreadyExists", `${qualified(resource)} "${name}" already exists`],
    );

    if (!isLive(resource)) assert.deepEqual(await expect(200, "GET", one), created);
    await assertForms(resource, one, collection, created);
    await assertInitialEvents(resource, collection, name);

    const updated = await change(resource, one, (now) => labelled(now, { step: "put" }));
    assert.equal(updated.metadata.labels.step, "put");
    assert.notEqual(updated.metadata.resourceVersion, created.metadata.resourceVersion);
    const stale = await expect(409, "PUT", one, labelled(created, { step: "stale" }));
    assert.equal(
      stale.message,
      `Operation cannot be fulfilled on ${qualified(resource)} "${name}": the object has been modified; please apply your changes to the latest version and try again`,
    );
    const unconditional = await call("PUT", one, {
      ...updated,
      metadata: { ...updated.metadata, resourceVersion: undefined },
    });
    assert.equal(unconditional.status, resource.unconditionalUpdate ? 200 : 422, JSON.stringify(unconditional.body));
    if (!resource.unconditionalUpdate)
      assert.match(
        unconditional.body.message,
        /metadata\.resourceVersion: Invalid value: 0: must be specified for an update/,
      );

    const renamed = await expect(400, "PUT", one, { ...created, metadata: { ...created.metadata, name: "other" } });
    assert.equal(renamed.message, `the name of the object (other) does not match the name on the URL (${name})`);

    await assertPatches(one, sample, isLive(resource));
    if (resource.subresources["status"] !== undefined) await assertStatus(resource, one);
    await assertSelection(resource, one, collection, name);

    await expect(200, "DELETE", `${one}?dryRun=All&gracePeriodSeconds=0`);
    assert.equal((await expect(200, "GET", one)).metadata.deletionTimestamp, undefined);
    const wrong = await expect(409, "DELETE", one, {
      kind: "DeleteOptions",
      apiVersion: "v1",
      preconditions: { uid: "another" },
    });
    assert.equal(wrong.reason, "Conflict");
    const deleted = await expect(200, "DELETE", `${one}?gracePeriodSeconds=0`);
    assert.ok(deleted.status === "Success" || deleted.metadata.uid === created.metadata.uid);
    await finish(resource, one);
    assert.equal((await expect(404, "GET", one)).message, `${qualified(resource)} "${name}" not found`);
    assert.equal((await expect(404, "DELETE", one)).reason, "NotFound");
    assert.deepEqual(await events(), ["ADDED", "MODIFIED", "DELETED"]);

    const onMissing = await call("PUT", one, sample);
    assert.equal(onMissing.status, resource.createOnUpdate ? 201 : 404, JSON.stringify(onMissing.body));
    if (resource.createOnUpdate) await expect(200, "DELETE", one);
  });
}

/** The server itself writes the status of what it serves for others. */
const isLive = ({ kind }: Resource): boolean => ["APIService", "CustomResourceDefinition", "FlowSchema"].includes(kind);

async function settled(resource: Resource, one: string, created: any): Promise<any> {
  if (!isLive(resource)) return created;
  for (;;) {
    const now = await expect(200, "GET", one);
    if (now.status?.conditions?.length > 0) return now;
    // The piece may be written in a later turn.
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Reads, changes and writes as a client does, which tries again only where the server's own controllers come between. */
async function change(resource: Resource, one: string, make: (current: any) => any, path = one): Promise<any> {
  for (;;) {
    const reply = await call("PUT", path, make(await expect(200, "GET", one)));
    if (reply.status === 409 && isLive(resource)) continue;
    assert.equal(reply.status, 200, `PUT ${path}: ${JSON.stringify(reply.body)}`);
    return reply.body;
  }
}

/** A body in YAML or protobuf says the same as one in JSON. */
async function assertBodies(resource: Resource, collection: string, sample: any, rehearsed: any): Promise<void> {
  const bodies: readonly (readonly [string, string | Uint8Array])[] = [
    ["application/yaml", encodeYaml(sample)],
    ["application/vnd.kubernetes.protobuf", codec.encode(sample, resource.schema)],
  ];
  // What is its own in each write.
  const same = ({ metadata, status: _, ...object }: any) => {
    const { uid: __, creationTimestamp: ___, managedFields: ____, ...rest } = metadata;
    const { clusterIP: _____, clusterIPs: ______, ...spec } = object.spec ?? {};
    return JSON.stringify({ ...object, spec, metadata: rest }).replaceAll(
      /"controller-uid":"[^"]*"|uid":"[^"]*"|"timeAdded":"[^"]*"/g,
      "",
    );
  };
  for (const [type, body] of bodies) {
    const answer = await ask(harness, "POST", `${collection}?dryRun=All`, { body, headers: { "content-type": type } });
    assert.equal(answer.status, 201, `${type}: ${answer.body.toString()}`);
    assert.equal(same(JSON.parse(answer.body.toString())), same(rehearsed), type);
  }
}

/** A watch that begins with a list: all that is there, then the bookmark that says so. */
async function assertInitialEvents(resource: Resource, collection: string, name: string): Promise<void> {
  const events = await initialEvents(collection);
  const end = events.findIndex(({ type }) => type === "BOOKMARK");
  assert.equal(events[end].object.kind, resource.kind);
  assert.ok(Number(events[end].object.metadata.resourceVersion) > 0);
  await assertTableOfBookmark(collection);
  const first = events.slice(0, end);
  assert.ok(first.every(({ type }) => type === "ADDED"));
  assert.ok(first.some(({ object }) => object.metadata.name === name));
}

/** As a table the bookmark is a row of an object without a name: programs read the annotation from its metadata. */
async function assertTableOfBookmark(collection: string): Promise<void> {
  const { object: table } = (await initialEvents(collection, accept(TABLE))).at(-1);
  const [row, ...others] = table.rows;
  assert.deepEqual([table.kind, others.length], ["Table", 0]);
  assert.deepEqual(row.object.metadata.annotations, { "k8s.io/initial-events-end": "true" });
  assert.ok(row.cells.every((cell: unknown) => cell !== undefined && cell !== null && cell !== "undefined"));
}

/** What comes up to the bookmark after the list. */
async function initialEvents(collection: string, asked: Asked = {}): Promise<any[]> {
  const query = new URLSearchParams({
    watch: "1",
    sendInitialEvents: "true",
    resourceVersionMatch: "NotOlderThan",
    allowWatchBookmarks: "true",
  });
  const gone = new AbortController();
  const answer = await ask(harness, "GET", `${collection}?${query}`, {
    ...asked,
    signal: gone.signal,
    onStream(chunks) {
      if (
        Buffer.concat([...chunks])
          .toString()
          .includes("k8s.io/initial-events-end")
      )
        gone.abort();
    },
  });
  return answer.body
    .toString()
    .trim()
    .split("\n")
    .map((line) => JSON.parse(line));
}

/** JSON, YAML and protobuf; the object, its table and its metadata. */
async function assertForms(resource: Resource, one: string, collection: string, created: any): Promise<void> {
  const raw = async (path: string, type: string) => (await ask(harness, "GET", path, accept(type))).body;
  const now = isLive(resource) ? await expect(200, "GET", one) : created;
  assert.deepEqual(parseYaml((await raw(one, "application/yaml")).toString()), now);
  const protobuf = await raw(one, "application/vnd.kubernetes.protobuf");
  const decoded = codec.decode(protobuf, resource.schema).object;
  assert.deepEqual(JSON.parse(goJson(decoded, resource.schema)), now);
  const list = await expect(200, "GET", collection);
  assert.ok(list.items.some((item: any) => item.metadata.uid === created.metadata.uid));
  assert.ok(list.items.every((item: any) => item.kind === undefined || item.kind === resource.kind));
  for (const path of [one, collection]) {
    const table = await expect(200, "GET", path, undefined, accept(TABLE));
    assert.deepEqual([table.kind, table.apiVersion], ["Table", "meta.k8s.io/v1"]);
    const row = table.rows.find(({ object }: any) => object.metadata.uid === created.metadata.uid);
    const untold = resource.columns.filter(({ isUntold }) => isUntold === true).length;
    assert.equal(row.cells.length, table.columnDefinitions.length + untold);
    assert.equal(row.object.kind, "PartialObjectMetadata");
    const nameAt = table.columnDefinitions.findIndex((column: any) => column.format === "name");
    if (nameAt >= 0) assert.equal(row.cells[nameAt], created.metadata.name);
  }
  const metadata = await expect(200, "GET", one, undefined, accept(METADATA));
  assert.deepEqual(metadata, {
    kind: "PartialObjectMetadata",
    apiVersion: "meta.k8s.io/v1",
    metadata: now.metadata,
  });
  const metadataList = await expect(200, "GET", collection, undefined, accept(METADATA_LIST));
  assert.equal(metadataList.kind, "PartialObjectMetadataList");
  assert.ok(metadataList.items.some((item: any) => item.metadata.uid === created.metadata.uid));
}

async function assertPatches(one: string, { apiVersion, kind, ...sample }: any, live: boolean): Promise<void> {
  const labelsOf = (object: any) => object.metadata.labels;
  const merged = await patch(200, one, MERGE, { metadata: { labels: { step: null, merged: "1" } } });
  assert.deepEqual([labelsOf(merged).step, labelsOf(merged).merged], [undefined, "1"]);
  const jsoned = await patch(200, one, "application/json-patch+json", [
    { op: "test", path: "/metadata/labels/merged", value: "1" },
    { op: "add", path: "/metadata/labels/jsoned", value: "1" },
  ]);
  assert.equal(labelsOf(jsoned).jsoned, "1");
  const strategic = await patch(200, one, "application/strategic-merge-patch+json", {
    metadata: { labels: { strategic: "1" } },
  });
  assert.equal(labelsOf(strategic).strategic, "1");
  const rehearsed = await patch(200, `${one}?dryRun=All`, MERGE, { metadata: { labels: { dry: "1" } } });
  assert.equal(labelsOf(rehearsed).dry, "1");
  const same = await patch(200, one, MERGE, {});
  if (!live) assert.deepEqual(same, strategic);

  const document = (value: string) => ({
    apiVersion,
    kind,
    metadata: { name: sample.metadata.name, labels: { applied: value } },
  });
  const applied = await patch(200, `${one}?fieldManager=first`, APPLY, document("1"));
  assert.equal(labelsOf(applied).applied, "1");
  assert.ok(
    applied.metadata.managedFields.some(({ manager, operation }: any) => manager === "first" && operation === "Apply"),
  );
  const refused = await patch(409, `${one}?fieldManager=second`, APPLY, document("2"));
  assert.equal(refused.message, 'Apply failed with 1 conflict: conflict with "first": .metadata.labels.applied');
  assert.deepEqual(refused.details.causes, [
    { reason: "FieldManagerConflict", message: 'conflict with "first"', field: ".metadata.labels.applied" },
  ]);
  const forced = await patch(200, `${one}?fieldManager=second&force=true`, APPLY, document("2"));
  assert.equal(labelsOf(forced).applied, "2");
  // What a manager no longer applies goes.
  const dropped = await patch(200, `${one}?fieldManager=second`, APPLY, {
    ...document("2"),
    metadata: { name: sample.metadata.name },
  });
  assert.equal(labelsOf(dropped).applied, undefined);
  // All of the object, again: whoever applies what is there changes nothing but the managers.
  const whole = await patch(200, `${one}?fieldManager=third&force=true`, APPLY, { apiVersion, kind, ...sample });
  assert.deepEqual(whole.spec, dropped.spec);
}

async function assertStatus(resource: Resource, one: string): Promise<void> {
  const status = sampleStatusOf(resource);
  assert.ok(status !== undefined, `no sample status of ${resource.kind}`);
  const path = `${one}/status`;
  const live = isLive(resource);
  const now = await expect(200, "GET", path);
  if (!live) assert.deepEqual(now, await expect(200, "GET", one));
  const ofMain = await change(resource, one, (current) => ({ ...current, status }));
  if (!live) assert.deepEqual(ofMain.status, now.status, "the main resource writes no status");
  const ofStatus = await change(resource, one, (current) => ({ ...current, spec: undefined, status }), path);
  assert.deepEqual(ofStatus.spec, now.spec, "status writes no spec");
  assertHolds(ofStatus.status, status);
  assert.equal(ofStatus.metadata.generation, now.metadata.generation);
  const kept = await change(resource, one, (current) => labelled({ ...current, status: undefined }, { main: "1" }));
  if (!live) assert.deepEqual(kept.status, ofStatus.status);
  for (const type of [MERGE, "application/strategic-merge-patch+json"]) {
    const patched = await patch(200, path, type, { spec: { nonsense: 1 }, status });
    assertHolds(patched.status, status);
    assert.deepEqual(patched.spec, now.spec);
  }
  const applied = await patch(200, `${path}?fieldManager=status-applier&force=true`, APPLY, {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    metadata: { name: now.metadata.name },
    status,
  });
  assertHolds(applied.status, status);
  const entry = applied.metadata.managedFields.find(({ manager }: any) => manager === "status-applier");
  // Conditions of a request for a certificate are put back, and so are nobody's.
  if (resource.kind === "CertificateSigningRequest") assert.equal(entry, undefined);
  else assert.deepEqual([entry.operation, entry.subresource], ["Apply", "status"]);
  const stale = await expect(409, "PUT", path, { ...now, status: ofStatus.status });
  assert.equal(stale.reason, "Conflict");
}

/** All that is in `part` is in `whole`. */
function assertHolds(whole: any, part: any): void {
  for (const [key, value] of Object.entries(part ?? {})) {
    if (typeof value === "object" && value !== null && !Array.isArray(value)) assertHolds(whole?.[key], value);
    else if (Array.isArray(value)) value.forEach((item, i) => assertHolds(whole?.[key]?.[i] ?? {}, item));
    else assert.deepEqual(whole?.[key], value, key);
  }
}

async function assertSelection(resource: Resource, one: string, collection: string, name: string): Promise<void> {
  const others = [1, 2, 3].map((index) => labelled(sampleOf(resource, index), { batch: resource.plural }));
  for (const other of others) await expect(201, "POST", collection, other);
  const names = async (query: Readonly<Record<string, string>>, path = collection) => {
    const { items } = await expect(200, "GET", `${path}?${new URLSearchParams(query)}`);
    return items.map((item: any) => item.metadata.name).sort();
  };
  const batch = others.map(({ metadata }) => metadata.name).sort();
  assert.deepEqual(await names({ labelSelector: `batch=${resource.plural}` }), batch);
  assert.deepEqual(await names({ labelSelector: `batch in (${resource.plural}),!merged` }), batch);
  assert.deepEqual(await names({ fieldSelector: `metadata.name=${name}` }), [name]);
  assert.deepEqual(
    await names({ labelSelector: `batch=${resource.plural}`, fieldSelector: `metadata.name!=${batch[0]}` }),
    batch.slice(1),
  );
  for (const field of Object.keys(resource.selectableFields)) await names({ fieldSelector: `${field}=nobody` });
  const unknown = await expect(400, "GET", `${collection}?fieldSelector=no.such%3D1`);
  assert.match(
    unknown.message,
    /field label not supported(?: for \S+, Kind=\w+)?: no\.such|"no\.such" is not a known field selector|field label "no\.such" not supported for/,
  );
  if (resource.scope === "Namespaced")
    assert.deepEqual(await names({ labelSelector: `batch=${resource.plural}` }, pathOf(resource)), batch);

  for (const labelSelector of ["", `batch=${resource.plural}`]) {
    const all = await names({ labelSelector });
    const paged: string[] = [];
    let token = "";
    let revision: string | undefined;
    do {
      const query = new URLSearchParams({ limit: "2", labelSelector, continue: token });
      const page = await expect(200, "GET", `${collection}?${query}`);
      revision ??= page.metadata.resourceVersion;
      assert.equal(page.metadata.resourceVersion, revision, "pages are of one revision");
      assert.ok(page.items.length <= 2);
      paged.push(...page.items.map((item: any) => item.metadata.name));
      if (page.metadata.continue && labelSelector === "")
        assert.equal(page.metadata.remainingItemCount, all.length - paged.length);
      token = page.metadata.continue ?? "";
    } while (token !== "");
    assert.deepEqual(paged.sort(), all);
  }

  if (resource.verbs.includes("deletecollection")) {
    const query = new URLSearchParams({ labelSelector: `batch=${resource.plural}`, gracePeriodSeconds: "0" });
    await expect(200, "DELETE", `${collection}?${query}&dryRun=All`);
    assert.deepEqual(await names({ labelSelector: `batch=${resource.plural}` }), batch);
    const removed = await expect(200, "DELETE", `${collection}?${query}`);
    assert.equal(removed.kind, resource.listKind);
    for (const other of batch) await finish(resource, pathsOf(resource, other).one);
  } else {
    await expect(405, "DELETE", collection);
    for (const other of batch) {
      await expect(200, "DELETE", pathsOf(resource, other).one);
      await finish(resource, pathsOf(resource, other).one);
    }
  }
  assert.deepEqual(await names({ labelSelector: `batch=${resource.plural}` }), []);
  await expect(200, "GET", one);
}

test("what is not stored answers what it is asked", async () => {
  const attributes = { namespace: SAMPLE_NAMESPACE, verb: "get", resource: "pods" };
  const review = (name: string, spec?: object) =>
    expect(201, "POST", `/apis/authorization.k8s.io/v1/${name}`, { ...(spec && { spec }) });
  const asked = { user: "jane", resourceAttributes: attributes };
  assert.equal((await review("subjectaccessreviews", asked)).status.allowed, false);
  assert.equal((await review("subjectaccessreviews", { ...asked, groups: ["system:masters"] })).status.allowed, true);
  assert.equal((await review("selfsubjectaccessreviews", { resourceAttributes: attributes })).status.allowed, true);
  const local = `namespaces/${SAMPLE_NAMESPACE}/localsubjectaccessreviews`;
  assert.equal((await review(local, asked)).status.allowed, false);
  const { status } = await review("selfsubjectrulesreviews", { namespace: SAMPLE_NAMESPACE });
  assert.ok(status.resourceRules.some(({ verbs }: any) => verbs.includes("*")));

  const self = await expect(201, "POST", "/apis/authentication.k8s.io/v1/selfsubjectreviews", {});
  assert.equal(self.status.userInfo.username, "admin");
  const accounts = `/api/v1/namespaces/${SAMPLE_NAMESPACE}/serviceaccounts`;
  await expect(201, "POST", accounts, { metadata: { name: "robot" } });
  const { status: issued } = await expect(201, "POST", `${accounts}/robot/token`, {
    spec: { expirationSeconds: 3600 },
  });
  const tokens = "/apis/authentication.k8s.io/v1/tokenreviews";
  const known = await expect(201, "POST", tokens, { spec: { token: issued.token } });
  assert.deepEqual(
    [known.status.authenticated, known.status.user.username],
    [true, `system:serviceaccount:${SAMPLE_NAMESPACE}:robot`],
  );
  const unknown = await expect(201, "POST", tokens, { spec: { token: "nonsense" } });
  assert.notEqual(unknown.status.authenticated, true);

  const pods = `/api/v1/namespaces/${SAMPLE_NAMESPACE}/pods`;
  const pod = { metadata: { name: "bound" }, spec: { containers: [{ name: "c", image: "i" }] } };
  await expect(201, "POST", pods, pod);
  await expect(201, "POST", `/api/v1/namespaces/${SAMPLE_NAMESPACE}/bindings`, {
    metadata: { name: "bound" },
    target: { kind: "Node", name: "n" },
  });
  assert.equal((await expect(200, "GET", `${pods}/bound`)).spec.nodeName, "n");
  const { items } = await expect(200, "GET", "/api/v1/componentstatuses");
  assert.deepEqual(
    items.map(({ metadata }: any) => metadata.name),
    ["controller-manager", "scheduler", "etcd-0"],
  );
  assert.equal(
    (await expect(404, "GET", "/api/v1/componentstatuses/nobody")).message,
    'componentstatus "nobody" not found',
  );
});
