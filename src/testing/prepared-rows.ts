/**
 * Rows of `src/api/<group>/defaults.rows.jsonl` and `strategy.rows.jsonl`: what upstream makes of an object when it reads it, and what its strategies
 * keep, drop and set when it is written. Both say only what is different after that, as changes by path.
 */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { deepFreeze } from "../base/mutable.ts";
import { readTree } from "../machinery/codec/decode.ts";
import type { HookContext } from "../machinery/resource.ts";
import { type Changes, resourceOf } from "./validation-rows.ts";

/** `{"object": {…}, "set": {path: value}}`: the object as it is sent, and what it has after decoding. */
export interface DefaultsRow {
  readonly object: any;
  readonly set: Changes;
}

/** What is written over a base of `validation.rows.jsonl`, and what becomes of it. */
export interface StrategyRow {
  readonly of: string;
  /** `create`, `update`, or the subresource that is written. */
  readonly op: string;
  /** How much of the base is different in what is written. */
  readonly writes: "everything" | "metadata" | "nothing";
  readonly set: Changes;
}

type Placed<T> = T & { readonly group: string; readonly file: string; readonly line: number };

const API = fileURLToPath(new URL("../api/", import.meta.url));

function readRows<T>(files: RegExp): readonly Placed<T>[] {
  return readdirSync(API, { withFileTypes: true })
    .filter((entry) => entry.isDirectory())
    .map(({ name }) => name)
    .sort()
    .flatMap((group) =>
      readdirSync(join(API, group))
        .filter((file) => files.test(file))
        .sort()
        .flatMap((file) =>
          readFileSync(join(API, group, file), "utf8")
            .split("\n")
            .flatMap((text, i) => (text === "" ? [] : [{ ...(JSON.parse(text) as T), group, file, line: i + 1 }])),
        ),
    );
}

export const readDefaultsRows = (): readonly Placed<DefaultsRow>[] => readRows<DefaultsRow>(/^defaults\.rows\.jsonl$/);
export const readStrategyRows = (): readonly Placed<StrategyRow>[] => readRows<StrategyRow>(/^strategy\.rows\.jsonl$/);

/** The objects that strategy rows are about, by group and name. */
export function readBases(): ReadonlyMap<string, any> {
  const rows = readRows<{ readonly base?: string; readonly object: any }>(/^validation.*\.rows\.jsonl$/);
  return new Map(rows.flatMap(({ group, base, object }) => (base === undefined ? [] : [[`${group}/${base}`, object]])));
}

/** What makes `after` of `before`: new values by path, null for what is gone. A list of another length is new as a whole. */
export function differences(before: unknown, after: unknown, path = ""): Record<string, unknown> {
  if (isMap(before) && isMap(after)) {
    const found: Record<string, unknown> = {};
    for (const key of [...new Set([...Object.keys(before), ...Object.keys(after)])].sort())
      Object.assign(found, differences(before[key], after[key], joined(path, key)));
    return found;
  }
  if (Array.isArray(before) && Array.isArray(after) && before.length === after.length)
    return Object.assign({}, ...before.map((item, i) => differences(item, after[i], `${path}[${i}]`)));
  const [was, is] = [canonical(before), canonical(after)];
  return JSON.stringify(was) === JSON.stringify(is) ? {} : { [path]: is ?? null };
}

/** Fields in the order of their names, without the lists and references that say nothing: Go writes some of those, as null. */
function canonical(value: unknown): unknown {
  if (value === null || (Array.isArray(value) && value.length === 0)) return undefined;
  if (Array.isArray(value)) return value.map(canonical);
  if (!isMap(value)) return value;
  const fields = Object.entries(value).map(([key, one]) => [key, canonical(one)] as const);
  return Object.fromEntries(fields.filter(([, one]) => one !== undefined).sort(([a], [b]) => (a < b ? -1 : 1)));
}

const isMap = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function joined(path: string, key: string): string {
  if (!/^[\w-]+$/.test(key)) return `${path}[${JSON.stringify(key)}]`;
  return path === "" ? key : `${path}.${key}`;
}

/** As it travels: without what JSON leaves out. */
const wire = (object: unknown): any => JSON.parse(JSON.stringify(object));

const NOW = "2026-01-01T00:00:00Z";
const CONTEXT: HookContext = {
  now: NOW,
  user: { name: "admin", groups: ["system:masters"] },
  featureGates: new Map(),
  uuid: () => "8c3f6f0e-8f5c-4c92-9b52-4c8a7a5c0000",
};

/** What we make of an object when we read it. */
export function decoded(object: any): any {
  const resource = resourceOf(object);
  const read = readTree(structuredClone(object), resource.schema) as { object: any };
  resource.behaviour.defaults?.(read.object);
  return read.object;
}

export const defaultsOf = (object: any): Changes => differences(object, wire(decoded(object)));

/** What our hooks make of the write that a row describes. */
export function preparedOf(base: any, { op, writes }: Pick<StrategyRow, "op" | "writes">): Changes {
  const resource = resourceOf(base);
  const { object, old } = writtenOf(base, op, writes);
  const draft = decoded(object);
  const sent = wire(draft);
  if (op === "create") {
    draft.metadata.uid = CONTEXT.uuid();
    resource.behaviour.prepareForCreate?.(draft, CONTEXT);
  } else {
    const view = op === "update" ? resource.behaviour : resource.subresources[op]?.behaviour;
    const stored = deepFreeze(decoded(old));
    if (stored.metadata.generation === undefined) delete draft.metadata.generation;
    else draft.metadata.generation = stored.metadata.generation;
    view?.prepareForUpdate?.(draft, stored, CONTEXT);
  }
  // As it is read back.
  return differences(sent, wire(decoded(wire(draft))));
}

const METADATA = { generation: 7, labels: { kept: "no" }, annotations: { kept: "no" }, finalizers: ["example.com/x"] };

/** What is sent, and what is stored before. */
export function writtenOf(
  base: any,
  op: string,
  writes: StrategyRow["writes"],
): { readonly object: any; readonly old: any } {
  const { metadata } = base;
  const old = {
    ...base,
    metadata: { ...metadata, uid: "u", resourceVersion: "1", creationTimestamp: NOW, generation: 3 },
  };
  if (op === "create") return { object: { ...base, metadata: { ...metadata, ...METADATA } }, old: undefined };
  if (writes === "nothing") return { object: old, old };
  const object = { ...old, metadata: { ...old.metadata, ...METADATA } };
  if (writes === "metadata") return { object, old };
  const kept = new Set(["apiVersion", "kind", "metadata"]);
  const changed = Object.entries(object).map(([key, value]) => [key, kept.has(key) ? value : anotherValue(value)]);
  return { object: Object.fromEntries(changed), old };
}

/** Another value of the same shape. */
function anotherValue(value: unknown): unknown {
  if (typeof value === "number") return value + 1;
  if (typeof value === "boolean") return !value;
  if (Array.isArray(value)) return value.map(anotherValue);
  if (isMap(value)) return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, anotherValue(one)]));
  if (typeof value !== "string") return value;
  if (/^\d{4}-\d\d-\d\dT/.test(value)) return value.replace(/^2026/, "2027");
  if (/^[\d.]+[a-zA-Z%]{0,2}$/.test(value)) return `1${value}`;
  // What may be base64 stays.
  return value.length % 4 === 0 && /=$|^[\w+/]{200}/.test(value) ? value : `${value}x`;
}
