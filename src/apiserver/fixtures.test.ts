/** Upstream's own sample of every kind, every field filled, sent to the server: it is stored as it was sent or refused with a reason, never a failure. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { after, test } from "node:test";
import { isDeepStrictEqual } from "node:util";
import { builtinResources } from "../api/index.ts";
import { pathOf } from "../machinery/resource.ts";
import { SAMPLE_NAMESPACE, sampleOf } from "../testing/samples.ts";
import { nodeWorld } from "../world/node/index.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import { startServer } from "./testing/harness.ts";

const folder = `${process.env["T8S_PEER_DATA"] ?? "../shared/peer-data"}/kubernetes-api-fixtures`;
const skip = existsSync(folder) ? false : "no fixtures: set T8S_PEER_DATA";
const files = skip === false ? readdirSync(folder).filter((file) => file.endsWith(".json")) : [];

const harness = await startServer(nodeWorld(), {
  ...ASKABLE,
  resources: builtinResources,
  disableAdmissionPlugins: ["ServiceAccount"],
});
after(() => harness[Symbol.asyncDispose]());

const resourceOf = (file: string) => {
  const [, group, version, kind] = /^(.+)\.(v[^.]+)\.(.+)\.json$/.exec(file)!;
  return builtinResources.find(
    (one) => (one.group || "core") === group && one.version === version && one.kind === kind,
  );
};

interface Reply {
  readonly status: number;
  readonly body: any;
}

async function send(
  method: string,
  path: string,
  body?: Uint8Array | string,
  contentType = "application/json",
): Promise<Reply> {
  const answer = await ask(harness, method, path, {
    headers: { "content-type": contentType },
    ...(body !== undefined && { body }),
  });
  return { status: answer.status, body: JSON.parse(answer.body.toString()) };
}

/** Upstream has no reason for this one either. */
const RAW = "resourceVersion should not be set on objects to be created";

function assertRefusal({ status, body }: Reply, file: string): void {
  if (body.message === RAW) return;
  assert.ok([400, 403, 404, 409, 422].includes(status), `${file}: ${JSON.stringify(body)}`);
  assert.deepEqual([body.kind, body.status, body.code], ["Status", "Failure", status]);
  assert.ok(body.reason && body.message);
}

/** The object with what was refused as the sample has it, or taken away; undefined where nothing more can be done. */
function mended(object: any, sample: any, causes: readonly { readonly field?: string }[]): any {
  const next = structuredClone(object);
  let changed = false;
  for (const { field } of causes) {
    const path = (field ?? "").split(/[.[\]]+/).filter((part) => part !== "");
    const wanted = path.reduce((inner: any, key) => inner?.[key], sample);
    const parents = [next];
    while (parents.length < path.length && parents.at(-1)?.[path[parents.length - 1]!] !== undefined)
      parents.push(parents.at(-1)[path[parents.length - 1]!]);
    const inner = parents.at(-1);
    const last = path[parents.length - 1]!;
    if (wanted !== undefined && typeof inner === "object") {
      const here = path.slice(0, parents.length).reduce((one: any, key) => one[key], sample);
      changed ||= !isDeepStrictEqual(inner[last], here);
      inner[last] = structuredClone(here);
      continue;
    }
    // What isn't there can't go: then what it should be in.
    const [from, key] =
      typeof inner === "object" && inner?.[last] !== undefined
        ? [inner, last]
        : parents.length > 2
          ? [parents.at(-2), path[parents.length - 2]!]
          : [undefined, ""];
    if (from === undefined) continue;
    if (Array.isArray(from)) from.splice(Number(key), 1);
    else delete from[key];
    changed = true;
  }
  return changed ? next : undefined;
}

/** What no refusal of one field tells how to mend. */
function prepare(object: any, sample: any): void {
  if (sample.spec?.selector !== undefined) object.spec.selector = sample.spec.selector;
  for (const field of ["priorityClassName", "priority", "preemptionPolicy", "overhead", "runtimeClassName"])
    if (object.kind === "Pod") delete object.spec[field];
  if (object.kind === "Job") object.spec.manualSelector = true;
  if (object.kind === "Event") Object.assign(object, sample, { series: undefined });
  if (object.kind === "Node") object.spec = {};
  if (object.kind === "RuntimeClass") delete object.overhead;
  // An event is refused by the names that these fields have in the older group.
  if (object.apiVersion === "events.k8s.io/v1")
    for (const field of Object.keys(object)) if (field.startsWith("deprecated")) delete object[field];
  if (object.kind === "Service")
    object.spec = { ...object.spec, ...sample.spec, clusterIP: "", clusterIPs: [], loadBalancerSourceRanges: [] };
}

let kept = 0;
for (const file of files) {
  const resource = resourceOf(file);
  if (resource === undefined || resource.storage.virtual === true || !resource.verbs.includes("create")) continue;
  test(`${file.slice(0, -5)} is answered`, async () => {
    const at = resource.scope === "Namespaced" ? { namespace: SAMPLE_NAMESPACE } : {};
    const collection = pathOf(resource, at);
    const base = `${folder}/${file.slice(0, -5)}`;
    for (const [extension, type] of [
      ["json", "application/json"],
      ["yaml", "application/yaml"],
      ["pb", "application/vnd.kubernetes.protobuf"],
    ])
      assertRefusal(await send("POST", collection, readFileSync(`${base}.${extension}`), type), file);

    const { name } = sampleOf(resource).metadata;
    let object = JSON.parse(readFileSync(`${base}.json`, "utf8"));
    object.metadata = { name, labels: object.metadata.labels, ...at };
    prepare(object, sampleOf(resource));
    for (let round = 0; object !== undefined && round < 30; round++) {
      const reply = await send("POST", collection, JSON.stringify(object));
      if (reply.status !== 201) {
        assertRefusal(reply, file);
        object = mended(object, sampleOf(resource), reply.body.details?.causes ?? []);
        continue;
      }
      kept++;
      const one = pathOf(resource, { ...at, name });
      // Of these the server writes the status itself, in a turn of its own.
      const isLive = ["APIService", "CustomResourceDefinition", "FlowSchema"].includes(resource.kind);
      if (!isLive) assert.deepEqual((await send("GET", one)).body, reply.body);
      const again = await send("PUT", one, JSON.stringify(reply.body));
      if (!isLive || again.status !== 409) assert.equal(again.status, 200, JSON.stringify(again.body));
      await send("DELETE", one);
      await send("PATCH", one, '{"metadata":{"finalizers":null}}', "application/merge-patch+json");
      return;
    }
  });
}

test("the fixtures are there, and most are kept when what they refuse is taken away", { skip }, () => {
  assert.ok(files.length >= 185);
  assert.ok(kept >= 75, `${kept} kept`);
});
