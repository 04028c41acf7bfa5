/**
 * What etcd promises, as a sequential model: a map with versions, one revision for the whole store, and answers that name the revision. That the answers do so
 * leaves the checker nearly no choice, which is why it is fast.
 *
 * A compare-and-swap here is a transaction that compares one key's `mod_revision` and then writes, or reads.
 */
import type { Model } from "./linearizability.ts";

export type KvInput =
  | { readonly kind: "put"; readonly key: string; readonly value: string }
  /** Several keys, each once, in one transaction. */
  | { readonly kind: "puts"; readonly entries: readonly { readonly key: string; readonly value: string }[] }
  | { readonly kind: "delete"; readonly key: string }
  /** A lease has run out, with these keys on it, all of them there. */
  | { readonly kind: "expire"; readonly keys: readonly string[] }
  /** Something that isn't in the model was written. */
  | { readonly kind: "beside" }
  /** `modRevision` 0: the key must not exist. */
  | { readonly kind: "swap"; readonly key: string; readonly modRevision: number; readonly value: string }
  | { readonly kind: "get"; readonly key: string }
  | { readonly kind: "list" };

export interface KvVersion {
  readonly value: string;
  readonly modRevision: number;
  readonly createRevision: number;
  readonly version: number;
}

export interface KvOutput {
  readonly revision: number;
  /** Of a swap. */
  readonly succeeded?: boolean;
  /** Of a delete. */
  readonly deleted?: number;
  /** Of a get (none or one) and of a list (all). */
  readonly kvs?: readonly (KvVersion & { readonly key: string })[];
}

export interface KvState {
  readonly revision: number;
  readonly keys: ReadonlyMap<string, KvVersion>;
}

function written(state: KvState, key: string, value: string): KvState {
  const revision = state.revision + 1;
  const before = state.keys.get(key);
  const keys = new Map(state.keys);
  keys.set(key, {
    value,
    modRevision: revision,
    createRevision: before?.createRevision ?? revision,
    version: (before?.version ?? 0) + 1,
  });
  return { revision, keys };
}

function removed(state: KvState, key: string): KvState {
  if (!state.keys.has(key)) return state;
  const keys = new Map(state.keys);
  keys.delete(key);
  return { revision: state.revision + 1, keys };
}

function same(a: KvVersion, b: KvVersion): boolean {
  return (
    a.value === b.value &&
    a.modRevision === b.modRevision &&
    a.createRevision === b.createRevision &&
    a.version === b.version
  );
}

export const keyValueModel: Model<KvState, KvInput, KvOutput> = {
  initial: { revision: 1, keys: new Map() },
  step(state, input, output) {
    switch (input.kind) {
      case "put": {
        if (output !== undefined && output.revision !== state.revision + 1) return undefined;
        return written(state, input.key, input.value);
      }
      case "puts": {
        const revision = state.revision + 1;
        if (output !== undefined && output.revision !== revision) return undefined;
        let { keys } = state;
        for (const { key, value } of input.entries) keys = written({ ...state, keys }, key, value).keys;
        return { revision, keys };
      }
      case "expire": {
        const revision = state.revision + 1;
        if (output !== undefined && output.revision !== revision) return undefined;
        const keys = new Map(state.keys);
        for (const key of input.keys) if (!keys.delete(key)) return undefined;
        return { revision, keys };
      }
      case "beside": {
        const revision = state.revision + 1;
        return output !== undefined && output.revision !== revision ? undefined : { ...state, revision };
      }
      case "delete": {
        const next = removed(state, input.key);
        if (output === undefined) return next;
        const deleted = next === state ? 0 : 1;
        return output.revision === next.revision && output.deleted === deleted ? next : undefined;
      }
      case "swap": {
        const succeeded = (state.keys.get(input.key)?.modRevision ?? 0) === input.modRevision;
        const next = succeeded ? written(state, input.key, input.value) : state;
        if (output === undefined) return next;
        return output.revision === next.revision && output.succeeded === succeeded ? next : undefined;
      }
      case "get": {
        if (output === undefined) return state;
        if (output.revision !== state.revision) return undefined;
        const version = state.keys.get(input.key);
        const kvs = output.kvs ?? [];
        if (version === undefined) return kvs.length === 0 ? state : undefined;
        return kvs.length === 1 && same(kvs[0]!, version) ? state : undefined;
      }
      case "list": {
        if (output === undefined) return state;
        const kvs = output.kvs ?? [];
        if (output.revision !== state.revision || kvs.length !== state.keys.size) return undefined;
        const matches = kvs.every((kv) => {
          const version = state.keys.get(kv.key);
          return version !== undefined && same(kv, version);
        });
        return matches ? state : undefined;
      }
    }
  },
  key({ revision, keys }) {
    let text = String(revision);
    for (const key of [...keys.keys()].sort()) {
      const { value, modRevision, version } = keys.get(key)!;
      text += `;${key}=${value}@${modRevision}/${version}`;
    }
    return text;
  },
};
