/** Every resource, every subresource, every method, patch type and encoding: what the server answers is the page `docs/reference/resources.md`. */
import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { after, test } from "node:test";
import { builtinResources } from "../api/index.ts";
import { apiVersionOf } from "../machinery/resource.ts";
import type { Resource } from "../machinery/resource.ts";
import { goldenFile } from "../testing/golden.ts";
import type { EndpointRow, Question, Reply } from "../testing/protocol-table.ts";
import { askEverything } from "../testing/protocol-table.ts";
import { protocolPage } from "../testing/protocol-page.ts";
import { nodeWorld } from "../world/node/index.ts";
import { customResource } from "./crd/resource.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import { startServer } from "./testing/harness.ts";

const DISCOVERY = `${process.env["T8S_PEER_DATA"] ?? "../shared/peer-data"}/discovery/aggregated_v2.json`;
const PAGE = new URL("../../docs/reference/resources.md", import.meta.url).pathname;

const harness = await startServer(nodeWorld(), {
  ...ASKABLE,
  resources: builtinResources,
  featureGates: new Map([["CBORServingAndStorage", true]]),
  disableAdmissionPlugins: ["ServiceAccount"],
});
after(() => harness[Symbol.asyncDispose]());

/** A custom resource with both of its subresources. */
const DEFINITION = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "gadgets.example.com" },
  spec: {
    group: "example.com",
    names: { plural: "gadgets", singular: "gadget", kind: "Gadget", listKind: "GadgetList" },
    scope: "Namespaced",
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        subresources: {
          status: {},
          scale: { specReplicasPath: ".spec.replicas", statusReplicasPath: ".status.replicas" },
        },
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: { type: "object", properties: { replicas: { type: "integer" } } },
              status: { type: "object", properties: { replicas: { type: "integer" } } },
            },
          },
        },
      },
    ],
  },
};
const gadgetAt = (index: number) => ({
  apiVersion: "example.com/v1",
  kind: "Gadget",
  metadata: { name: `sample-${index}`, namespace: "default" },
  spec: { replicas: 1 },
});

/** Defines it, and gives the resource that is served then. */
async function define(): Promise<Resource> {
  const url = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
  const created = await call({ method: "POST", url, body: JSON.stringify(DEFINITION) });
  assert.equal(created.status, 201, created.body.toString());
  const { spec } = DEFINITION;
  const [version] = spec.versions;
  for (;;) {
    const { status } = await call({ method: "GET", url: `/apis/${spec.group}/${version!.name}/${spec.names.plural}` });
    if (status === 200) return customResource(JSON.parse(created.body.toString()), DEFINITION.spec.versions[0] as any);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function call({ method, url, accept, contentType, body, endless }: Question): Promise<Reply> {
  const gone = new AbortController();
  const answer = await ask(harness, method, url, {
    headers: {
      ...(accept !== undefined && { accept }),
      ...(contentType !== undefined && { "content-type": contentType }),
    },
    ...(body !== undefined && { body }),
    signal: gone.signal,
    ...(endless === true && { onOpen: () => setImmediate(() => gone.abort()) }),
  });
  return { status: answer.status, contentType: String(answer.headers["content-type"] ?? ""), body: answer.body };
}

const rows: EndpointRow[] = [];
for (const resource of builtinResources) rows.push(...(await askEverything(call, resource)));
rows.push(...(await askEverything(call, await define(), gadgetAt)));

test("what discovery promises is there, and nothing else", () => {
  for (const { resource, subresource, tables } of rows) {
    const verbs: readonly string[] = subresource === "" ? resource.verbs : resource.subresources[subresource]!.verbs;
    for (const [column, verb] of Object.entries(subresource === "" ? VERBS : SUBRESOURCE_VERBS)) {
      const { status } = tables.methods[column]!;
      const served = status !== 404 && status !== 405;
      const name = `${column} of ${resource.plural}/${subresource} in ${apiVersionOf(resource)}: ${status}`;
      // A binding is created for a pod that has to be there, and the log of a pod is not an object.
      if (resource.kind === "Binding" && verb === "create") continue;
      // A service that nothing stands behind is told of as one that isn't there.
      if (resource.kind === "Service" && subresource === "proxy") continue;
      assert.equal(served, verbs.includes(verb), name);
    }
  }
});

const VERBS = {
  "GET one": "get",
  "GET all": "list",
  watch: "watch",
  "POST to all": "create",
  "PUT one": "update",
  "PATCH one": "patch",
  "DELETE one": "delete",
  "DELETE all": "deletecollection",
};
const SUBRESOURCE_VERBS = {
  "GET one": "get",
  "POST to one": "create",
  "PUT one": "update",
  "PATCH one": "patch",
  "DELETE one": "delete",
};

test(
  "every resource and verb of upstream's discovery has its row",
  { skip: existsSync(DISCOVERY) ? false : "no discovery: set T8S_PEER_DATA" },
  () => {
    const found = new Set(
      rows.flatMap(({ resource, subresource }) => {
        const verbs: readonly string[] =
          subresource === "" ? resource.verbs : resource.subresources[subresource]!.verbs;
        const name = `${resource.plural}${subresource && `/${subresource}`}`;
        return verbs.map((verb) => `${apiVersionOf(resource)} ${name} ${verb}`);
      }),
    );
    for (const group of JSON.parse(readFileSync(DISCOVERY, "utf8")).items)
      for (const { version, resources } of group.versions)
        for (const { resource, verbs, subresources = [] } of resources) {
          const apiVersion = `${group.metadata.name}/${version}`;
          for (const verb of verbs) assert.ok(found.has(`${apiVersion} ${resource} ${verb}`), `${resource} ${verb}`);
          for (const part of subresources)
            for (const verb of part.verbs)
              assert.ok(found.has(`${apiVersion} ${resource}/${part.subresource} ${verb}`), part.subresource);
        }
  },
);

test("the page of resources shows what the server answers", () => goldenFile(PAGE, protocolPage(rows)));
