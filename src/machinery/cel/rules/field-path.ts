/**
 * Parses the field that a rule reports its failure for: `.spec.name`, `['a-b'].c`.
 * Upstream: staging/src/k8s.io/apiextensions-apiserver/pkg/apiserver/schema/cel/validation.go, ValidFieldPath
 */
import { propertyOf, type RuleSchema, valuesOf } from "./schema.ts";

export type FieldPath =
  | { readonly ok: true; readonly path: string; readonly schema: RuleSchema }
  | { readonly ok: false; readonly why: string };

const ESCAPED: Readonly<Record<string, string>> = {
  a: "\u0007",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
  v: "\v",
  "'": "'",
  "\\": "\\",
};

export function fieldPath(
  text: string,
  schema: RuleSchema,
  { brackets = true }: { readonly brackets?: boolean } = {},
): FieldPath {
  const tokens = text.match(/'(?:\\.|[^'\\])*'|[.[\]]|[^.[\]']+|'.*/gs) ?? [];
  let at: RuleSchema = schema;
  let path = "";
  const failed = (why: string): FieldPath => ({ ok: false, why });
  const step = (name: string): string | undefined => {
    if (at.properties !== undefined) {
      const inner = propertyOf(at, name);
      if (inner === undefined) return "does not refer to a valid field";
      path += path === "" ? name : `.${name}`;
      at = inner;
      return undefined;
    }
    const values = valuesOf(at);
    if (values === undefined) return "does not refer to a valid field";
    path += `[${name}]`;
    at = values;
    return undefined;
  };
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i]!;
    if (token !== "[" && token !== ".") return failed(`expected [ or . but got: ${token}`);
    if (token === "[" && !brackets) return failed("array notation is not allowed");
    const next = tokens[++i];
    if (next === undefined) return failed("unexpected end of JSON path");
    if (token === ".") {
      const why = step(next);
      if (why !== undefined) return failed(why);
      continue;
    }
    if (!/^'.*'$/s.test(next) || next.length < 2) return failed(`expected single quoted string but got ${next}`);
    const bad = /\\[^abfnrtv'\\]/.exec(next.slice(1, -1));
    if (bad !== null) return failed(`invalid string literal: invalid escape char ${bad[0]}`);
    const why = step(next.slice(1, -1).replaceAll(/\\(.)/g, (_, char: string) => ESCAPED[char]!));
    if (why !== undefined) return failed(why);
    const closing = tokens[++i];
    if (closing === undefined) return failed("unexpected end of JSON path");
    if (closing !== "]") return failed(`expected ] but got ${closing}`);
  }
  return { ok: true, path, schema: at };
}
