/**
 * Rows of `src/api/<group>/validation*.rows.jsonl`: a valid object (a base), what a client changes in it, and every error it is told. The errors are
 * upstream's, in upstream's order.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { builtinResources } from "../api/index.ts";
import { assert } from "../base/assert.ts";
import { deepFreeze } from "../base/mutable.ts";
import { readTree } from "../machinery/codec/decode.ts";
import { rememberEmpties, restoreEmpties } from "../machinery/codec/empties.ts";
import type { Behaviour, HookContext, Resource } from "../machinery/resource.ts";
import { apiVersionOf } from "../machinery/resource.ts";
import type { FieldError } from "../machinery/validation/field-error.ts";

/** `{"base": name, "object": {…}}`: an object that upstream takes, whole. */
export interface Base {
  readonly base: string;
  readonly object: any;
  /** Feature gates that are on for this object's rows, or off: `Name=false`. */
  readonly gates?: readonly string[];
  /** False where the server allows no privileged containers. */
  readonly allowPrivileged?: boolean;
}

/**
 * New values by path (`spec.ports[0].name`, keys with dots as `["a.b/c"]`); null takes the field away. `{"times": 3, "of": x}` is a list of three, or a
 * text repeated where `x` is one.
 */
export type Changes = Readonly<Record<string, unknown>>;

export interface Row {
  /** The base's name. */
  readonly of: string;
  /** `create`, `update`, or the subresource that is written. */
  readonly op: string;
  /** How the stored object differs from the base; a write that isn't a create changes this one. */
  readonly old?: Changes;
  readonly set: Changes;
  readonly errors: readonly string[];
  /** What the client is warned of, where nothing is wrong. */
  readonly warnings?: readonly string[];
}

/** A row of some group's file, with its base's object. */
export interface PlacedRow extends Row {
  readonly group: string;
  /** The file in the group's folder. */
  readonly file: string;
  readonly line: number;
  readonly object: any;
  readonly gates?: readonly string[];
  readonly allowPrivileged?: boolean;
}

const ROWS_FILE = /^validation.*\.rows\.jsonl$/;
const API = fileURLToPath(new URL("../api/", import.meta.url));

export function readValidationRows(): readonly PlacedRow[] {
  return readdirSync(API, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
    .flatMap((group) =>
      readdirSync(join(API, group))
        .filter((file) => ROWS_FILE.test(file))
        .sort()
        .flatMap((file) => parseRows(group, file, readFileSync(join(API, group, file), "utf8"))),
    );
}

/** A file's rows; its bases are its own. */
export function parseRows(group: string, file: string, text: string): readonly PlacedRow[] {
  const bases = new Map<string, Base>();
  const rows: PlacedRow[] = [];
  for (const [i, line] of text.split("\n").entries()) {
    if (line === "") continue;
    const parsed: Base | Row = JSON.parse(line);
    if ("base" in parsed) bases.set(parsed.base, parsed);
    else {
      const base = bases.get(parsed.of);
      assert(base !== undefined, `${group}/${file}:${i + 1}: no base "${parsed.of}"`);
      const { base: _, ...rest } = base;
      rows.push({ ...parsed, ...rest, group, file, line: i + 1 });
    }
  }
  return rows;
}

/** A copy of `object` with the changes made. */
export function changed(object: any, changes: Changes): any {
  const copy = structuredClone(object);
  for (const [path, value] of Object.entries(changes)) setAt(copy, stepsOf(path), value);
  return copy;
}

/** `a.b[0]["c.d"]` as its four steps. */
export function stepsOf(path: string): readonly (string | number)[] {
  return [...path.matchAll(/\[(\d+)\]|\[("(?:[^"\\]|\\.)*")\]|([^.[\]]+)/g)].map(([, index, quoted, name]) =>
    index !== undefined ? Number(index) : quoted !== undefined ? (JSON.parse(quoted) as string) : name!,
  );
}

function setAt(object: any, steps: readonly (string | number)[], value: unknown): void {
  const last = steps.at(-1)!;
  let at = object;
  for (const [i, step] of steps.slice(0, -1).entries()) at = at[step] ??= typeof steps[i + 1] === "number" ? [] : {};
  if (value !== null) at[last] = repeated(structuredClone(value));
  else if (Array.isArray(at)) at.splice(last as number, 1);
  else delete at[last];
}

/** What a row says in short, at any depth. */
function repeated(value: any): unknown {
  if (Array.isArray(value)) return value.map(repeated);
  if (typeof value !== "object" || value === null) return value;
  if (typeof value.times === "number" && "of" in value)
    return typeof value.of === "string"
      ? value.of.repeat(value.times)
      : Array.from({ length: value.times }, () => repeated(value.of));
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, repeated(one)]));
}

type Asked = Pick<PlacedRow, "object" | "op" | "old" | "set" | "gates" | "allowPrivileged">;

/** What the two objects of a row are on the wire; a create has no old one. */
export function objectsOf(row: Asked): {
  readonly object: any;
  readonly old?: any;
} {
  if (row.op === "create") return { object: changed(row.object, row.set) };
  const stored = changed(row.object, row.old ?? {});
  const old = {
    ...stored,
    metadata: {
      uid: "8c3f6f0e-8f5c-4c92-9b52-4c8a7a5c0000",
      creationTimestamp: NOW,
      resourceVersion: "1",
      ...stored.metadata,
    },
  };
  return { object: changed(old, row.set), old };
}

const NOW = "2026-01-01T00:00:00Z";
/** The namespaces that there are, by their labels. */
const NAMESPACES: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  default: {},
  admins: { "resource.kubernetes.io/admin-access": "true" },
};
const CONTEXT: HookContext = {
  now: NOW,
  user: { name: "admin", groups: ["system:masters"] },
  featureGates: new Map(),
  uuid: () => "8c3f6f0e-8f5c-4c92-9b52-4c8a7a5c0000",
  namespaceLabels: (name) => NAMESPACES[name],
};

/** What our hooks say to a row, as `path: message`. */
export function errorsOf(row: Asked): readonly string[] {
  return fieldErrorsOf(row).map(({ field, message }) => `${field}: ${message}`);
}

function fieldErrorsOf(row: Asked): readonly FieldError[] {
  const { view, context, draft, old } = prepared(row);
  return old === undefined ? view.validate!(draft, context) : (view.validateUpdate?.(draft, old, context) ?? []);
}

/** What our hooks warn a client of who writes a row's object. */
export function warningsOf(row: Asked): readonly string[] {
  const { view, draft, old, warned } = prepared(row);
  return [...warned, ...(view.warnings?.(draft, old) ?? [])];
}

/** The object as it is when validation sees it. */
function prepared(row: Asked): {
  readonly view: Behaviour<any>;
  readonly context: HookContext;
  readonly draft: any;
  readonly old: any;
  readonly warned: readonly string[];
} {
  const warned: string[] = [];
  const context = {
    ...CONTEXT,
    featureGates: new Map((row.gates ?? []).map((gate) => [gate.replace("=false", ""), !gate.endsWith("=false")])),
    ...(row.allowPrivileged !== undefined && { allowPrivileged: row.allowPrivileged }),
    warn: (text: string) => void warned.push(text),
  };
  const resource = resourceOf(row.object);
  const wire = objectsOf(row);
  const draft = decoded(resource, wire.object);
  const { behaviour } = resource;
  if (row.op === "create") {
    draft.metadata.uid ??= CONTEXT.uuid();
    draft.metadata.creationTimestamp ??= NOW;
    behaviour.prepareForCreate?.(draft, context);
    return { view: behaviour, context, draft, old: undefined, warned };
  }
  const old = deepFreeze(decoded(resource, wire.old));
  const view = row.op === "update" ? behaviour : resource.subresources[row.op]?.behaviour;
  assert(view !== undefined, `${resource.kind} has no behaviour for ${row.op}`);
  if (old.metadata.generation === undefined) delete draft.metadata.generation;
  else draft.metadata.generation = old.metadata.generation;
  view.prepareForUpdate?.(draft, old, context);
  keepIdentity(draft.metadata, old.metadata);
  return { view, context, draft, old, warned };
}

/** What the server puts back before anybody is asked: a client can't change when an object came to be or when it goes. */
function keepIdentity(metadata: any, old: any): void {
  metadata.uid ||= old.uid;
  metadata.creationTimestamp = old.creationTimestamp;
  if (old.deletionTimestamp !== undefined) metadata.deletionTimestamp = old.deletionTimestamp;
  if (old.deletionGracePeriodSeconds !== undefined)
    metadata.deletionGracePeriodSeconds ??= old.deletionGracePeriodSeconds;
}

function decoded(resource: Resource, tree: unknown): any {
  const { object, empties } = readTree(structuredClone(tree), resource.schema);
  rememberEmpties(object, empties);
  restoreEmpties(object);
  resource.behaviour.defaults?.(object);
  return object;
}

export function resourceOf({ apiVersion, kind }: { readonly apiVersion: string; readonly kind: string }): Resource {
  const found = builtinResources.find((one) => one.kind === kind && apiVersionOf(one) === apiVersion);
  assert(found !== undefined, `no resource ${apiVersion} ${kind}`);
  return found;
}
