import assert from "node:assert/strict";
import { test } from "node:test";
import { builtinResources } from "../api/index.ts";
import { ProtobufCodec } from "../machinery/codec/protobuf.ts";
import type { Resource } from "../machinery/resource.ts";
import { listParts } from "./list-parts.ts";
import type { Encoding } from "./negotiation.ts";
import type { ListResponse } from "./request.ts";
import { encodeResponse } from "./responses.ts";
import { Entry } from "./storage/entry.ts";

const codec = new ProtobufCodec();
const named = (plural: string) => builtinResources.find((one) => one.plural === plural)! as Resource;
const MAPS = named("configmaps");
const CUSTOM: Resource = {
  ...MAPS,
  group: "example.com",
  kind: "Widget",
  listKind: "WidgetList",
  schema: { type: "object" },
};

/** Text that looks like a place for items, and what is hard to write. */
const TRICKY = {
  items: "[]",
  text: 'a\nitems: []\n\n  "items": []\nrows: []\n',
  html: "<a>&\u2028",
  long: "word ".repeat(60),
  none: "",
};
const listOf = (resource: Resource, count: number): ListResponse => ({
  kind: "list",
  resource,
  metadata: { resourceVersion: "7", ...(count > 9 && { continue: "items: []", remainingItemCount: 3 }) },
  entries: Array.from({ length: count }, (_, at) => {
    const { group, version, kind } = resource;
    const metadata = { name: `one-${at}`, resourceVersion: `${at}`, labels: { items: "", rows: "x" } };
    const apiVersion = group === "" ? version : `${group}/${version}`;
    const object = { data: TRICKY, kind, apiVersion, metadata, ...(at % 2 === 0 && { items: [] }) };
    return new Entry(`/${at}`, at, object as never);
  }),
});

const ENCODINGS = (["application/yaml", "application/json"] as const).flatMap((mediaType) =>
  (["object", "table", "metadata"] as const).flatMap((as) =>
    (["Metadata", "Object", "None"] as const).map(
      (includeObject) => ({ mediaType, as, includeObject, asVersion: "v1", asList: true, pretty: true }) as Encoding,
    ),
  ),
);

const PRINTING = { nowMs: 0, describe: undefined };

test("a list that is written part by part has the bytes of the list that is written as a whole", () => {
  for (const encoding of ENCODINGS)
    for (const resource of [MAPS, CUSTOM])
      for (const count of [0, 1, 4, 5, 13]) {
        const response = listOf(resource, count);
        const parts = [...listParts(response, encoding, PRINTING, codec)!];
        const whole = encodeResponse(response, encoding, PRINTING, codec);
        assert.equal(Buffer.concat(parts).toString(), Buffer.from(whole).toString(), JSON.stringify(encoding));
        if (count === 13) assert.ok(parts.length > 4, "in parts");
      }
});

test("a table's rows are put in order as a whole, not part by part", () => {
  const schemas = named("flowschemas");
  const entries = Array.from({ length: 40 }, (_, at) => {
    const spec = { matchingPrecedence: 40 - at, priorityLevelConfiguration: { name: "exempt" } };
    const { group, version, kind } = schemas;
    const object = { apiVersion: `${group}/${version}`, kind, metadata: { name: `schema-${at}` }, spec };
    return new Entry(`/${at}`, at, object as never);
  });
  const response: ListResponse = { kind: "list", resource: schemas, metadata: {}, entries };
  for (const pretty of [false, true]) {
    const encoding = { mediaType: "application/json", as: "table", asVersion: "v1", includeObject: "None", pretty };
    const parts = [...listParts(response, encoding as Encoding, PRINTING, codec)!];
    const { rows } = JSON.parse(Buffer.concat(parts).toString());
    const names = rows.map(({ cells }: any) => cells[0]);
    assert.deepEqual(
      names,
      entries.map((_, at) => `schema-${39 - at}`),
    );
  }
});
