/** Definitions that come, quarrel over names, and go. The outcomes are upstream's. */
import assert from "node:assert/strict";
import { after, test } from "node:test";
import { builtinResources } from "../../api/index.ts";
import { nodeWorld } from "../../world/node/index.ts";
import { ask, ASKABLE } from "../testing/ask.ts";
import { startServer } from "../testing/harness.ts";

const world = nodeWorld();
const harness = await startServer(world, { ...ASKABLE, resources: builtinResources });
after(() => harness[Symbol.asyncDispose]());

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const MERGE = "application/merge-patch+json";

async function send(method: string, url: string, body?: unknown, type = "application/json"): Promise<any> {
  const answer = await ask(harness, method, url, {
    headers: { "content-type": type },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = answer.body.toString();
  return text.startsWith("{") ? JSON.parse(text) : text;
}

const define = (group: string, plural: string, kind: string, names: object = {}): Promise<any> =>
  send("POST", CRDS, {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.${group}` },
    spec: {
      group,
      scope: "Namespaced",
      names: { plural, kind, ...names },
      versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: { type: "object" } } }],
    },
  });

const condition = (definition: any, type: string): string => {
  const found = definition.status?.conditions?.find((one: any) => one.type === type);
  return `${found?.status} ${found?.reason}: ${found?.message}`;
};

/** Asked again until it is so. */
async function once(url: string, isSo: (answer: any) => boolean): Promise<any> {
  for (let i = 0; i < 12_000; i++) {
    const answer = await send("GET", url);
    if (isSo(answer)) return answer;
    await new Promise<void>((resolve) => void world.clock.after(5, resolve));
  }
  return assert.fail(`${url} never came to be so`);
}

const served = (definition: any) => condition(definition, "Established").startsWith("True");

test("names that a definition gives back are taken by the one that waits for them", async () => {
  await define("fruit.example.com", "apples", "Apple", { shortNames: ["ap"] });
  const first = await once(`${CRDS}/apples.fruit.example.com`, served);
  assert.deepEqual(first.metadata.managedFields.map((one: any) => `${one.manager} ${one.subresource}`).sort(), [
    "kube-apiserver status",
    "unknown undefined",
  ]);
  await define("fruit.example.com", "pears", "Pear", { shortNames: ["ap"] });
  const refused = await once(
    `${CRDS}/pears.fruit.example.com`,
    (one) => !condition(one, "Established").startsWith("undefined"),
  );
  assert.equal(condition(refused, "NamesAccepted"), 'False ShortNamesConflict: "ap" is already in use');
  assert.equal(condition(refused, "Established"), "False NotAccepted: not all names are accepted");
  assert.equal(await send("GET", "/apis/fruit.example.com/v1/pears"), "404 page not found\n");
  await send("PATCH", `${CRDS}/apples.fruit.example.com`, { spec: { names: { shortNames: [] } } }, MERGE);
  const waited = await once(`${CRDS}/pears.fruit.example.com`, served);
  assert.deepEqual(waited.status.acceptedNames.shortNames, ["ap"]);
});

test("a definition that goes waits for its objects, and lets none be made or changed by name", async () => {
  await define("going.example.com", "goers", "Goer");
  await once(`${CRDS}/goers.going.example.com`, served);
  const objects = "/apis/going.example.com/v1/namespaces/default/goers";
  const metadata = { name: "held", finalizers: ["a.b/c"] };
  await send("POST", objects, { apiVersion: "going.example.com/v1", kind: "Goer", metadata });
  const marked = await send("DELETE", `${CRDS}/goers.going.example.com`);
  assert.deepEqual(
    [marked.metadata.generation, marked.metadata.deletionGracePeriodSeconds, condition(marked, "Terminating")],
    [
      1,
      undefined,
      "True InstanceDeletionPending: CustomResourceDefinition marked for deletion; CustomResource deletion will begin soon",
    ],
  );
  const going = await once(`${CRDS}/goers.going.example.com`, (one) =>
    condition(one, "Terminating").includes("InProgress"),
  );
  assert.equal(
    condition(going, "Terminating"),
    "True InstanceDeletionInProgress: CustomResource deletion is in progress",
  );
  const { resources } = await send("GET", "/apis/going.example.com/v1");
  assert.deepEqual(resources[0].verbs, ["delete", "deletecollection", "get", "list", "watch"]);
  await send("PATCH", `${objects}/held`, { metadata: { finalizers: null } }, MERGE);
  await once(`${CRDS}/goers.going.example.com`, ({ code }) => code === 404);
});

test("a definition that was never served goes at once, and one with a finalizer of its own says that all objects are gone", async () => {
  await define("never.example.com", "as", "A", { singular: "a" });
  await once(`${CRDS}/as.never.example.com`, served);
  await define("never.example.com", "bs", "B", { singular: "a" });
  await once(`${CRDS}/bs.never.example.com`, ({ status }) => status.conditions !== undefined);
  const finalizers = ["a.b/c"];
  for (const name of ["as", "bs"]) {
    await send("PATCH", `${CRDS}/${name}.never.example.com`, { metadata: { finalizers } }, MERGE);
    await send("DELETE", `${CRDS}/${name}.never.example.com`);
  }
  const left = (name: string) =>
    once(`${CRDS}/${name}.never.example.com`, ({ metadata }) => metadata.finalizers.length === 1);
  assert.equal(condition(await left("as"), "Terminating"), "False InstanceDeletionCompleted: removed all instances");
  assert.equal(condition(await left("bs"), "Terminating"), "False NeverEstablished: resource was never established");
});
