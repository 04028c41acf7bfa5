import assert from "node:assert/strict";
import { test } from "node:test";
import { Environment } from "./environment.ts";
import { compile } from "./expression.ts";
import { parse } from "./parser.ts";
import { kubernetesEnvironment } from "./kubernetes.ts";
import { standard } from "./libraries/standard.ts";
import { EvaluationError, Program } from "./program.ts";
import { DYN, INT, list, map, STRING } from "./types.ts";
import { fromJson, ListValue, MapValue, Uint, type Value } from "./values.ts";

const env = Environment.of(standard).withVariables({ x: INT, s: STRING, l: list(INT), m: map(STRING, INT), d: DYN });
const activation = {
  x: 7n,
  s: "héllo",
  l: fromJson([3, 1, 2]),
  m: fromJson({ a: 1, b: 2 }),
  d: fromJson({ name: "pod", n: 1, f: 1.5, list: [1, "two"], nothing: null }),
};

function show(value: Value): unknown {
  if (value instanceof ListValue) return [...value].map(show);
  if (value instanceof MapValue)
    return Object.fromEntries([...value.keys()].map((key) => [String(key), show(value.get(key)!)]));
  if (value instanceof Uint) return `${value.value}u`;
  return value;
}
function run(text: string): unknown {
  const compiled = compile(env, text);
  if (!compiled.ok) return compiled.message;
  try {
    return show(new Program(env, compiled.checked, () => undefined).run(activation).value);
  } catch (error) {
    if (error instanceof EvaluationError) return `!${error.message}`;
    throw error;
  }
}

const ROWS: readonly (readonly [string, unknown])[] = [
  ["1 + 2 * 3", 7n],
  ["(1 + 2) * 3 - -4", 13n],
  ["x > 5 ? 'big' : 'small'", "big"],
  ["s.size() == 5 && size(s) == 5", true],
  ["l.map(i, i * 2)", [6n, 2n, 4n]],
  ["l.map(i, i > 1, i * 2)", [6n, 4n]],
  ["l.filter(i, i != 1)", [3n, 2n]],
  ["l.all(i, i > 0) && l.exists(i, i == 3) && l.exists_one(i, i == 1)", true],
  ["m.all(k, m[k] > 0)", true],
  ["has(d.name) && !has(d.missing)", true],
  ["d.missing", "!no such key: missing"],
  ["d.missing == 1 || true", true],
  ["true || d.missing == 1", true],
  ["d.missing == 1 || false", "!no such key: missing"],
  ["[1, 2, 3].exists(i, i / 0 == 1 || i == 2)", true],
  ["1 / 0", "!division by zero"],
  ["9223372036854775807 + 1", "!integer overflow"],
  ["1u - 2u", "!unsigned integer overflow"],
  [
    "1 == 1.0",
    "ERROR: <input>:1:3: found no matching overload for '_==_' applied to '(int, double)'\n | 1 == 1.0\n | ..^",
  ],
  ["dyn(1) == 1.0 && d.f > 1 && 1 < 1.5 && 2u > 1", true],
  ["l[3]", "!index out of bounds: 3"],
  ["{'a': 1, 'b': [2]}", undefined],
  ["{'a': 1, 'b': 2}.b", 2n],
  ["'a' in m && 3 in l && !('c' in m)", true],
  ["type(1) == int && type('') == string && type(l) == list", true],
  ["string(1.5) + string(1e21) + string(100000.0) + string(1e-7)", "1.51e+21100000" + "1e-07"],
  ["int('12') + int(3.9) + int(2u)", 17n],
  ["'foo123'.matches('^fo+[0-9]+$')", true],
  ["timestamp('2024-02-29T12:30:00.5Z').getDayOfYear()", 59n],
  ["timestamp('2024-07-01T00:00:00Z').getHours('America/New_York')", 20n],
  ["string(timestamp('2024-02-29T12:30:00Z') + duration('1h30m'))", "2024-02-29T14:00:00Z"],
  ["duration('90m').getHours()", 1n],
  ["string(duration('1m0.5s'))", "60.5s"],
  ["b'\\xff\\x00'.size()", 2n],
  ["'\\u00e9' == 'é'", true],
  ["x.y", "ERROR: <input>:1:2: type 'int' does not support field selection\n | x.y\n | .^"],
  ["y + 1", "ERROR: <input>:1:1: undeclared reference to 'y' (in container '')\n | y + 1\n | ^"],
  [
    "x + 'a'",
    "ERROR: <input>:1:3: found no matching overload for '_+_' applied to '(int, string)'\n | x + 'a'\n | ..^",
  ],
  ["s.foo(1)", "ERROR: <input>:1:6: undeclared reference to 'foo' (in container '')\n | s.foo(1)\n | .....^"],
  ["[1, 'a']", "ERROR: <input>:1:5: expected type 'int' but found 'string'\n | [1, 'a']\n | ....^"],
  [
    "x.all(i, true)",
    "ERROR: <input>:1:1: expression of type 'int' cannot be range of a comprehension (must be list, map, or dynamic)\n | x.all(i, true)\n | ^",
  ],
  ["l.all(i + 1, true)", "ERROR: <input>:1:9: argument must be a simple name\n | l.all(i + 1, true)\n | ........^"],
  ["has(x)", "ERROR: <input>:1:5: invalid argument to has() macro\n | has(x)\n | ....^"],
  [
    "1 +",
    "ERROR: <input>:1:4: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}\n | 1 +\n | ...^",
  ],
  ["x\n  + z", "ERROR: <input>:2:5: undeclared reference to 'z' (in container '')\n |   + z\n | ....^"],
];

for (const [text, expected] of ROWS)
  if (expected !== undefined)
    test(`${text} is ${typeof expected === "string" ? expected.split("\n")[0] : String(expected)}`, () =>
      assert.deepEqual(run(text), expected));

test("expressions are nested so deep and no deeper, and grow no larger than that", () => {
  const tooDeep = "ERROR: <input>:-1:0: max recursion depth exceeded";
  const tooNested = "ERROR: <input>:-1:0: expression recursion limit exceeded: 250";
  const rows: readonly (readonly [string, string | undefined])[] = [
    [`d${".a".repeat(250)}`, undefined],
    [`d${".a".repeat(251)}`, tooDeep],
    [Array.from({ length: 251 }, () => "1").join("+"), undefined],
    [Array.from({ length: 252 }, () => "1").join("+"), tooDeep],
    [`d${"[0]".repeat(30_000)}`, tooDeep],
    [`${"(".repeat(249)}1${")".repeat(249)}`, undefined],
    [`${"(".repeat(250)}1${")".repeat(250)}`, tooNested],
    [`${"(1+".repeat(124)}1${")".repeat(124)}`, undefined],
    [`${"(1+".repeat(125)}1${")".repeat(125)}`, tooNested],
    [`${"!".repeat(90_000)}true`, undefined],
    [Array.from({ length: 10_000 }, () => "true").join("||"), undefined],
    [
      `1${" ".repeat(100_000)}`,
      "ERROR: <input>:-1:0: expression code point size exceeds limit: size: 100001, limit 100000",
    ],
  ];
  for (const [text, complaint] of rows) {
    const compiled = compile(env, text);
    assert.equal(compiled.ok ? undefined : compiled.message.split("\n")[0], complaint, text.slice(0, 20));
  }
  const doubling = `d${".optMap(x, x)".repeat(40)}`;
  const compiled = compile(kubernetesEnvironment().withVariables({ d: DYN }), doubling);
  assert.equal(compiled.ok ? undefined : compiled.message, "ERROR: <input>:-1:0: expression is too large");
});

/** As a genuine kube-apiserver 1.36.2 tells them: without the lines that are shown below each. */
const EXPECTED_START =
  "{'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}";
const SEVERAL: readonly (readonly [text: string, ...errors: string[]])[] = [
  ["object. - 1", "1:9: Syntax error: no viable alternative at input '. -'"],
  [
    "object. == 2 && ]",
    "1:9: Syntax error: no viable alternative at input '. =='",
    `1:17: Syntax error: mismatched input ']' expecting ${EXPECTED_START}`,
  ],
  ["(object. )", "1:10: Syntax error: no viable alternative at input '. )'"],
  [
    "object. || (2",
    "1:9: Syntax error: no viable alternative at input '. ||'",
    "1:14: Syntax error: missing ')' at '<EOF>'",
  ],
  ["object. ! 3", "1:9: Syntax error: no viable alternative at input '. !'"],
  ["object. ", "1:9: Syntax error: no viable alternative at input '. '"],
  [". && 3", "1:3: Syntax error: no viable alternative at input '. &&'"],
  [
    "object. + (1 = 2) && ]",
    "1:9: Syntax error: no viable alternative at input '. +'",
    "1:14: Syntax error: token recognition error at: '= '",
    "1:16: Syntax error: extraneous input '2' expecting ')'",
    `1:22: Syntax error: mismatched input ']' expecting ${EXPECTED_START}`,
  ],
];
for (const [text, ...errors] of SEVERAL)
  test(`all that is wrong with ${text} is told`, () => {
    const parsed = parse(text, []);
    assert.ok(!parsed.ok);
    const told = [...parsed.message.matchAll(/^ERROR: <input>:(.*)$/gm)].map(([, error]) => error);
    assert.deepEqual(told, errors);
  });
