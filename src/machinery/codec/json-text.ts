/** What only the text of a JSON document shows: duplicate fields, in the order of the document, and syntax errors, in Go's words. */
import { goQuote } from "../../base/go-quote.ts";
import { countTree } from "./custom.ts";
import type { Schema } from "../schema/schema.ts";

/** The fields of all objects in a valid document, those that come twice counted twice. */
export function countFields(text: string): number {
  let count = 0;
  for (let open = text.indexOf('"'); open >= 0;) {
    let i = endOfString(text, open);
    let code = text.charCodeAt(i);
    while (code === 32 || code === 10 || code === 13 || code === 9) code = text.charCodeAt(++i);
    if (code === 58 /* : */) count++;
    open = text.indexOf('"', i);
  }
  return count;
}

/** The index after the closing quote of the string that opens at `open`. */
function endOfString(text: string, open: number): number {
  for (let close = open; ;) {
    close = text.indexOf('"', close + 1);
    let slashes = close - 1;
    while (text.charCodeAt(slashes) === 92) slashes--;
    if ((close - slashes) % 2 === 1) return close + 1;
  }
}

/** Numbers that no float64 holds have one of these. */
const MAYBE_INFINITE = /\d[eE]\+?\d{3}|\d{300}/;
const STRING_OR_NUMBER = /"(?:[^"\\]|\\.)*"|-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?/g;

/** Go's words for the first number of a valid document that is too large for a float64, if there is one: the platform's parser makes it infinite. */
export function infiniteNumber(text: string): string | undefined {
  if (!MAYBE_INFINITE.test(text)) return undefined;
  for (const [found] of text.matchAll(STRING_OR_NUMBER))
    if (found[0] !== '"' && !Number.isFinite(Number(found)))
      return `json: cannot unmarshal number ${found} into Go value of type float64`;
  return undefined;
}

/** As deep as Go reads. */
const GO_DEPTH_MAX = 10_000;
/** As deep as what is read can be handled on any stack: everything that looks at an object goes as deep as the object. */
const DEPTH_MAX = 1_000;
/** More stack than whatever looks at an object takes for a level of it, as arguments of 8 bytes. */
const LEVEL = Object.freeze(Array.from({ length: 192 }, () => undefined));

/** Whether the stack of this process has room for what looks at objects of so many levels. */
export function stackHolds(levels: number): boolean {
  let left = levels;
  const descend = (): void => {
    if (--left > 0) Reflect.apply(descend, undefined, LEVEL);
  };
  try {
    descend();
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

/** What is wrong with a valid document that is too deep. */
export function tooDeep(text: string): string | undefined {
  if (text.length <= 2 * DEPTH_MAX) return undefined;
  let depth = 0;
  let most = 0;
  for (let i = 0; i < text.length; i++) {
    switch (text.charCodeAt(i)) {
      case 34 /* " */:
        i = endOfString(text, i) - 1;
        break;
      case 91 /* [ */:
      case 123 /* { */:
        if (++depth > GO_DEPTH_MAX) return `invalid character '${text[i]}' exceeded max depth`;
        if (depth > most) most = depth;
        break;
      case 93 /* ] */:
      case 125 /* } */:
        depth--;
    }
  }
  return most > DEPTH_MAX && !stackHolds(most) ? "exceeded max depth" : undefined;
}

/** What a valid document, of which `tree` was made, says twice. */
export function repeatedFields(text: string, tree: unknown): readonly string[] {
  return countFields(text) === countTree(tree) ? [] : strictErrors(text, undefined);
}

/** A valid document in which fields come twice: with the first of each, or with the later ones merged into the earlier. */
export function repeatsOf(text: string, which: "first" | "merged"): unknown {
  let i = 0;
  const skip = () => {
    while (/[ \t\r\n,:]/.test(text[i] ?? "")) i++;
  };
  const value = (): unknown => {
    skip();
    const start = i;
    if (text[i] === "[") {
      const list: unknown[] = [];
      for (i++, skip(); text[i] !== "]"; skip()) list.push(value());
      i++;
      return list;
    }
    if (text[i] === "{") {
      const object: Record<string, unknown> = {};
      for (i++, skip(); text[i] !== "}"; skip()) {
        const key = value() as string;
        const next = value();
        const isNew = !Object.hasOwn(object, key);
        if (!isNew && which === "first") continue;
        const merged = isNew ? next : mergedFields(object[key], next);
        Object.defineProperty(object, key, { value: merged, enumerable: true, configurable: true, writable: true });
      }
      i++;
      return object;
    }
    if (text[i] === '"') i = endOfString(text, i);
    else while (i < text.length && !/[,\]}\s]/.test(text[i]!)) i++;
    return JSON.parse(text.slice(start, i));
  };
  return value();
}

const isFields = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

function mergedFields(before: unknown, after: unknown): unknown {
  if (!isFields(before) || !isFields(after)) return after;
  const merged: Record<string, unknown> = { ...before };
  for (const [key, value] of Object.entries(after))
    merged[key] = Object.hasOwn(merged, key) ? mergedFields(merged[key], value) : value;
  return merged;
}

/** Upstream stops collecting here. */
const MOST = 100;

/**
 * `unknown field "a.b"` and `duplicate field "c[0].d"` of a valid document, in its order, each once. Without a schema only what comes twice is
 * told.
 */
export function strictErrors(text: string, schema: Schema | undefined): readonly string[] {
  const errors = new Set<string>();
  const space = /[ \t\r\n]*/y;
  let i = 0;
  const skip = () => {
    space.lastIndex = i;
    space.test(text);
    i = space.lastIndex;
  };
  const report = (what: string, path: string) => {
    if (errors.size < MOST) errors.add(`${what} field ${JSON.stringify(path)}`);
  };
  /** `schema` undefined: nothing is known of this value, so all of it is allowed; `quiet`: nothing in it is reported. */
  const value = (path: string, at: Schema | undefined, quiet: boolean): void => {
    skip();
    const code = text[i]!;
    if (code === "{") object(path, at, quiet);
    else if (code === "[") {
      const inner = at?.format?.startsWith("schema-or-") ? at.items : at?.type === "array" ? at.items : undefined;
      i++;
      skip();
      for (let n = 0; text[i] !== "]"; n++) {
        value(
          `${path}[${n}]`,
          inner,
          quiet || at?.format?.startsWith("schema-or-") === true || (inner === undefined && schema !== undefined),
        );
        skip();
        if (text[i] === ",") i++;
        skip();
      }
      i++;
    } else if (code === '"') i = endOfString(text, i);
    else while (i < text.length && !/[,\]}\s]/.test(text[i]!)) i++;
  };
  const object = (path: string, given: Schema | undefined, quiet: boolean): void => {
    const at = given?.format?.startsWith("schema-or-") ? given.items : given;
    const opaque = at === undefined || (at.properties === undefined && at.values === undefined);
    const silent =
      quiet ||
      at !== given ||
      (opaque && at?.preserveUnknownFields !== false && at?.type !== undefined && at.format !== undefined);
    const seen = new Set<string>();
    i++;
    skip();
    while (text[i] !== "}") {
      const end = endOfString(text, i);
      const key = JSON.parse(text.slice(i, end)) as string;
      i = end;
      skip();
      i++; // The colon.
      const here = path === "" ? key : `${path}.${key}`;
      let inner: Schema | undefined;
      let hush = silent;
      const isUnknown =
        at?.properties !== undefined && at.preserveUnknownFields !== true && at.properties.get(key) === undefined;
      if (!silent && !isUnknown && seen.has(key)) report("duplicate", here);
      seen.add(key);
      if (at?.properties !== undefined) {
        inner = at.properties.get(key);
        const kept =
          at.preserveUnknownFields === true ||
          (at.embeddedResource === true && /^(apiVersion|kind|metadata)$/.test(key));
        if (inner === undefined && !kept) {
          if (!silent) report("unknown", here);
          hush = true;
        }
      } else if (at?.values !== undefined) inner = at.values;
      else if (at?.type === "object" && at.format === undefined && at.preserveUnknownFields !== true) {
        if (!silent) report("unknown", here);
        hush = true;
      }
      value(here, inner, hush);
      skip();
      if (text[i] === ",") i++;
      skip();
    }
    i++;
  };
  value("", schema, false);
  return [...errors];
}

/** Go's words for what is wrong with a document, or undefined when Go finds nothing wrong. */
export function syntaxError(text: string): string | undefined {
  let i = 0;
  const skip = () => {
    while (i < text.length && " \t\r\n".includes(text[i]!)) i++;
  };
  const fail = (where: string): never => {
    throw new Broken(
      i >= text.length ? "unexpected end of JSON input" : `invalid character ${quote(text.codePointAt(i)!)} ${where}`,
    );
  };
  /** Go learns of the end from a space that isn't there. */
  const failInside = (where: string): never => {
    if (i >= text.length) throw new Broken(`invalid character ' ' ${where}`);
    return fail(where);
  };
  const string = () => {
    for (i++; ; i++) {
      const c = text[i];
      if (c === undefined) fail("");
      if (c === '"') break;
      if (c! < " ") fail("in string literal");
      if (c !== "\\") continue;
      const escape = text[++i];
      if (escape === undefined || !'bfnrt\\/"u'.includes(escape)) failInside("in string escape code");
      if (escape !== "u") continue;
      for (let n = 0; n < 4; n++) {
        i++;
        if (!/^[0-9a-fA-F]$/.test(text[i] ?? "")) failInside("in \\u hexadecimal character escape");
      }
    }
    i++;
  };
  const digits = (where: string) => {
    if (!/^\d$/.test(text[i] ?? "")) failInside(where);
    while (/^\d$/.test(text[i] ?? "")) i++;
  };
  const number = () => {
    if (text[i] === "-") i++;
    if (text[i] === "0") i++;
    else digits("in numeric literal");
    if (text[i] === ".") {
      i++;
      digits("after decimal point in numeric literal");
    }
    if (text[i] === "e" || text[i] === "E") {
      i++;
      if (text[i] === "+" || text[i] === "-") i++;
      digits("in exponent of numeric literal");
    }
  };
  const literal = (word: string) => {
    for (const letter of word.slice(1)) {
      i++;
      if (text[i] !== letter) failInside(`in literal ${word} (expecting '${letter}')`);
    }
    i++;
  };
  let depth = 0;
  const value = () => {
    skip();
    const c = text[i] ?? "";
    if ((c === "{" || c === "[") && ++depth > GO_DEPTH_MAX) fail("exceeded max depth");
    if (c === "{") {
      i++;
      skip();
      if (text[i] === "}") {
        i++;
        depth--;
        return;
      }
      for (;;) {
        skip();
        if (text[i] !== '"') fail("looking for beginning of object key string");
        string();
        skip();
        if (text[i] !== ":") fail("after object key");
        i++;
        value();
        skip();
        if (text[i] === "}") break;
        if (text[i] !== ",") fail("after object key:value pair");
        i++;
      }
      i++;
      depth--;
    } else if (c === "[") {
      i++;
      skip();
      if (text[i] === "]") {
        i++;
        depth--;
        return;
      }
      for (;;) {
        value();
        skip();
        if (text[i] === "]") break;
        if (text[i] !== ",") fail("after array element");
        i++;
      }
      i++;
      depth--;
    } else if (c === '"') string();
    else if (c === "-" || /^\d$/.test(c)) number();
    else if (c === "t") literal("true");
    else if (c === "f") literal("false");
    else if (c === "n") literal("null");
    else fail("looking for beginning of value");
  };
  try {
    value();
    skip();
    if (i < text.length) fail("after top-level value");
    return undefined;
  } catch (error) {
    if (error instanceof Broken) return error.message;
    throw error;
  }
}

class Broken extends Error {}

function quote(code: number): string {
  // Go goes by bytes, and takes the one that it stumbles over for a character.
  const c = String.fromCodePoint(Buffer.from(String.fromCodePoint(code))[0]!);
  if (c === "'") return "'\\''";
  if (c === '"') return "'\"'";
  return `'${goQuote(c).slice(1, -1)}'`;
}
