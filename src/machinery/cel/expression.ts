/**
 * The front door: text in, a program out.
 *
 * Upstream: github.com/google/cel-go cel/env.go
 */
import { check, type Checked } from "./checker.ts";
import type { Environment } from "./environment.ts";
import { parse } from "./parser.ts";
import { validate } from "./validators.ts";
import { Program, type CallCost } from "./program.ts";

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

/** Throws a `CelError` where a literal can't be used, as a regular expression that isn't one. */
export function program(env: Environment, checked: Checked, callCost: CallCost = () => undefined): Program {
  return new Program(env, checked, callCost);
}
