/**
 * Merges the OpenAPI documents of several servers. The part that describes an extension server's group brings along the definitions that it uses; a
 * definition whose name is taken by a different one is renamed.
 * Upstream: kube-openapi/pkg/aggregator/aggregator.go
 */
import type { Json } from "./schemas.ts";

type Tree = Readonly<Record<string, any>>;

/** Where definitions are, and parameters that many operations share. */
const KINDS = ["definitions", "parameters"] as const;

/** OpenAPI v2; `others` in the order in which they win. Paths that are there already stay. */
export function mergeOpenApiV2(
  base: Json,
  others: readonly { readonly document: Json; readonly group: string; readonly version: string }[],
): Json {
  if (others.length === 0) return base;
  const paths: Record<string, unknown> = { ...(base as Tree)["paths"] };
  const kept = Object.fromEntries(KINDS.map((kind) => [kind, { ...(base as Tree)[kind] }])) as Named;
  for (const { document, group, version } of others) {
    const own = Object.entries(((document as Tree)["paths"] ?? {}) as Tree).filter(
      ([path]) => isBelow(path, `/apis/${group}/${version}`) && !Object.hasOwn(paths, path),
    );
    const used = usedBy(
      own.map(([, item]) => item),
      document as Tree,
    );
    const renamed = new Map<string, string>();
    const all = [...used].sort().map((reference) => ({ reference, ...placeOf(reference)! }));
    for (const { reference, kind, name } of all)
      renamed.set(reference, `#/${kind}/${freeName(name, (document as Tree)[kind][name], kept[kind])}`);
    for (const { reference, kind, name } of all)
      kept[kind][placeOf(renamed.get(reference)!)!.name] ??= withNames((document as Tree)[kind][name], renamed);
    for (const [path, item] of own) paths[path] = withNames(item, renamed);
  }
  return { ...(base as Tree), paths, ...kept } as Json;
}

type Named = Record<(typeof KINDS)[number], Record<string, unknown>>;

/** `#/definitions/name` as its parts. */
function placeOf(reference: unknown): { readonly kind: (typeof KINDS)[number]; readonly name: string } | undefined {
  if (typeof reference !== "string") return undefined;
  const kind = KINDS.find((one) => reference.startsWith(`#/${one}/`));
  return kind === undefined ? undefined : { kind, name: reference.slice(kind.length + 3) };
}

const isBelow = (path: string, root: string): boolean => path === root || path.startsWith(`${root}/`);

/** All references that something makes, also through others. */
function usedBy(roots: readonly unknown[], document: Tree): ReadonlySet<string> {
  const used = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    if (Array.isArray(value)) return value.forEach(visit);
    for (const [key, inner] of Object.entries(value)) {
      const place = key === "$ref" ? placeOf(inner) : undefined;
      if (place === undefined) visit(inner);
      else if (!used.has(inner as string) && Object.hasOwn(document[place.kind] ?? {}, place.name)) {
        used.add(inner as string);
        visit(document[place.kind][place.name]);
      }
    }
  };
  roots.forEach(visit);
  return used;
}

function freeName(name: string, definition: unknown, taken: Tree): string {
  const same = (other: unknown) => JSON.stringify(sorted(other)) === JSON.stringify(sorted(definition));
  let free = name;
  for (let n = 2; Object.hasOwn(taken, free) && !same(taken[free]); n++) free = `${name}_v${n}`;
  return free;
}

/** Words don't tell definitions apart, nor does their order. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key, inner]) => key !== "description" || typeof inner !== "string")
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([key, inner]) => [key, sorted(inner)]),
  );
}

/** The same with references to what something is called here. */
function withNames(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => withNames(item, names));
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      const isReference = key === "$ref" && typeof inner === "string";
      return [key, isReference ? (names.get(inner) ?? inner) : withNames(inner, names)];
    }),
  );
}
