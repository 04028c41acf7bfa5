/** What access configuration needs of expressions: text in, a function out, or why not. */

export type Compiled =
  | {
      /** Throws what went wrong, without the expression itself. */
      readonly evaluate: (input: unknown) => unknown;
      /** Whether `variable.field` stands in it. */
      uses(variable: string, field: string): boolean;
      /** Whether a field of that name is selected of anything. */
      selects(field: string): boolean;
    }
  | { readonly error: string };

export interface ExpressionCompiler {
  /** Over `claims`: a boolean where a rule asks for one. */
  claims(expression: string, returns: "bool" | "any"): Compiled;
  /** Over `user`, to a boolean. */
  user(expression: string): Compiled;
  /** Over `request`, the spec of an access review, to a boolean. */
  review(expression: string): Compiled;
}

/** Where there is no language to write them in. */
export const NO_EXPRESSIONS: ExpressionCompiler = {
  claims: () => NONE,
  user: () => NONE,
  review: () => NONE,
};
const NONE: Compiled = { error: "compilation failed: there are no expressions here" };
