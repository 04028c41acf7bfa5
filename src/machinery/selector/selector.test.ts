import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFieldSelector } from "./fields.ts";
import { formatLabelSelector, parseLabelSelector, selectorFromLabels, selectorOf } from "./labels.ts";

const web = { app: "web", tier: "a", n: "5", empty: "" };

test("label selectors match as they read", () => {
  for (const [text, matches, printed = text] of [
    ["", true],
    ["app=web", true],
    ["app==web", true],
    ["app!=web", false],
    ["gone!=x", true],
    ["tier in (b, a)", true, "tier in (a,b)"],
    ["tier notin (b,c)", true],
    ["gone notin (b)", true],
    ["app", true],
    ["gone", false],
    ["!gone", true],
    ["!app", false],
    ["n>4", true],
    ["n<4", false],
    ["app>4", false],
    ["empty=", true],
    ["empty in ()", true, "empty in ()"],
    ["x.io/y!=z,app=web", true, "app=web,x.io/y!=z"],
    ["in in (in)", false],
    ["tier in (,a)", true],
    ["constructor", false],
  ] as const) {
    const selector = parseLabelSelector(text);
    assert.equal(selector.matches(web), matches, text);
    assert.equal(selector.toString(), printed);
  }
});

test("broken label selectors are refused with upstream's words", () => {
  const identifier = "unable to parse requirement: found '', expected: identifier";
  for (const [text, words] of [
    ["=", "found '=', expected: !, identifier, or 'end of string'"],
    ["!", identifier],
    ["a b", "unable to parse requirement: found 'b', expected: in, notin, =, ==, !=, gt, lt"],
    ["a in b", "unable to parse requirement: found 'b' expected: '('"],
    ["a in (b", "unable to parse requirement: found '', expected: ',' or ')'"],
    ["a=b c", "found 'c', expected: ',' or 'end of string'"],
    ["a=b,", "found '', expected: identifier after ','"],
    ["a=(", "unable to parse requirement: found '(', expected: identifier"],
    [
      "n>x",
      `unable to parse requirement: values[0]: Invalid value: "x": for 'Gt', 'Lt' operators, the value must be an integer`,
    ],
  ] as const)
    assert.throws(() => parseLabelSelector(text), { message: words }, text);
  assert.throws(
    () => parseLabelSelector("-a=b"),
    /^SelectorError: unable to parse requirement: <nil>: Invalid value: "-a": name part must consist/,
  );
  assert.throws(
    () => parseLabelSelector("a=-b"),
    /^SelectorError: unable to parse requirement: values\[0\]\[a\]: Invalid value: "-b": a valid label must/,
  );
});

test("an absent selector object selects nothing, an empty one everything", () => {
  assert.equal(selectorOf(undefined).matches({}), false);
  assert.equal(selectorOf({}).matches({ a: "b" }), true);
  const selector = selectorOf({
    matchLabels: { app: "web" },
    matchExpressions: [
      { key: "tier", operator: "In", values: ["b", "a"] },
      { key: "gone", operator: "DoesNotExist" },
    ],
  });
  assert.equal(selector.toString(), "app=web,!gone,tier in (a,b)");
  assert.equal(selector.matches(web), true);
  assert.throws(() => selectorOf({ matchExpressions: [{ key: "a", operator: "Has" }] }), {
    message: '"Has" is not a valid label selector operator',
  });
  assert.equal(formatLabelSelector({}), "<none>");
  assert.equal(selectorFromLabels({ b: "2", a: "1" }).toString(), "a=1,b=2");
});

test("field selectors match, with escapes", () => {
  const fields = { "metadata.name": "a,b", "status.phase": "Running" } as Record<string, string>;
  for (const [text, matches] of [
    ["", true],
    ["metadata.name=a\\,b", true],
    ["status.phase!=Running", false],
    ["status.phase==Running,metadata.name!=x", true],
    ["gone=", true],
  ] as const)
    assert.equal(
      parseFieldSelector(text).matches((field) => fields[field]),
      matches,
      text,
    );
  assert.equal(parseFieldSelector("b==1\\=,a!=2").toString(), "a!=2,b=1\\=");
  assert.equal(parseFieldSelector("metadata.name=x").exactValue("metadata.name"), "x");
  assert.throws(() => parseFieldSelector("a"), { message: "invalid selector: 'a'; can't understand 'a'" });
  assert.throws(() => parseFieldSelector("a=\\x"), { message: "invalid field selector: invalid escape sequence: \\x" });
});
