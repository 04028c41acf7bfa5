/** The extended string functions. Positions count code points. Upstream: github.com/google/cel-go ext/strings.go (version 2) */
import { fn, global, member, type Library } from "../environment.ts";
import { DYN, INT, list, STRING } from "../types.ts";
import { CelError, JsonList, type ListValue, type Value } from "../values.ts";
import { formatText } from "./format-text.ts";

const points = (text: string): readonly string[] => [...text];
const outOfRange = (index: bigint): CelError => new CelError(`index out of range: ${index}`);

function charAt(text: string, index: bigint): string {
  const chars = points(text);
  if (index < 0n || index > chars.length) throw outOfRange(index);
  return chars[Number(index)] ?? "";
}

function indexOf(text: string, part: string, from = 0n): bigint {
  if (part === "") return from;
  const chars = points(text);
  if (from < 0n || from >= chars.length) {
    if (from === 0n && chars.length === 0) return -1n;
    throw outOfRange(from);
  }
  const rest = chars.slice(Number(from)).join("");
  const at = rest.indexOf(part);
  return at < 0 ? -1n : from + BigInt(points(rest.slice(0, at)).length);
}

function lastIndexOf(text: string, part: string, to?: bigint): bigint {
  const chars = points(text);
  const last = to ?? BigInt(Math.max(0, chars.length - 1));
  if (part === "") return to ?? BigInt(chars.length);
  if (chars.length === 0 || chars.length < points(part).length) return -1n;
  if (last < 0n || last >= chars.length) throw outOfRange(last);
  const wanted = points(part);
  for (let i = Math.min(Number(last), chars.length - wanted.length); i >= 0; i--)
    if (wanted.every((char, j) => chars[i + j] === char)) return BigInt(i);
  return -1n;
}

function substring(text: string, from: bigint, to?: bigint): string {
  const chars = points(text);
  if (to === undefined) {
    if (from < 0n || from > chars.length) throw outOfRange(from);
    return chars.slice(Number(from)).join("");
  }
  if (from > to) throw new CelError(`invalid substring range. start: ${from}, end: ${to}`);
  if (from < 0n || from > chars.length) throw outOfRange(from);
  if (to < 0n || to > chars.length) throw outOfRange(to);
  return chars.slice(Number(from), Number(to)).join("");
}

function replace(text: string, old: string, by: string, limit = -1n): string {
  if (limit < 0n)
    return old === ""
      ? by +
          points(text)
            .map((char) => char + by)
            .join("")
      : text.replaceAll(old, () => by);
  let left = Number(limit);
  if (old === "") {
    let result = "";
    for (const char of points(text)) result += (left-- > 0 ? by : "") + char;
    return result + (left > 0 ? by : "");
  }
  let result = "";
  let at = 0;
  for (; left > 0; left--) {
    const next = text.indexOf(old, at);
    if (next < 0) break;
    result += text.slice(at, next) + by;
    at = next + old.length;
  }
  return result + text.slice(at);
}

function split(text: string, by: string, limit = -1n): ListValue {
  if (limit === 0n) return new JsonList([]);
  const parts = by === "" ? points(text) : text.split(by);
  if (limit < 0n || parts.length <= limit) return new JsonList(parts);
  const kept = parts.slice(0, Number(limit) - 1);
  return new JsonList([...kept, parts.slice(Number(limit) - 1).join(by)]);
}

function join(parts: ListValue, by = ""): string {
  const texts: string[] = [];
  for (const part of parts) {
    if (typeof part !== "string") throw new CelError(`join: invalid input: ${String(part)}`);
    texts.push(part);
  }
  return texts.join(by);
}

const asciiOnly = (pattern: RegExp, change: (char: string) => string) => (text: string) =>
  text.replaceAll(pattern, change);

/** As Go's unicode.IsSpace. */
const SPACE = "[\\t\\n\\v\\f\\r \\u0085\\u00a0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000]+";
const TRIM = new RegExp(`^${SPACE}|${SPACE}$`, "g");

const QUOTED: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  "\\": "\\\\",
  '"': '\\"',
};

export const strings: Library = {
  functions: [
    fn("charAt", member("string_char_at_int", [STRING, INT], STRING, charAt)),
    fn(
      "indexOf",
      member("string_index_of_string", [STRING, STRING], INT, indexOf),
      member("string_index_of_string_int", [STRING, STRING, INT], INT, indexOf),
    ),
    fn(
      "lastIndexOf",
      member("string_last_index_of_string", [STRING, STRING], INT, lastIndexOf),
      member("string_last_index_of_string_int", [STRING, STRING, INT], INT, lastIndexOf),
    ),
    fn(
      "lowerAscii",
      member(
        "string_lower_ascii",
        [STRING],
        STRING,
        asciiOnly(/[A-Z]+/g, (text) => text.toLowerCase()),
      ),
    ),
    fn(
      "upperAscii",
      member(
        "string_upper_ascii",
        [STRING],
        STRING,
        asciiOnly(/[a-z]+/g, (text) => text.toUpperCase()),
      ),
    ),
    fn(
      "trim",
      member("string_trim", [STRING], STRING, (text: string) => text.replaceAll(TRIM, "")),
    ),
    fn(
      "replace",
      member("string_replace_string_string", [STRING, STRING, STRING], STRING, replace),
      member("string_replace_string_string_int", [STRING, STRING, STRING, INT], STRING, replace),
    ),
    fn(
      "split",
      member("string_split_string", [STRING, STRING], list(STRING), split),
      member("string_split_string_int", [STRING, STRING, INT], list(STRING), split),
    ),
    fn(
      "substring",
      member("string_substring_int", [STRING, INT], STRING, substring),
      member("string_substring_int_int", [STRING, INT, INT], STRING, substring),
    ),
    fn(
      "format",
      member("string_format", [STRING, list(DYN)], STRING, (text: string, args: ListValue): Value =>
        formatText(text, args),
      ),
    ),
    fn(
      "strings.quote",
      global(
        "strings_quote",
        [STRING],
        STRING,
        (text: string) => `"${[...text].map((char) => QUOTED[char] ?? char).join("")}"`,
      ),
    ),
    fn(
      "join",
      member("list_join", [list(STRING)], STRING, join),
      member("list_join_string", [list(STRING), STRING], STRING, join),
    ),
  ],
};
