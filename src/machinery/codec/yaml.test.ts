import assert from "node:assert/strict";
import { test } from "node:test";
import { schemaOf } from "../../api/schemas.ts";
import { decodeYaml, encodeYaml, openYamlInGoes, parseYaml } from "./yaml.ts";

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

test("broken documents have libyaml's words, and its lines where it tells one", () => {
  const rows: readonly (readonly [text: string, message: string])[] = [
    ["a: b: c", "mapping values are not allowed in this context"],
    ["a:\n\tb: c", "line 2: found character that cannot start any token"],
    ["a: [b", "line 1: did not find expected ',' or ']'"],
    ["a: {b: c\nd: e", "line 1: did not find expected ',' or '}'"],
    ["a:\n  b\nc", "line 4: could not find expected ':'"],
    ["a: 'x", "found unexpected end of stream"],
    ['a: "\\q"', "found unknown escape character"],
    ["a: *x", "unknown anchor 'x' referenced"],
    ["a: &x [*x]", "anchor 'x' value contains itself"],
    ["a: @x", "found character that cannot start any token"],
    ["- a\nb: c", "line 1: did not find expected '-' indicator"],
    ["? [a]\n: b", 'invalid map key: []interface {}{"a"}'],
    ["a: !!int x", "cannot decode !!str `x` as a !!int"],
    ["a: \x01", "control characters are not allowed"],
    ["<<: 1", "map merge requires map or sequence of maps as the value"],
    ["[".repeat(10_001), "exceeded max depth of 10000"],
  ];
  for (const [text, message] of rows) assert.throws(() => parseYaml(text), { message: `yaml: ${message}` }, text);
});

test("scalars in quotes and blocks come to what libyaml makes of them", () => {
  assert.deepEqual(
    parseYaml(
      "a: |\n  hello\n   world\n\nb: >-\n  folded\n  text\n\n  more\nc: \"x\\n\\u0041 \\\n  y\"\nd: 'it''s\n  two'\ne: one\n  two # no\nf: |2-\n    deep\n",
    ),
    { a: "hello\n world\n", b: "folded text\nmore", c: "x\nA y", d: "it's two", e: "one two", f: "  deep" },
  );
  assert.deepEqual(parseYaml("%TAG !e! tag:yaml.org,2002:\n---\n- !e!str 5\n- !x 5\n- !!binary aGk=\n- ! 5\n"), [
    "5",
    "5",
    "hi",
    "5",
  ]);
  assert.deepEqual(parseYaml("[a: 1, {b, ? c : d}, ]"), [{ a: 1 }, { b: null, c: "d" }]);
});

test("a long text is read in as many goes as there is patience for, and comes to the same", () => {
  const text = "items:\n" + "- a: {b: [1, x]}\n  c: |\n    d\n".repeat(1000);
  const read = openYamlInGoes(text);
  let goes = 1;
  let document = read(() => true);
  for (; document === undefined; goes++) document = read(() => true);
  assert.ok(goes > 10, `${goes} goes`);
  assert.deepEqual(document.value, parseYaml(text));
});

test("what is said by reference counts, so that no small text becomes a large one", () => {
  const letters = "bcdefghijk".split("");
  const bomb = `a: &a [${"x,".repeat(9)}]\n${letters
    .map((name, i) => `${name}: &${name} [${Array(9).fill(`*${"abcdefghij"[i]}`).join(",")}]`)
    .join("\n")}`;
  assert.throws(() => parseYaml(bomb), { message: "yaml: document contains excessive aliasing" });
});

test("YAML is written as Go writes it: natural order, quotes where needed, folded at 80 columns, long keys announced", () => {
  const long = "word ".repeat(20).trim();
  assert.equal(
    encodeYaml({
      b10: "yes",
      b9: ["x", { z: 1.5, y: 1234567.5 }, []],
      a: {
        [`${"k".repeat(129)}`]: long,
        "it's": "it's: so",
        empty: {},
        none: null,
        smile: "😀",
        tail: "a\n\n",
        sp: " a\nb",
      },
    }),
    [
      "a:",
      "  empty: {}",
      "  it's: 'it''s: so'",
      `  ? ${"k".repeat(129)}`,
      "  : word word word word word word word word word word word word word word word word",
      "    word word word word",
      "  none: null",
      '  smile: "\\U0001F600"',
      "  sp: |2-",
      "     a",
      "    b",
      "  tail: |+",
      "    a",
      "",
      "b9:",
      "- x",
      '- "y": 1.2345675e+06',
      "  z: 1.5",
      "- []",
      'b10: "yes"',
      "",
    ].join("\n"),
  );
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
