/** Whatever decodes is handled: a hook answers with field errors, it never throws. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { deepFreeze } from "../base/mutable.ts";
import { DecodeError, readTree } from "../machinery/codec/decode.ts";
import type { HookContext } from "../machinery/resource.ts";
import type { Schema } from "../machinery/schema/schema.ts";
import { builtinResources } from "./index.ts";

const context: HookContext = {
  now: "2026-01-01T00:00:00Z",
  user: { name: "jane", groups: [] },
  featureGates: new Map(),
  uuid: () => "u",
};

/** The same numbers for the same seed. */
function randomFrom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
}

const TEXTS = ["", "a", "A b", "-", "Never", "1", "10.0.0.1", "500m", "50%", "a/b", "..", "*"];

function anything(schema: Schema, random: () => number, depth: number): unknown {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)]!;
  if (schema.format === "quantity") return pick(["1", "0", "500m", "-1", "2Gi"]);
  if (schema.format === "int-or-string") return pick<unknown>([0, 80, "http", "50%"]);
  if (schema.format === "date-time" || schema.format === "micro-time") return "2026-01-01T00:00:00Z";
  if (schema.format === "byte") return "YQ==";
  switch (schema.type) {
    case "boolean":
      return random() < 0.5;
    case "integer":
    case "number":
      return pick([0, 1, -1, 80, 70000]);
    case "string":
      return schema.enum !== undefined && random() < 0.7 ? pick(schema.enum) : pick(TEXTS);
    case "array":
      return Array.from({ length: Math.floor(random() * 3) }, () => anything(schema.items!, random, depth - 1));
    case "object": {
      const object: Record<string, unknown> = {};
      if (schema.properties !== undefined && depth > 0)
        for (const [name, field] of schema.properties)
          if (random() < (depth > 8 ? 0.9 : 0.4)) object[name] = anything(field, random, depth - 1);
      if (schema.values !== undefined) object[pick(TEXTS.slice(1))] = anything(schema.values, random, depth - 1);
      return object;
    }
    default:
      return pick<unknown>([{}, "a", 1]);
  }
}

function decoded(tree: unknown, schema: Schema): any {
  try {
    return readTree(tree, schema).object;
  } catch (error) {
    if (error instanceof DecodeError) return undefined;
    throw error;
  }
}

test("no object that decodes makes a hook, a column or a field selector throw", () => {
  for (const resource of builtinResources) {
    const random = randomFrom(7);
    const { behaviour, schema } = resource;
    const make = (round: number): any => {
      const tree: any = round === 0 ? {} : anything(schema, random, 10);
      tree.metadata = { ...tree.metadata, name: "x", namespace: "default", uid: "u1", resourceVersion: "1" };
      const object = decoded(tree, schema);
      if (object === undefined) return make(round);
      behaviour.defaults?.(object);
      return object;
    };
    for (let round = 0; round < 12; round++) {
      let step = "decode";
      try {
        const old = deepFreeze(make(round));
        const object = make(round + 1);
        step = "read";
        for (const column of resource.columns) column.cell(old, 0);
        for (const field of Object.values(resource.selectableFields)) field(old);
        resource.gracefulDeletionSeconds?.(old);
        step = "create";
        const created = structuredClone(object);
        behaviour.prepareForCreate?.(created, context);
        behaviour.validate?.(created, context);
        behaviour.warnings?.(created, undefined);
        behaviour.canonicalize?.(created);
        step = "update";
        const updated = structuredClone(object);
        behaviour.prepareForUpdate?.(updated, old, context);
        behaviour.validateUpdate?.(updated, old, context);
        behaviour.warnings?.(updated, old);
        for (const [name, view] of Object.entries(resource.subresources)) {
          step = name;
          const draft = structuredClone(object);
          view.behaviour?.prepareForUpdate?.(draft, old, context);
          view.behaviour?.validateUpdate?.(draft, old, context);
        }
        step = "convert";
        const { toStored, fromStored } = resource.storage;
        if (toStored !== undefined) fromStored!(toStored(object));
      } catch (error) {
        assert.fail(
          `${resource.group}/${resource.version} ${resource.kind}, round ${round}, ${step}: ${(error as Error).stack}`,
        );
      }
    }
  }
});
