/**
 * The expansions of `has`, `all`, `exists`, `map`, `filter` and the other macros.
 * Upstream: github.com/google/cel-go parser/macro.go, ext/comprehensions.go, cel/library.go
 */
import { ACCUMULATOR, OPERATORS, type Expr } from "./ast.ts";
import type { Builder, Macro } from "./macro-builder.ts";

type Fail = (at: Expr, message: string) => never;

function simpleName(arg: Expr, fail: Fail, otherwise = "argument must be a simple name"): string {
  if (arg.kind !== "ident") return fail(arg, otherwise);
  if (arg.name === ACCUMULATOR || arg.name === "__result__")
    return fail(arg, "iteration variable overwrites accumulator variable");
  return arg.name;
}

interface Names {
  readonly first: string;
  readonly second: string | undefined;
}
type Loop = (b: Builder, range: Expr, names: Names, rest: readonly Expr[]) => Expr;

const all: Loop = (b, range, { first, second }, [predicate]) =>
  b.loop(range, first, second, {
    initial: b.literal(true),
    condition: b.call(OPERATORS.notStrictlyFalse, b.accumulator()),
    step: b.call(OPERATORS.and, b.accumulator(), predicate!),
    result: b.accumulator(),
  });

const exists: Loop = (b, range, { first, second }, [predicate]) =>
  b.loop(range, first, second, {
    initial: b.literal(false),
    condition: b.call(OPERATORS.notStrictlyFalse, b.call(OPERATORS.not, b.accumulator())),
    step: b.call(OPERATORS.or, b.accumulator(), predicate!),
    result: b.accumulator(),
  });

const existsOne: Loop = (b, range, { first, second }, [predicate]) =>
  b.loop(range, first, second, {
    initial: b.literal(0n),
    condition: b.literal(true),
    step: b.call(
      OPERATORS.conditional,
      predicate!,
      b.call(OPERATORS.add, b.accumulator(), b.literal(1n)),
      b.accumulator(),
    ),
    result: b.call(OPERATORS.equals, b.accumulator(), b.literal(1n)),
  });

const when = (b: Builder, filter: Expr | undefined, step: Expr): Expr =>
  filter === undefined ? step : b.call(OPERATORS.conditional, filter, step, b.accumulator());

const mapped: Loop = (b, range, { first, second }, rest) => {
  const [filter, transform] = rest.length === 1 ? [undefined, rest[0]!] : [rest[0]!, rest[1]!];
  return b.loop(range, first, second, {
    initial: b.list(),
    condition: b.literal(true),
    step: when(b, filter, b.call(OPERATORS.add, b.accumulator(), b.list(transform))),
    result: b.accumulator(),
  });
};

const transformMap: Loop = (b, range, { first, second }, rest) => {
  const [filter, transform] = rest.length === 1 ? [undefined, rest[0]!] : [rest[0]!, rest[1]!];
  return b.loop(range, first, second, {
    initial: b.map(),
    condition: b.literal(true),
    step: when(b, filter, b.call("cel.@mapInsert", b.accumulator(), b.ident(first), transform)),
    result: b.accumulator(),
  });
};

const transformMapEntry: Loop = (b, range, { first, second }, rest) => {
  const [filter, entry] = rest.length === 1 ? [undefined, rest[0]!] : [rest[0]!, rest[1]!];
  return b.loop(range, first, second, {
    initial: b.map(),
    condition: b.literal(true),
    step: when(b, filter, b.call("cel.@mapInsert", b.accumulator(), entry)),
    result: b.accumulator(),
  });
};

/** `range.name(x, …rest)`. */
const oneVariable = (name: string, rest: number, loop: Loop, otherwise?: string): Macro => ({
  name,
  args: 1 + rest,
  isMember: true,
  expand: (b, target, args, fail) =>
    loop(b, target!, { first: simpleName(args[0]!, fail, otherwise), second: undefined }, args.slice(1)),
});

/** `range.name(k, v, …rest)`. */
const twoVariables = (name: string, rest: number, loop: Loop): Macro => ({
  name,
  args: 2 + rest,
  isMember: true,
  expand: (b, target, args, fail) => {
    const [first, second] = [simpleName(args[0]!, fail), simpleName(args[1]!, fail)];
    if (first === second) return fail(args[1]!, `duplicate variable name: ${second}`);
    return loop(b, target!, { first, second }, args.slice(2));
  },
});

const NOT_IDENTIFIER = "argument is not an identifier";

export const STANDARD_MACROS: readonly Macro[] = [
  {
    name: "has",
    args: 1,
    isMember: false,
    expand: (b, _, [arg], fail) =>
      arg!.kind === "select"
        ? { id: b.id(), kind: "select", operand: arg!.operand, field: arg!.field, testOnly: true }
        : fail(arg!, "invalid argument to has() macro"),
  },
  oneVariable("all", 1, all),
  oneVariable("exists", 1, exists),
  oneVariable("exists_one", 1, existsOne),
  oneVariable("existsOne", 1, existsOne),
  oneVariable("map", 1, mapped, NOT_IDENTIFIER),
  oneVariable("map", 2, mapped, NOT_IDENTIFIER),
  {
    name: "filter",
    args: 2,
    isMember: true,
    expand: (b, target, [name, predicate], fail) => {
      const first = simpleName(name!, fail, NOT_IDENTIFIER);
      return b.loop(target!, first, undefined, {
        initial: b.list(),
        condition: b.literal(true),
        step: when(b, predicate!, b.call(OPERATORS.add, b.accumulator(), b.list(b.ident(first)))),
        result: b.accumulator(),
      });
    },
  },
];

export const TWO_VARIABLE_MACROS: readonly Macro[] = [
  twoVariables("all", 1, all),
  twoVariables("exists", 1, exists),
  twoVariables("existsOne", 1, existsOne),
  twoVariables("exists_one", 1, existsOne),
  twoVariables("transformList", 1, mapped),
  twoVariables("transformList", 2, mapped),
  twoVariables("transformMap", 1, transformMap),
  twoVariables("transformMap", 2, transformMap),
  twoVariables("transformMapEntry", 1, transformMapEntry),
  twoVariables("transformMapEntry", 2, transformMapEntry),
];

/** A loop over nothing that gives its variable a value: `variable = value; body`. */
function bind(b: Builder, variable: string, value: Expr, body: Expr): Expr {
  return b.loop(b.list(), "#unused", undefined, {
    accumulator: variable,
    initial: value,
    condition: b.literal(false),
    step: b.ident(variable),
    result: body,
  });
}

/** `cel.bind(name, value, body)`; of another target it is no macro. */
export const BIND: Macro = {
  name: "bind",
  args: 3,
  isMember: true,
  expand: (b, target, [name, value, body], fail) => {
    if (target?.kind !== "ident" || target.name !== "cel") return undefined;
    if (name!.kind !== "ident") return fail(name!, "cel.bind() variable names must be simple identifiers");
    return bind(b, name!.name, value!, body!);
  },
};

const optionalMap = (macro: string, wrap: (b: Builder, body: Expr) => Expr): Macro => ({
  name: macro,
  args: 2,
  isMember: true,
  expand: (b, target, [name, body], fail) => {
    if (name!.kind !== "ident") return fail(name!, `${macro}() variable name must be a simple identifier`);
    return b.call(
      OPERATORS.conditional,
      b.member("hasValue", target!),
      wrap(b, bind(b, name!.name, b.member("value", b.copy(target!)), body!)),
      b.call("optional.none"),
    );
  },
});

export const OPTIONAL_MACROS: readonly Macro[] = [
  optionalMap("optMap", (b, body) => b.call("optional.of", body)),
  optionalMap("optFlatMap", (_, body) => body),
];

/** `list.sortBy(x, key)`: the keys first, then an order by them. */
export const SORT_BY: Macro = {
  name: "sortBy",
  args: 2,
  isMember: true,
  expand: (b, target, [name, key], fail) => {
    if (!["select", "ident", "comprehension", "call", "list"].includes(target!.kind))
      return fail(
        target!,
        `sortBy can only be applied to a list, identifier, comprehension, call or select expression`,
      );
    const variable = simpleName(name!, fail, NOT_IDENTIFIER);
    const sorted = "@__sortBy_input__";
    return bind(
      b,
      sorted,
      target!,
      b.member(
        "@sortByAssociatedKeys",
        b.ident(sorted),
        mapped(b, b.ident(sorted), { first: variable, second: undefined }, [key!]),
      ),
    );
  },
};
