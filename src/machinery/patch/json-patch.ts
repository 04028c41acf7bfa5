/**
 * JSON patch (RFC 6902), with the quirks of the library that upstream uses: negative indices, `replace` of a missing
 * member, text before the first slash ignored. All operations apply or none does.
 *
 * Upstream: github.com/evanphx/json-patch (v4), staging/src/k8s.io/apiserver/pkg/endpoints/handlers/patch.go
 */
import { StatusError, badRequest } from "../status.ts";
import { isObject, jsonEqual, member, setMember, type JsonObject } from "./json-value.ts";

const OPERATIONS_MAX = 10_000;
const COPY_BYTES_MAX = 3 * 1024 * 1024;

type Container = Record<string, unknown> | unknown[];

/** The failure of one operation. Clients get upstream's generic 422; these words are its cause. */
class OperationError extends Error {
  override readonly name = "OperationError";
}

/** The patched document. What no operation touched keeps its identity. */
export function applyJsonPatch(document: unknown, patch: unknown): unknown {
  return patchingOf(document, patch).root;
}

/** The same as upstream's library writes it: it reads a part only when an operation leads through it, and what it has read has its keys sorted. */
export function jsonPatchText(document: unknown, patch: unknown): string {
  const patching = patchingOf(document, patch);
  return patching.textOf(patching.root);
}

function patchingOf(document: unknown, patch: unknown): Patching {
  if (patch === null) return new Patching(document);
  if (!Array.isArray(patch)) throw badRequest("json: cannot unmarshal the patch into a list of operations");
  if (patch.length > OPERATIONS_MAX) {
    throw new StatusError(
      "RequestEntityTooLarge",
      `Request entity too large: The allowed maximum operations in a JSON patch is ${OPERATIONS_MAX}, got ${patch.length}`,
    );
  }
  for (const operation of patch) {
    if (!isObject(operation) && operation !== null)
      throw badRequest("json: cannot unmarshal the patch into a list of operations");
  }
  const patching = new Patching(document);
  try {
    for (const operation of patch) patching.apply(operation ?? {});
  } catch (cause) {
    if (!(cause instanceof OperationError)) throw cause;
    throw new StatusError("Invalid", "the server rejected our request due to an error in our request", {}, { cause });
  }
  return patching;
}

class Patching {
  root: unknown;
  /** Containers made by this patch: they may be changed in place. */
  readonly #own = new Set<Container>();
  readonly #read = new Set<unknown>();
  #copiedBytes = 0;

  constructor(document: unknown) {
    this.root = document;
    this.#read.add(document);
  }

  textOf(value: unknown): string {
    if (Array.isArray(value)) return `[${value.map((item) => this.textOf(item)).join()}]`;
    if (!isObject(value)) return JSON.stringify(value);
    const names = Object.keys(value);
    if (this.#read.has(value)) names.sort();
    return `{${names.map((name) => `${JSON.stringify(name)}:${this.textOf(value[name])}`).join()}}`;
  }

  apply(operation: JsonObject): void {
    const op = operation["op"];
    const path = text(operation, "path");
    const value = operation["value"] ?? null;
    switch (op) {
      case "add":
        return this.#add(path, value, `add operation does not apply: doc is missing path: "${path}": missing value`);
      case "remove":
        return this.#remove(path, "remove");
      case "replace":
        return this.#replace(path, value);
      case "move": {
        const from = text(operation, "from");
        const at = this.#find(from);
        if (at === undefined) fail(`move operation does not apply: doc is missing from path: ${from}: missing value`);
        const moved = get(at.container, at.key) ?? null;
        this.#remove(from, "move");
        return this.#add(
          path,
          moved,
          `move operation does not apply: doc is missing destination path: ${path}: missing value`,
        );
      }
      case "copy": {
        const from = text(operation, "from");
        const at = this.#find(from);
        if (at === undefined) fail(`copy operation does not apply: doc is missing from path: ${from}: missing value`);
        const copied = this.textOf(get(at.container, at.key) ?? null);
        this.#copiedBytes += Buffer.byteLength(copied);
        if (this.#copiedBytes > COPY_BYTES_MAX) {
          fail(
            `Unable to complete the copy, the accumulated size increase of copy is ${this.#copiedBytes}, exceeding the limit ${COPY_BYTES_MAX}`,
          );
        }
        return this.#add(
          path,
          JSON.parse(copied),
          `copy operation does not apply: doc is missing destination path: ${path}: missing value`,
        );
      }
      case "test":
        return this.#test(path, value);
      default:
        fail(`Unexpected kind: ${typeof op === "string" ? op : "unknown"}`);
    }
  }

  #add(path: string, value: unknown, missing: string): void {
    const at = this.#find(path);
    if (at === undefined) fail(missing);
    const { container, key } = at;
    if (!Array.isArray(container)) return setMember(container, key, value);
    if (key === "-") return void container.push(value);
    const length = container.length + 1;
    const index = indexOf(key, `error in add for path: '${path}'`);
    if (index >= length || index < -length) {
      fail(`error in add for path: '${path}': Unable to access invalid index: ${index}: invalid index referenced`);
    }
    container.splice(index < 0 ? index + length : index, 0, value);
  }

  #remove(path: string, operation: string): void {
    const at = this.#find(path);
    if (at === undefined) {
      fail(`${operation} operation does not apply: doc is missing path: "${path}": missing value`);
    }
    const { container, key } = at;
    const where = `error in ${operation} for path: '${path}'`;
    if (Array.isArray(container)) {
      container.splice(existingIndex(container, key, where), 1);
      return;
    }
    if (!Object.hasOwn(container, key)) fail(`${where}: Unable to remove nonexistent key: ${key}: missing value`);
    delete container[key];
  }

  #replace(path: string, value: unknown): void {
    if (path === "") {
      if (typeof value !== "object" || value === null) fail("replace operation value must be object or array");
      this.root = value;
      return;
    }
    const at = this.#find(path);
    if (at === undefined) fail(`replace operation does not apply: doc is missing path: ${path}: missing value`);
    const { container, key } = at;
    if (!Array.isArray(container)) return setMember(container, key, value);
    container[existingIndex(container, key, `replace operation does not apply: doc is missing key: ${path}`)] = value;
  }

  #test(path: string, value: unknown): void {
    const at = path === "" ? undefined : this.#find(path, false);
    if (path !== "" && at === undefined) {
      fail(`test operation does not apply: is missing path: ${path}: missing value`);
    }
    const found = at === undefined ? this.root : (get(at.container, at.key) ?? null);
    this.#readWhole(found);
    if (!jsonEqual(found, value)) fail(`testing value ${path} failed: test failed`);
  }

  /** The container that holds the last token of the path; for a change, copied down from the root first. */
  #find(path: string, forChange = true): { readonly container: Container; readonly key: string } | undefined {
    const tokens = path.split("/");
    if (tokens.length < 2) return undefined;
    const key = unescaped(tokens[tokens.length - 1]!);
    let container = asContainer(this.root);
    if (container === undefined) return undefined;
    if (forChange) this.root = container = this.#owned(container);
    for (let i = 1; i < tokens.length - 1; i++) {
      const token = unescaped(tokens[i]!);
      const at = Array.isArray(container) ? position(container, token) : token;
      if (at === undefined) return undefined;
      const next: Container | undefined = asContainer(
        Array.isArray(container) ? container[at as number] : member(container, at as string),
      );
      if (next === undefined) return undefined;
      this.#read.add(next);
      const step: Container = forChange ? this.#owned(next) : next;
      if (step !== next) {
        if (Array.isArray(container)) container[at as number] = step;
        else setMember(container, token, step);
      }
      container = step;
    }
    return { container, key };
  }

  /** Comparing reads all of it. */
  #readWhole(value: unknown): void {
    if (typeof value !== "object" || value === null) return;
    this.#read.add(value);
    for (const inner of Object.values(value)) this.#readWhole(inner);
  }

  #owned(container: Container): Container {
    this.#read.add(container);
    if (this.#own.has(container)) return container;
    const copy = Array.isArray(container) ? [...container] : { ...container };
    this.#own.add(copy);
    this.#read.add(copy);
    return copy;
  }
}

function fail(words: string): never {
  throw new OperationError(words);
}

function text(operation: JsonObject, name: "path" | "from"): string {
  const value = operation[name];
  if (typeof value !== "string") fail(`operation missing ${name} field: missing value`);
  return value;
}

function asContainer(value: unknown): Container | undefined {
  return typeof value === "object" && value !== null ? (value as Container) : undefined;
}

const unescaped = (token: string): string =>
  token.includes("~") ? token.replaceAll("~1", "/").replaceAll("~0", "~") : token;

function indexOf(key: string, where: string): number {
  if (!/^[+-]?\d+$/.test(key)) fail(`${where}: value was not a proper array index: '${key}'`);
  return Number(key);
}

function existingIndex(list: readonly unknown[], key: string, where: string): number {
  const index = indexOf(key, where);
  if (index >= list.length || index < -list.length) {
    fail(`${where}: Unable to access invalid index: ${index}: invalid index referenced`);
  }
  return index < 0 ? index + list.length : index;
}

function position(list: readonly unknown[], key: string): number | undefined {
  if (!/^[+-]?\d+$/.test(key)) return undefined;
  const index = Number(key);
  if (index >= list.length || index < -list.length) return undefined;
  return index < 0 ? index + list.length : index;
}

/** What is there. A missing member reads as undefined, a missing index fails. */
function get(container: Container, key: string): unknown {
  if (!Array.isArray(container)) return member(container, key);
  return container[existingIndex(container, key, `value at '${key}'`)];
}
