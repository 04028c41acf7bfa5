/**
 * Every OpenAPI document says what upstream's says, but for its prose. The rows are what a kube-apiserver 1.36.2 with every group and version and with
 * `CBORServingAndStorage` answered, as `structureOf`, and the definition that it had.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, test } from "node:test";
import { builtinResources } from "../api/index.ts";
import { nodeWorld } from "../world/node/index.ts";
import { ask, ASKABLE } from "./testing/ask.ts";
import { startServer } from "./testing/harness.ts";
import { structureOf } from "./testing/openapi-structure.ts";

const { definition, structures } = JSON.parse(
  readFileSync(new URL("./openapi-structure.rows.json", import.meta.url), "utf8"),
);
const harness = await startServer(nodeWorld(), {
  ...ASKABLE,
  resources: builtinResources,
  featureGates: new Map([["CBORServingAndStorage", true]]),
  disableAdmissionPlugins: ["ServiceAccount"],
});
after(() => harness[Symbol.asyncDispose]());

const get = async (url: string) => JSON.parse(String((await ask(harness, "GET", url)).body));

test("documents of OpenAPI say what upstream's say, but for the prose", async () => {
  const body = JSON.stringify(definition);
  const headers = { "content-type": "application/json" };
  const { status } = await ask(harness, "POST", "/apis/apiextensions.k8s.io/v1/customresourcedefinitions", {
    headers,
    body,
  });
  assert.equal(status, 201);
  const paths = async () => Object.keys((await get("/openapi/v3")).paths);
  while (!(await paths()).includes("apis/odd.example.com/v1alpha1")) await new Promise((done) => setTimeout(done, 5));
  const ours: Record<string, string> = { v2: structureOf(await get("/openapi/v2")) };
  for (const path of await paths()) ours[path] = structureOf(await get(`/openapi/v3/${path}`));
  assert.deepEqual(ours, structures);
});
