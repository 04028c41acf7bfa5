/** Transforms an object's bytes on the way to and from etcd. Upstream: pkg/storage/value/transformer.go */

/** One way to encrypt. The key in etcd goes in where the way can vouch for it: a value can't be moved to another. */
export interface Transformer {
  /** Throws where the bytes aren't this one's, or were tampered with. */
  read(data: Uint8Array, key: string): Uint8Array;
  write(data: Uint8Array, key: string): Uint8Array;
  /** Fetches what is needed to read these; undefined where nothing is. */
  prepare?(values: readonly Uint8Array[]): Promise<void> | undefined;
  /** Whether it would write it otherwise now, for other reasons than its prefix. */
  isStale?(data: Uint8Array): boolean;
}

export interface Prefixed {
  readonly prefix: string;
  readonly transformer: Transformer;
}

/** Told of each value that is read or written. */
export type Observe = (type: "from_storage" | "to_storage", prefix: string, startedMs: number, error: unknown) => void;

const ENCRYPTED = "k8s:enc:";

export const identity: Transformer = {
  read(data) {
    if (startsWith(data, ENCRYPTED)) throw new Error("identity transformer tried to read encrypted data");
    return data;
  },
  write: (data) => data,
};

/** The first that fits reads; the first of all writes. What isn't written as it would be now is stale. */
export class PrefixTransformers implements Transformer {
  readonly #all: readonly Prefixed[];
  readonly #unmatched: string;
  readonly #observe: { readonly monotonic: () => number; readonly told: Observe } | undefined;

  constructor(all: readonly Prefixed[], unmatched: string, observe?: { monotonic: () => number; told: Observe }) {
    this.#all = all;
    this.#unmatched = unmatched;
    this.#observe = observe;
  }

  read(data: Uint8Array, key: string): Uint8Array {
    const started = this.#observe?.monotonic() ?? 0;
    const errors: unknown[] = [];
    for (const { prefix, transformer } of this.#all) {
      if (!startsWith(data, prefix)) continue;
      try {
        const result = transformer.read(data.subarray(prefix.length), key);
        this.#observe?.told("from_storage", prefix || "identity", started, undefined);
        return result;
      } catch (error) {
        // Without a prefix nothing says that the value is meant: another may read it.
        if (prefix === "") continue;
        this.#observe?.told("from_storage", prefix, started, error);
        errors.push(error);
      }
    }
    if (errors.length === 1) throw errors[0];
    if (errors.length > 1) throw new Error(`[${errors.map((error) => (error as Error).message).join(", ")}]`);
    const error = new Error(this.#unmatched);
    this.#observe?.told("from_storage", "unknown", started, error);
    throw error;
  }

  write(data: Uint8Array, key: string): Uint8Array {
    const started = this.#observe?.monotonic() ?? 0;
    const { prefix, transformer } = this.#all[0]!;
    try {
      const result = transformer.write(data, key);
      this.#observe?.told("to_storage", prefix, started, undefined);
      return prefix === "" ? result : Buffer.concat([Buffer.from(prefix), result]);
    } catch (error) {
      this.#observe?.told("to_storage", prefix, started, error);
      throw error;
    }
  }

  prepare(values: readonly Uint8Array[]): Promise<void> | undefined {
    let waits: Promise<void>[] | undefined;
    for (const { prefix, transformer } of this.#all) {
      if (transformer.prepare === undefined) continue;
      const mine = values.filter((value) => startsWith(value, prefix)).map((value) => value.subarray(prefix.length));
      const wait = mine.length === 0 ? undefined : transformer.prepare(mine);
      if (wait !== undefined) (waits ??= []).push(wait);
    }
    return waits && Promise.all(waits).then(() => {});
  }

  isStale(data: Uint8Array): boolean {
    const { prefix, transformer } = this.#all[0]!;
    if (prefix === "") return startsWith(data, ENCRYPTED);
    if (!startsWith(data, prefix)) return true;
    return transformer.isStale?.(data.subarray(prefix.length)) ?? false;
  }
}

function startsWith(data: Uint8Array, prefix: string): boolean {
  if (data.length < prefix.length) return false;
  for (let i = 0; i < prefix.length; i++) if (data[i] !== prefix.charCodeAt(i)) return false;
  return true;
}
