import assert from "node:assert/strict";
import { test } from "node:test";
import type { CustomResourceDefinition } from "../../api/generated/apiextensions.v1.ts";
import type { RestRequest } from "../../client/transport.ts";
import { StatusError } from "../../machinery/status.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { startServer } from "../testing/harness.ts";
import { customResource } from "./resource.ts";

const DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const SOURCES = "/apis/example.com/v1/namespaces/default/sources";
const CONDITIONS = [{ type: "Ready", status: "Unknown", reason: "Pending" }];

const definition = {
  metadata: { name: "sources.example.com" },
  spec: {
    group: "example.com",
    scope: "Namespaced",
    names: { plural: "sources", kind: "Source" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                properties: { url: { type: "string" }, every: { type: "string", default: "1h" } },
              },
              status: {
                type: "object",
                default: { conditions: CONDITIONS },
                properties: {
                  phase: { type: "string", default: "New" },
                  conditions: {
                    type: "array",
                    items: { type: "object", "x-kubernetes-preserve-unknown-fields": true },
                  },
                },
              },
            },
          },
        },
        subresources: { status: {}, scale: { specReplicasPath: ".spec.n", statusReplicasPath: ".status.n" } },
      },
    ],
  },
} as unknown as CustomResourceDefinition;

async function sources() {
  const harness = await startServer(nodeWorld());
  const { transport } = harness.client();
  const send = (
    method: RestRequest["method"],
    path: string,
    body?: unknown,
    more: Partial<RestRequest> = {},
  ): Promise<any> => transport.send({ method, path, ...(body !== undefined && { body }), ...more } as RestRequest);
  await send("POST", DEFINITIONS, definition);
  return { harness, send };
}

const source = (name: string, more: object = {}) => ({
  apiVersion: "example.com/v1",
  kind: "Source",
  metadata: { name },
  spec: {},
  ...more,
});

test("a status that a create may not set has its defaults all the same", async () => {
  const { harness, send } = await sources();
  await using _ = harness;
  const status = { conditions: CONDITIONS, phase: "New" };
  const dry = await send("POST", SOURCES, source("a"), { query: { dryRun: "All" } });
  assert.deepEqual(dry.status, status);
  const made = await send("POST", SOURCES, source("a", { status: { phase: "Old" } }));
  assert.deepEqual(made.status, status);
  assert.deepEqual((await send("GET", `${SOURCES}/a`)).status, status);
  const fields = made.metadata.managedFields.map(({ fieldsV1 }: any) => Object.keys(fieldsV1));
  assert.deepEqual(fields, [["f:spec"]], "nobody owns what nobody set");
  const other = await send("POST", SOURCES, source("b"));
  await send(
    "PATCH",
    `${SOURCES}/b/status`,
    { status: { conditions: null } },
    {
      patchType: "application/merge-patch+json",
    },
  );
  assert.deepEqual(other.status, status, "two objects don't share their defaults");
  assert.deepEqual((await send("GET", `${SOURCES}/b`)).status, { phase: "New" });
  assert.deepEqual((await send("GET", `${SOURCES}/a`)).status, status);
});

test("a patch that names another uid is invalid, a replacement that does is in conflict", async () => {
  const { harness, send } = await sources();
  await using _ = harness;
  const { metadata } = await send("POST", SOURCES, source("a"));
  const refusal = (promise: Promise<unknown>) =>
    promise.then(
      () => "done",
      (error: unknown) => (error instanceof StatusError ? `${error.code} ${error.message}` : String(error)),
    );
  const wrong = 'is invalid: metadata.uid: Invalid value: "12345": field is immutable';
  const patch = { metadata: { uid: "12345" } };
  const merge = { patchType: "application/merge-patch+json" } as const;
  assert.equal(await refusal(send("PATCH", `${SOURCES}/a`, patch, merge)), `422 Source.example.com "a" ${wrong}`);
  const maps = "/api/v1/namespaces/default/configmaps";
  await send("POST", maps, { metadata: { name: "m" } });
  assert.equal(await refusal(send("PATCH", `${maps}/m`, patch, merge)), `422 ConfigMap "m" ${wrong}`);
  const put = source("a", { metadata: { name: "a", uid: "12345", resourceVersion: metadata.resourceVersion } });
  assert.match(await refusal(send("PUT", `${SOURCES}/a`, put)), /^409 .*UID in precondition: 12345/);
  const same = { metadata: { uid: metadata.uid, labels: { a: "b" } } };
  assert.equal((await send("PATCH", `${SOURCES}/a`, same, merge)).metadata.uid, metadata.uid);
});

test("a custom kind without columns of its own has an age that is a date, and its status is told before its scale", async () => {
  const { harness, send } = await sources();
  await using _ = harness;
  const { resources } = await send("GET", "/apis/example.com/v1");
  assert.deepEqual(
    resources.map(({ name }: any) => name),
    ["sources", "sources/status", "sources/scale"],
  );
  const { columns } = customResource(
    {
      ...definition,
      status: { conditions: [], storedVersions: ["v1"], acceptedNames: definition.spec.names },
    } as CustomResourceDefinition,
    definition.spec.versions[0]!,
  );
  assert.deepEqual(
    columns.map(({ name, type }) => [name, type]),
    [
      ["Name", "string"],
      ["Age", "date"],
    ],
  );
});

test("metadata that can't be read is refused for its first field in alphabetical order", async () => {
  const { harness, send } = await sources();
  await using _ = harness;
  const odd = { apiVersion: "example.com/v1", kind: "Source", metadata: { name: 1, annotations: 2 } };
  await assert.rejects(send("POST", SOURCES, odd), /ObjectMeta\.annotations of type/);
});
