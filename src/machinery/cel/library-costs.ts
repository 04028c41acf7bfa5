/**
 * What calls of the functions that Kubernetes and cel-go's extensions add may cost, from the sizes of their arguments.
 *
 * Upstream: github.com/google/cel-go ext/{lists,sets}.go, staging/src/k8s.io/apiserver/pkg/cel/library/cost.go
 */
import type { Expr } from "./ast.ts";
import {
  factor,
  fixed,
  LIST_COST,
  MOST,
  NONE,
  ONE,
  plus,
  type Range,
  REGEX_LENGTH,
  saturated,
  times,
  TRAVERSAL,
  UNKNOWN,
} from "./cost-range.ts";
import { CIDR, IP, URL_TYPE } from "./libraries/network.ts";
import { FORMAT } from "./libraries/values.ts";
import type { Type } from "./types.ts";

/** The length of the longest pattern that stands behind a named format. */
const MAX_FORMAT_REGEX = 128;
/** The length of the longest name of a format. */
const MAX_FORMAT_SIZE = 64;
/** Asking the authorizer. */
const AUTHORIZATION_CHECK = fixed(350_000);

/**
 * How large the value at `path` may be: the variable first, then names of fields, `@items`, `@keys`, `@values`. Undefined where nothing is known.
 */
export type SizeOf = (path: readonly string[], type: Type) => Range | undefined;

/** An operand, as far as it matters for the cost of a call. */
export interface Described {
  readonly expr: Expr | undefined;
  readonly path: readonly string[] | undefined;
  readonly type: Type;
  readonly size: Range | undefined;
}
export interface CallEstimate {
  readonly cost: Range;
  readonly result?: Range | undefined;
}

/** Undefined for a function of the language itself. */
export function libraryCost(
  sizeOf: SizeOf,
  name: string,
  id: string,
  target: Described | undefined,
  args: readonly Described[],
): CallEstimate | undefined {
  const measure = ({ size, path, type }: Described): Range => size ?? sizeOf(path ?? [], type) ?? UNKNOWN;
  const itemSize = (list: Described, element: Type): Range =>
    sizeOf(list.path === undefined ? [] : [...list.path, "@items"], element) ?? UNKNOWN;
  const walk = (described: Described): Range => factor(measure(described), TRAVERSAL);
  const [first, second] = args as [Described, Described];
  const allocating = (by: number, size: Range): CallEstimate => ({
    cost: plus(plus(factor(size, by), ONE), LIST_COST),
    result: size,
  });
  const sorting = (values: Described, elements: string): CallEstimate => {
    const size = measure(values);
    return allocating(elements === "string" || elements === "bytes" ? 2 + TRAVERSAL : 2, times(size, size));
  };
  const sets = (by: number): CallEstimate => ({
    cost: plus(factor(times(measure(first), measure(second)), by), ONE),
  });
  switch (id) {
    case "list_slice": {
      const from = wholeLiteral(first, 0);
      const to = wholeLiteral(second, measure(target!).max);
      // Upstream counts without a sign: less than none is the most there is.
      return allocating(1, fixed(to < from ? MOST - (from - to) : to - from));
    }
    case "lists_range":
      return allocating(1, fixed(wholeLiteral(first, MOST)));
    case "list_reverse":
      return allocating(1, measure(target!));
    case "list_flatten":
    case "list_flatten_int":
      return allocating(first === undefined ? 1 : wholeLiteral(first, MOST), measure(target!));
    case "list_distinct":
      return allocating(2, times(measure(target!), measure(target!)));
    case "list_sets_contains_list":
    case "list_sets_intersects_list":
      return sets(1);
    case "list_sets_equivalent_list":
      return sets(2);
  }
  const sort = /^list_(\w+)_sort$/.exec(id);
  if (sort !== null) return sorting(target!, sort[1]!);
  const sortBy = /^list_(\w+)_sortByAssociatedKeys$/.exec(id);
  if (sortBy !== null) return sorting(first, sortBy[1]!);
  switch (name) {
    case "check":
      return { cost: AUTHORIZATION_CHECK };
    case "fieldSelector":
    case "labelSelector":
      return { cost: plus(plus(LIST_COST, walk(first)), factor(factor(measure(first), 0.5), 50)) };
    case "isSorted":
    case "sum":
    case "max":
    case "min":
    case "indexOf":
    case "lastIndexOf": {
      if (target === undefined) return undefined;
      const element = target.type.kind === "list" ? target.type.parameters[0]! : undefined;
      if (element === undefined) return { cost: walk(target) };
      const size = itemSize(target, element);
      const each = element.kind === "string" || element.kind === "bytes" ? plus(ONE, factor(size, TRAVERSAL)) : ONE;
      return { cost: times(measure(target), each) };
    }
    case "url":
    case "jsonpatch.escapeKey":
      return { cost: walk(first), result: measure(first) };
    case "lowerAscii":
    case "upperAscii":
    case "substring":
    case "trim":
      return { cost: walk(target!), result: measure(target!) };
    case "replace":
      return {
        cost: factor(measure(target!), 2 * TRAVERSAL),
        result: replaced(measure(target!), measure(first), measure(second)),
      };
    case "split":
      return {
        cost: factor(measure(target!), 2 * TRAVERSAL),
        result: {
          min: 0,
          max: second === undefined ? measure(target!).max : wholeLiteral(second, measure(target!).max),
        },
      };
    case "join": {
      const count = measure(target!);
      const element = target!.type.kind === "list" ? target!.type.parameters[0]! : undefined;
      let size = element === undefined ? NONE : times(count, itemSize(target!, element));
      if (first !== undefined)
        size = plus(size, times(measure(first), { min: Math.max(0, count.min - 1), max: Math.max(0, count.max - 1) }));
      return { cost: factor(size, TRAVERSAL), result: size };
    }
    case "find":
    case "findAll": {
      const size = measure(target!);
      return {
        cost: times(factor(plus(size, ONE), TRAVERSAL), factor(measure(first), REGEX_LENGTH)),
        result: { min: 0, max: size.max },
      };
    }
    case "ip":
      return id === "cidr_ip" ? { cost: ONE } : { cost: walk(first) };
    case "cidr":
    case "isIP":
    case "isCIDR":
    case "quantity":
    case "isQuantity":
    case "semver":
    case "isSemver":
      return { cost: walk(first) };
    case "ip.isCanonical":
      return { cost: factor(measure(first), 2 * TRAVERSAL) };
    case "containsIP":
    case "containsCIDR": {
      const bytes: Range = { min: 4, max: 16 };
      let cost = factor(plus(bytes, bytes), TRAVERSAL);
      if (name === "containsCIDR") cost = plus(plus(cost, factor(bytes, TRAVERSAL)), ONE);
      return { cost: id.endsWith("_string") ? plus(cost, walk(first)) : cost };
    }
    case "validate":
      return { cost: factor(walk(first), MAX_FORMAT_REGEX * REGEX_LENGTH) };
    case "serviceAccount":
    case "path":
    case "group":
    case "resource":
    case "subresource":
    case "namespace":
    case "name":
    case "allowed":
    case "reason":
    case "error":
    case "errored":
    case "masked":
    case "prefixLength":
    case "family":
    case "isUnspecified":
    case "isLoopback":
    case "isLinkLocalMulticast":
    case "isLinkLocalUnicast":
    case "isGlobalUnicast":
    case "format.named":
    case "sign":
    case "asInteger":
    case "isInteger":
    case "asApproximateFloat":
    case "isGreaterThan":
    case "isLessThan":
    case "compareTo":
    case "add":
    case "sub":
    case "major":
    case "minor":
    case "patch":
    case "getScheme":
    case "getHostname":
    case "getHost":
    case "getPort":
    case "getEscapedPath":
    case "getQuery":
      return { cost: ONE };
    case "_==_": {
      if (first.type.name !== second.type.name) return undefined;
      if (first.type.kind === "opaque")
        return first.type.name === IP.name || first.type.name === CIDR.name ? { cost: ONE } : undefined;
      if (
        first.type.kind !== "struct" ||
        !/^kubernetes\.(Quantity|Semver|URL|NamedFormat|authorization\.)/.test(first.type.name)
      )
        return undefined;
      if (first.type.name === FORMAT.name) return { cost: factor({ min: 1, max: MAX_FORMAT_SIZE }, TRAVERSAL) };
      if (first.type.name === URL_TYPE.name)
        return { cost: factor({ min: 1, max: (second.size ?? ONE).max }, TRAVERSAL) };
      return { cost: ONE };
    }
    default:
      return undefined;
  }
}

/** The value of a literal, not less than 0; `otherwise` where the operand is none. */
function wholeLiteral({ expr }: Described, otherwise: number): number {
  if (expr?.kind !== "literal" || typeof expr.value !== "bigint") return otherwise;
  return expr.value < 0n ? 0 : Number(expr.value);
}

/** The length of a text in which each occurrence of `old` is replaced. */
function replaced(text: Range, old: Range, by: Range): Range {
  let most = 0;
  let keptMost = 0;
  if (old.min === 0) [most, keptMost] = [saturated(text.max + 1), text.max];
  else if (by.max <= old.min) keptMost = text.max;
  else most = Math.ceil(text.max / old.min);
  let least = 0;
  let keptLeast = 0;
  if (old.max === 0) [least, keptLeast] = [saturated(text.min + 1), text.min];
  else if (old.max <= by.min) keptLeast = text.min;
  else least = Math.ceil(text.min / old.max);
  return plus(times({ min: least, max: most }, by), { min: keptLeast, max: keptMost });
}
