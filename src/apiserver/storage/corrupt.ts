/**
 * Objects in etcd that can't be read, since their value is no object or their key is lost: what clients are told. With the gate
 * AllowUnsafeMalformedObjectDeletion the answers name the object, so that somebody who may can delete it unread.
 * Upstream: pkg/storage/etcd3/corrupt_obj_deleter.go, pkg/storage/errors.go
 */
import type { StatusCause } from "../../machinery/meta/types.ts";
import type { GroupResource } from "../../machinery/status.ts";
import { StatusError } from "../../machinery/status.ts";

/** Of a list that holds more of them than this, no more are named. */
const NAMED_MAX = 100;

const ROOT = "/registry";

export const UNSAFE_DELETE_GATE = "AllowUnsafeMalformedObjectDeletion";

export type Flaw = "transform" | "decode";

const FLAWS: Readonly<Record<Flaw, string>> = {
  transform: "data from the storage is not transformable",
  decode: "object not decodable",
};

/** One object that can't be read. As it is, it is what a write tells that meets it. */
export class CorruptObject extends StatusError {
  readonly key: string;
  readonly named: boolean;
  readonly #what: string;

  constructor(flaw: Flaw, key: string, revision: number, named: boolean, cause: unknown) {
    const why = (cause as Error).message;
    // What fails to be transformed is known by no revision.
    const what = named ? `${FLAWS[flaw]} revision=${flaw === "decode" ? revision : 0}: ${why}` : why;
    if (flaw === "transform") {
      super("InternalError", `Internal error occurred: ${what}`, { causes: [{ message: what }] }, { cause });
    } else super("Unknown", what, {}, { cause });
    this.key = key;
    this.named = named;
    this.#what = what;
  }

  #storageError(key: string): string {
    return `StorageError: corrupt object, Code: 7, Key: ${key}, ResourceVersion: 0, AdditionalErrorMsg: ${this.#what}`;
  }

  /** What a read of this object tells. */
  toRead(): StatusError {
    if (!this.named) return this;
    const what = this.#storageError(this.key.slice(ROOT.length));
    return new StatusError("InternalError", `Internal error occurred: ${what}`, { causes: [{ message: what }] });
  }

  /** What a list tells, which gives up at the first. */
  toListed(): StatusError {
    if (this.reason !== "InternalError") return this;
    const what = `unable to transform key ${JSON.stringify(this.key)}: ${this.#what}`;
    return new StatusError(
      "InternalError",
      `Internal error occurred: ${what}`,
      { causes: [{ message: what }] },
      { cause: this.cause },
    );
  }

  toCause(): StatusCause {
    return { reason: "UnexpectedServerResponse", message: this.#storageError(this.key), field: this.key };
  }
}

/** What a list tells of all that it couldn't read. */
export function listError(corrupt: readonly CorruptObject[], { group, plural }: GroupResource): StatusError {
  const causes: StatusCause[] = corrupt.slice(0, NAMED_MAX).map((one) => one.toCause());
  if (corrupt.length > NAMED_MAX)
    causes.push({ reason: "FieldValueTooMany", message: "too many errors, the list is truncated" });
  return new StatusError(
    "StorageReadError",
    `failed to read one or more ${group === "" ? plural : `${plural}.${group}`} from the storage`,
    { name: "list", ...(group !== "" && { group }), kind: plural, causes },
  );
}

/** Entries in order, unless some can't be read: where they are named all are looked at, else the first is one too many. */
export function readAll<T, E>(values: readonly T[], of: GroupResource, read: (value: T) => E): E[] {
  const entries: E[] = [];
  const corrupt: CorruptObject[] = [];
  for (const value of values) {
    try {
      entries.push(read(value));
    } catch (error) {
      if (!(error instanceof CorruptObject)) throw error;
      if (!error.named) throw error.toListed();
      corrupt.push(error);
      if (corrupt.length > NAMED_MAX) break;
    }
  }
  if (corrupt.length > 0) throw listError(corrupt, of);
  return entries;
}
