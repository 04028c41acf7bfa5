import assert from "node:assert/strict";
import { test } from "node:test";
import { bodyFormat, parseAccept } from "./content.ts";

test("the clauses of an Accept header come best first, and what is more specific before what isn't", () => {
  const types = (header: string) => parseAccept(header).map(({ type }) => type);
  assert.deepEqual(types("application/json;q=0.5, application/vnd.kubernetes.protobuf"), [
    "application/vnd.kubernetes.protobuf",
    "application/json",
  ]);
  assert.deepEqual(types("*/*, application/*, text/html"), ["text/html", "application/*", "*/*"]);
  assert.deepEqual(types("application/json;q=0, a/b"), ["a/b", "application/json"], "no quality is the last");
  assert.deepEqual(types("garbage, a/b/c, *, , a /b"), ["a/b", "*/*"], "what is no media type is left out");
  assert.deepEqual(parseAccept('application/json; as=Table ;v="v1";empty;q=x')[0], {
    type: "application/json",
    parameters: { as: "Table", v: '"v1"' },
    quality: 0,
  });
});

test("a body says what it is, or is refused with 415", () => {
  assert.equal(bodyFormat(undefined), "json");
  assert.equal(bodyFormat("application/json; charset=utf-8"), "json");
  assert.throws(() => bodyFormat("text/plain"), {
    code: 415,
    message:
      "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
  });
});
