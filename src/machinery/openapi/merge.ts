/**
 * Merges the OpenAPI documents of several servers. The part that describes an extension server's group brings along the definitions that it uses; a
 * definition whose name is taken by a different one is renamed.
 * Upstream: kube-openapi/pkg/aggregator/aggregator.go
 */
import type { Json } from "./schemas.ts";

type Tree = Readonly<Record<string, any>>;

const PREFIX = "#/definitions/";

/** OpenAPI v2; `others` in the order in which they win. Paths that are there already stay. */
export function mergeOpenApiV2(
  base: Json,
  others: readonly { readonly document: Json; readonly group: string; readonly version: string }[],
): Json {
  if (others.length === 0) return base;
  const paths: Record<string, unknown> = { ...(base as Tree)["paths"] };
  const definitions: Record<string, unknown> = { ...(base as Tree)["definitions"] };
  for (const { document, group, version } of others) {
    const own = Object.entries(((document as Tree)["paths"] ?? {}) as Tree).filter(
      ([path]) => isBelow(path, `/apis/${group}/${version}`) && !Object.hasOwn(paths, path),
    );
    const theirs = ((document as Tree)["definitions"] ?? {}) as Tree;
    const used = usedBy(
      own.map(([, item]) => item),
      theirs,
    );
    const renamed = new Map<string, string>();
    for (const name of [...used].sort()) renamed.set(name, freeName(name, theirs[name], definitions));
    for (const [name, as] of renamed) definitions[as] ??= withNames(theirs[name], renamed);
    for (const [path, item] of own) paths[path] = withNames(item, renamed);
  }
  return { ...(base as Tree), paths, definitions } as Json;
}

const isBelow = (path: string, root: string): boolean => path === root || path.startsWith(`${root}/`);

/** The names of all definitions that something refers to, also through others. */
function usedBy(roots: readonly unknown[], definitions: Tree): ReadonlySet<string> {
  const used = new Set<string>();
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null) return;
    if (Array.isArray(value)) return value.forEach(visit);
    for (const [key, inner] of Object.entries(value)) {
      if (key !== "$ref" || typeof inner !== "string" || !inner.startsWith(PREFIX)) visit(inner);
      else {
        const name = inner.slice(PREFIX.length);
        if (used.has(name) || !Object.hasOwn(definitions, name)) continue;
        used.add(name);
        visit(definitions[name]);
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

function withNames(value: unknown, names: ReadonlyMap<string, string>): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => withNames(item, names));
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => {
      if (key !== "$ref" || typeof inner !== "string" || !inner.startsWith(PREFIX))
        return [key, withNames(inner, names)];
      const name = inner.slice(PREFIX.length);
      return [key, `${PREFIX}${names.get(name) ?? name}`];
    }),
  );
}
