import assert from "node:assert/strict";
import { test } from "node:test";
import { builtinResources } from "../../api/index.ts";
import { allSchemas, kindsOf } from "../../api/schemas.ts";
import { documentHash, openApiV2 } from "../../machinery/openapi/document.ts";
import type { Resource } from "../../machinery/resource.ts";
import type { Registry } from "../registry/registry.ts";
import type { ApiRequest } from "../request.ts";
import { Turns } from "../turns.ts";
import { VERSION } from "../version.ts";
import { Documents } from "./documents.ts";

const MAPS = builtinResources.find(({ plural }) => plural === "configmaps")!;
const custom = (group: string): Resource => ({
  ...MAPS,
  group,
  kind: "Widget",
  listKind: "WidgetList",
  plural: "widgets",
  schema: { type: "object" },
});

/** Documents of a registry that can change; each look at the clock takes a slice's time. */
function documentsOf(resources: Resource[]) {
  let turns = 0;
  let now = 0;
  const built: string[] = [];
  const registry = {
    version: 0,
    resources,
    customSchema(group: string) {
      built.push(group);
      return { type: "object", description: `of ${group}` };
    },
  };
  const clock = {
    now: () => 0,
    monotonic: () => (now += 10),
    soon(act: () => void) {
      turns++;
      setImmediate(act);
    },
  };
  const documents = new Documents(registry as unknown as Registry, undefined, clock, new Turns(clock as never), false);
  const get = async (path: string) => {
    const request = { path, query: new URLSearchParams(), header: () => undefined, responseHeaders: new Map() };
    const answer = await documents.answer(request as unknown as ApiRequest);
    assert.ok(answer?.kind === "raw");
    return { headers: answer.headers, body: Buffer.from(answer.body as string | Uint8Array).toString() };
  };
  return { registry, built, get, turns: () => turns };
}

test("the document of v2 is built in turns with others, once for all who ask, and has the bytes of what is built at once", async () => {
  const { registry, get, turns } = documentsOf([...builtinResources, custom("a.example.com")]);
  const [one, other] = await Promise.all([get("/openapi/v2"), get("/openapi/v2")]);
  const source = { schemas: allSchemas(), kinds: kindsOf, version: `${VERSION.major}.${VERSION.minor}` };
  const whole = JSON.stringify(
    openApiV2(registry.resources, { ...source, custom: (group) => registry.customSchema(group) }),
  );
  assert.equal(one.body, whole);
  assert.equal(other.body, whole);
  assert.equal(one.headers["etag"], `"${documentHash(whole)}"`);
  assert.ok(turns() > 1000, `${turns()} turns`);
  const before = turns();
  await get("/openapi/v2");
  assert.equal(turns(), before);
});

test("of v3 only the documents of groups that have changed are built again", async () => {
  const { registry, built, get, turns } = documentsOf([
    ...builtinResources,
    custom("a.example.com"),
    custom("b.example.com"),
  ]);
  const hashes = async (): Promise<Record<string, string>> => {
    const { paths } = JSON.parse((await get("/openapi/v3")).body);
    return Object.fromEntries(
      Object.entries<any>(paths).map(([path, { serverRelativeURL }]) => [path, serverRelativeURL.split("hash=")[1]]),
    );
  };
  const before = await hashes();
  assert.ok(turns() > 30, `${turns()} turns`);
  assert.deepEqual(built, ["a.example.com", "b.example.com"]);
  const [, b] = registry.resources.splice(-2, 2, { ...custom("a.example.com"), singular: "gadget", plural: "gadgets" });
  registry.resources.push(b!);
  registry.version++;
  const after = await hashes();
  assert.deepEqual(built, ["a.example.com", "b.example.com", "a.example.com"]);
  const changed = Object.keys(after).filter((path) => after[path] !== before[path]);
  assert.deepEqual(changed, ["apis/a.example.com/v1"]);
  assert.equal(documentHash((await get("/openapi/v3/apis/b.example.com/v1")).body), after["apis/b.example.com/v1"]);
  registry.resources.pop();
  registry.version++;
  assert.equal((await hashes())["apis/b.example.com/v1"], undefined);
});
