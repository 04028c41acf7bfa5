import assert from "node:assert/strict";
import { test } from "node:test";
import { bodyFormat, negotiate, objectTransforms, patchType } from "./content.ts";

test("the best clause that can be met wins", () => {
  const table = "application/json;as=Table;v=v1;g=meta.k8s.io";
  for (const [accept, expected] of [
    [undefined, "json"],
    ["*/*", "json"],
    ["application/*", "json"],
    ["application/yaml", "yaml"],
    ["application/json;q=0.5, application/vnd.kubernetes.protobuf", "protobuf"],
    ["application/vnd.kubernetes.protobuf, */*", "protobuf"],
    ["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", "json"],
    ["application/cbor, application/json", "json"],
    [`${table},application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json`, "json as Table v1"],
    ["application/json;as=Chair;v=v1;g=meta.k8s.io,application/json", "json"],
    [
      "application/vnd.kubernetes.protobuf;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1,application/json",
      "protobuf as PartialObjectMetadataList v1",
    ],
  ] as const) {
    const { format, as } = negotiate(accept, { transforms: objectTransforms });
    assert.equal(as === undefined ? format : `${format} as ${as.kind} ${as.version}`, expected, accept);
  }
});

test("what can't be met is 406 with the list", () => {
  assert.throws(() => negotiate("text/plain"), {
    code: 406,
    message:
      "only the following media types are accepted: application/json, application/yaml, application/vnd.kubernetes.protobuf",
  });
  assert.throws(() => negotiate("application/json;as=Chair;v=v1;g=meta.k8s.io", { transforms: objectTransforms }), {
    code: 406,
  });
});

test("pretty is asked for by parameter, query or a person's client", () => {
  assert.equal(negotiate("application/json;pretty=1").pretty, true);
  assert.equal(negotiate("application/json", { pretty: "true" }).pretty, true);
  assert.equal(negotiate("*/*", { userAgent: "curl/8" }).pretty, true);
  assert.equal(negotiate("*/*", { userAgent: "curl/8", pretty: "false" }).pretty, false);
  assert.equal(negotiate("*/*", { userAgent: "kubectl/v1.36" }).pretty, false);
});

test("bodies and patches say what they are, or are refused with 415", () => {
  assert.equal(bodyFormat(undefined), "json");
  assert.equal(bodyFormat("application/json; charset=utf-8"), "json");
  assert.throws(() => bodyFormat("text/plain"), {
    code: 415,
    message:
      "the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf",
  });
  assert.equal(patchType("application/apply-patch+yaml"), "apply");
  assert.equal(patchType("application/strategic-merge-patch+json"), "strategic");
  assert.throws(() => patchType("application/strategic-merge-patch+json", true), {
    code: 415,
    message:
      "the body of the request was in an unknown format - accepted media types include: application/json-patch+json, application/merge-patch+json, application/apply-patch+yaml",
  });
});
