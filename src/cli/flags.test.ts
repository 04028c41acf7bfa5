import assert from "node:assert/strict";
import { test } from "node:test";
import { formatDuration, parseDuration, parseFlags, type Flags, UsageError } from "./flags.ts";

const flags = {
  v: { type: "int", default: 0, short: "v", help: "verbosity" },
  "leader-elect": { type: "bool", default: true, help: "elect" },
  "secure-port": { type: "int", default: 6443, help: "port" },
  controllers: { type: "list", default: ["*"], help: "which" },
  "feature-gates": { type: "map", default: {}, help: "gates" },
  "node-status-update-frequency": { type: "duration", default: 10_000, help: "how often" },
  name: { type: "string", default: "default", help: "name" },
} as const satisfies Flags;

const cases: readonly { readonly name: string; readonly args: readonly string[]; readonly want: object | RegExp }[] = [
  { name: "defaults stand where nothing is said", args: [], want: { v: 0, "leader-elect": true, controllers: ["*"] } },
  {
    name: "a value follows = or a space",
    args: ["--secure-port=1", "--name", "x"],
    want: { "secure-port": 1, name: "x" },
  },
  { name: "a short flag takes =, a space or nothing between", args: ["-v=4"], want: { v: 4 } },
  { name: "a short flag takes its value glued on", args: ["-v3"], want: { v: 3 } },
  {
    name: "a boolean needs no value and takes none from the next word",
    args: ["--leader-elect", "pos"],
    want: { "leader-elect": true },
  },
  { name: "a boolean is switched off with =false", args: ["--leader-elect=false"], want: { "leader-elect": false } },
  {
    name: "lists split at commas and add up over repeats",
    args: ["--controllers=a,b", "--controllers=-c"],
    want: { controllers: ["a", "b", "-c"] },
  },
  {
    name: "maps merge over repeats",
    args: ["--feature-gates=A=true,B=false", "--feature-gates", "C=true"],
    want: { "feature-gates": { A: "true", B: "false", C: "true" } },
  },
  {
    name: "durations are Go's",
    args: ["--node-status-update-frequency=1m30s"],
    want: { "node-status-update-frequency": 90_000 },
  },
  { name: "one dash is enough for a long name", args: ["-name", "m1"], want: { name: "m1" } },
  { name: "an unknown flag is named", args: ["--nope"], want: /^unknown flag: --nope$/ },
  { name: "a flag at the end without its value is named", args: ["--name"], want: /^flag needs an argument: --name$/ },
  {
    name: "a bad number is refused in Go's words",
    args: ["--secure-port=x"],
    want: /^invalid argument "x" for "--secure-port" flag: strconv.ParseInt: parsing "x": invalid syntax$/,
  },
];
for (const { name, args, want } of cases) {
  test(name, () => {
    if (want instanceof RegExp)
      return assert.throws(
        () => parseFlags(flags, args),
        (error: Error) => error instanceof UsageError && want.test(error.message),
      );
    assert.partialDeepStrictEqual(parseFlags(flags, args).values, want);
  });
}

test("durations go there and back", () => {
  for (const text of ["0s", "5ms", "10s", "1m30s", "1h0m0s", "1.5s"])
    assert.equal(formatDuration(parseDuration(text)!), text);
  assert.equal(parseDuration("10"), undefined);
});
