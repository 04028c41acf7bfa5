/** Parses and type-checks an expression. Upstream: github.com/google/cel-go cel/env.go */
import { check, type Checked } from "./checker.ts";
import type { Environment } from "./environment.ts";
import { parse } from "./parser.ts";
import { validate } from "./validators.ts";

export type Compiled =
  | { readonly ok: true; readonly checked: Checked }
  /** Complaints with line, column and a mark under the place. */
  | { readonly ok: false; readonly message: string };

export function compile(env: Environment, text: string): Compiled {
  const parsed = parse(text, env.macros);
  if (!parsed.ok) return parsed;
  const result = check(env, parsed.source, parsed.expr);
  if (!result.ok) return result;
  const issues = validate(env, result.checked);
  return issues.length === 0 ? result : { ok: false, message: parsed.source.render(issues) };
}
