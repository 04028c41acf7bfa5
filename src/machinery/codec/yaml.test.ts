import assert from "node:assert/strict";
import { test } from "node:test";
import { schemaOf } from "../../api/schemas.ts";
import { decodeYaml, encodeYaml, parseYaml } from "./yaml.ts";

const pod = schemaOf("io.k8s.api.core.v1.Pod");

test("scalars are YAML 1.1's, as Go reads them", () => {
  assert.deepEqual(parseYaml("a: no\nm: 0644\nt: 2001-12-14\ns: 12:30:45\nf: 1.5\nnil: ~\ny: 1\n1: x\nq: 'yes'"), {
    a: false,
    m: 420,
    t: "2001-12-14",
    s: "12:30:45",
    f: 1.5,
    nil: null,
    true: 1,
    1: "x",
    q: "yes",
  });
  assert.deepEqual(parseYaml("a: &x {b: 1}\nc:\n  <<: *x\n  d: 2"), { a: { b: 1 }, c: { b: 1, d: 2 } });
});

test("only the first document counts", () => {
  assert.deepEqual(parseYaml("a: 1\n---\nb: 2\n"), { a: 1 });
});

test("duplicate keys are told with their lines, then unknown fields", () => {
  const text = "kind: Pod\nspec:\n  nodeName: a\n  nodeName: b\n  foo: 1\n";
  assert.deepEqual(decodeYaml(text, pod, { fieldValidation: "Warn" }).warnings, [
    'line 4: key "nodeName" already set in map',
    'unknown field "spec.foo"',
  ]);
  assert.equal(decodeYaml(text, pod).object.spec.nodeName, "b");
  assert.throws(() => decodeYaml(text, pod, { fieldValidation: "Strict" }), {
    message:
      'strict decoding error: yaml: unmarshal errors:\n  line 4: key "nodeName" already set in map, unknown field "spec.foo"',
  });
});

test("broken documents have libyaml's words", () => {
  assert.throws(() => parseYaml("a: b: c"), {
    message: "yaml: line 1: mapping values are not allowed in this context",
  });
  assert.throws(() => parseYaml("a:\n\tb: c"), {
    message: "yaml: line 2: found character that cannot start any token",
  });
});

test("what is written reads back the same", () => {
  const object = {
    b: ["x", { z: 1 }],
    a: { yes: "no", o: "0644", t: "12:30:45", m: "a\nb\n", e: "", d: "2001-12-14" },
  };
  const text = encodeYaml(object);
  assert.equal(text.split("\n")[0], "a:");
  assert.match(text, /d: "2001-12-14"/);
  assert.match(text, /\nb:\n- x\n- z: 1\n/);
  assert.deepEqual(parseYaml(text), object);
});
