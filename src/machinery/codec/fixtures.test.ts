/** Upstream's own sample of every kind, in all three encodings, through our codecs and back. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { allSchemas } from "../../api/schemas.ts";
import type { Schema } from "../schema/schema.ts";
import { decodeJson } from "./json.ts";
import { ProtobufCodec } from "./protobuf.ts";
import { decodeYaml, encodeYaml } from "./yaml.ts";

const folder = `${process.env["T8S_PEER_DATA"] ?? "../shared/peer-data"}/kubernetes-api-fixtures`;
const skip = existsSync(folder) ? false : "no fixtures: set T8S_PEER_DATA";

const names = skip === false ? readdirSync(folder).filter((file) => file.endsWith(".json")) : [];
const codec = new ProtobufCodec();

/** Groups whose package has a name of its own. */
const SPELT: Readonly<Record<string, readonly string[]>> = {
  core: ["core", "meta"],
  "flowcontrol.apiserver.k8s.io": ["flowcontrol"],
  "internal.apiserver.k8s.io": ["apiserverinternal"],
};

/** `core.v1.Pod` -> its schema: the group's first word is enough. */
function schemaFor(file: string): Schema {
  const [, group, version, kind] = /^(.+)\.(v[^.]+)\.(.+)\.json$/.exec(file)!;
  const words = SPELT[group!] ?? [group!.split(".")[0]!];
  for (const word of words)
    for (const [name, schema] of allSchemas()) if (name.endsWith(`.${word}.${version}.${kind}`)) return schema;
  throw new Error(`no schema for ${file}`);
}

for (const file of names) {
  const base = `${folder}/${file.slice(0, -5)}`;
  test(`${file.slice(0, -5)} goes through JSON, YAML and protobuf unchanged`, () => {
    const schema = schemaFor(file);
    const given = JSON.parse(readFileSync(`${base}.json`, "utf8"));
    const { object, warnings } = decodeJson(JSON.stringify(given), schema, { fieldValidation: "Strict" });
    assert.deepEqual(warnings, []);
    assert.deepEqual(object, given);
    assert.equal(JSON.stringify(object), JSON.stringify(given), "the order of fields");
    assert.deepEqual(
      decodeYaml(readFileSync(`${base}.yaml`, "utf8"), schema, { fieldValidation: "Strict" }).object,
      given,
    );
    assert.equal(encodeYaml(object), readFileSync(`${base}.yaml`, "utf8"));
    const bytes = readFileSync(`${base}.pb`);
    assert.deepEqual(codec.decode(bytes, schema).object, given);
    assert.equal(codec.encode(object, schema).toString("hex"), bytes.toString("hex"));
  });
}

test("the fixtures are there", { skip }, () => assert.ok(names.length >= 185));
