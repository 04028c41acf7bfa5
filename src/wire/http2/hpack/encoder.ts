/** Encodes header blocks (RFC 7541). */
import { DEFAULT_TABLE_BYTES } from "../protocol.ts";
import { DynamicTable } from "./dynamic-table.ts";
import { huffmanEncode, huffmanLength } from "./huffman.ts";
import { STATIC_TABLE } from "./static-table.ts";

type Value = string | number;
/** Values by name; names that start with a colon first. */
export type HeaderSource = Readonly<Record<string, Value | readonly string[] | undefined>>;

/** Their values hardly come twice: an entry for each would push the useful ones out of the table. */
const PASSING = new Set(
  [
    [":path", "age", "audit-id", "content-length", "content-range", "date", "etag", "expires", "grpc-timeout"],
    ["if-match", "if-modified-since", "if-none-match", "last-modified", "location", "retry-after", "set-cookie"],
  ].flat(),
);
/** Intermediaries must not add these to a table (RFC 7541, section 7.1.3). */
const SECRET = new Set(["authorization", "cookie", "proxy-authorization"]);
/** A name whose values change this often is passing too. */
const CHANGES_MAX = 32;
const NAMES_MAX = 256;
const CACHED_MAX = 64;
/** Below this a loop beats a call into the engine. */
const SMALL = 24;

const STATIC_BY_NAME = staticByName();

function staticByName(): ReadonlyMap<string, ReadonlyMap<string, number>> {
  const byName = new Map<string, Map<string, number>>();
  STATIC_TABLE.forEach(([name, value], i) => {
    if (!byName.has(name)) byName.set(name, new Map());
    byName.get(name)!.set(value, i + 1);
  });
  return byName;
}

const STATIC_NAME = new Map([...STATIC_BY_NAME].map(([name, values]) => [name, Math.min(...values.values())]));

export class HeaderEncoder {
  /** Numbers of the table's entries. */
  readonly #entries = new Map<string, Map<string, number>>();
  readonly #table = new DynamicTable(DEFAULT_TABLE_BYTES, (name, value, number) => {
    const values = this.#entries.get(name);
    if (values?.get(value) !== number) return;
    values.delete(value);
    if (values.size === 0) this.#entries.delete(name);
  });
  readonly #changes = new Map<string, number>();
  /** Blocks of frozen headers, while no entry has moved since. */
  readonly #blocks = new Map<
    object,
    { readonly version: number; readonly status: number | undefined; readonly block: Buffer }
  >();
  /** The sizes to announce with the next block. */
  #resizes: number[] = [];
  #block: Buffer = Buffer.alloc(1024);
  #at = 0;

  /** The other side's SETTINGS_HEADER_TABLE_SIZE. */
  resize(maxBytes: number): void {
    const size = Math.min(maxBytes, DEFAULT_TABLE_BYTES);
    if (size === this.#table.maxBytes) return;
    this.#table.resize(size);
    // It must hear of the smallest size in between too.
    this.#resizes = [...this.#resizes.filter((earlier) => earlier < size), size];
  }

  /**
   * The block, good until the next call. Headers that are frozen promise never to change: while the table stays as it is, they are encoded once.
   * `status` goes first, where there is one.
   */
  encode(headers: HeaderSource, status?: number): Buffer {
    const frozen = Object.isFrozen(headers);
    if (frozen) {
      const cached = this.#blocks.get(headers);
      if (cached?.version === this.#table.version && cached.status === status) return cached.block;
    }
    const { version } = this.#table;
    this.#at = 0;
    for (const size of this.#resizes) this.#integer(size, 0x20, 5);
    const resized = this.#resizes.length > 0;
    if (resized) this.#resizes = [];
    if (status !== undefined) this.#header(":status", String(status));
    for (const name in headers) {
      const value = headers[name];
      if (value === undefined) continue;
      if (typeof value === "string") this.#header(name, value);
      else if (typeof value === "object") for (const each of value) this.#header(name, String(each));
      else this.#header(name, String(value));
    }
    const block = this.#block.subarray(0, this.#at);
    if (!frozen || resized || version !== this.#table.version) return block;
    if (this.#blocks.size >= CACHED_MAX) this.#blocks.clear();
    const kept = Buffer.from(block);
    this.#blocks.set(headers, { version, status, block: kept });
    return kept;
  }

  #header(name: string, given: string): void {
    const value = latin1(given);
    const inStatic = STATIC_BY_NAME.get(name)?.get(value);
    if (inStatic !== undefined) return this.#integer(inStatic, 0x80, 7);
    const known = this.#entries.get(name);
    const number = known?.get(value);
    if (number !== undefined) return this.#integer(this.#index(number), 0x80, 7);
    const small = known === undefined && !STATIC_NAME.has(name) ? name.toLowerCase() : name;
    if (small !== name) return this.#header(small, value); // HTTP/2 knows no capitals; its callers may.
    const secret = SECRET.has(name);
    const kept = !secret && !PASSING.has(name) && this.#mayKeep(name, value);
    const named = STATIC_NAME.get(name) ?? this.#index(known?.values().next().value);
    if (kept) this.#integer(named, 0x40, 6);
    else this.#integer(named, secret ? 0x10 : 0x00, 4);
    if (named === 0) this.#string(name, kept);
    this.#string(value, kept);
    if (!kept) return;
    this.#table.insert(name, value);
    let values = this.#entries.get(name);
    if (values === undefined) this.#entries.set(name, (values = new Map()));
    values.set(value, this.#table.inserted);
  }

  #index(number: number | undefined): number {
    return number === undefined ? 0 : STATIC_TABLE.length + 1 + this.#table.inserted - number;
  }

  #mayKeep(name: string, value: string): boolean {
    if (name.length + value.length > this.#table.maxBytes / 4) return false;
    const changes = this.#changes.get(name) ?? 0;
    if (changes >= CHANGES_MAX || (changes === 0 && this.#changes.size >= NAMES_MAX)) return false;
    this.#changes.set(name, changes + 1);
    return true;
  }

  #integer(value: number, flags: number, bits: number): void {
    this.#reserve(6);
    const mask = (1 << bits) - 1;
    if (value < mask) {
      this.#block[this.#at++] = flags | value;
      return;
    }
    this.#block[this.#at++] = flags | mask;
    let rest = value - mask;
    for (; rest >= 0x80; rest >>>= 7) this.#block[this.#at++] = (rest & 0x7f) | 0x80;
    this.#block[this.#at++] = rest;
  }

  /** Short in the table is worth the effort; what is sent once is not. */
  #string(text: string, short: boolean): void {
    const { length } = text;
    const packed = short ? huffmanLength(text) : length;
    if (packed < length) {
      this.#integer(packed, 0x80, 7);
      this.#reserve(packed);
      this.#at = huffmanEncode(text, this.#block, this.#at);
      return;
    }
    this.#integer(length, 0, 7);
    this.#reserve(length);
    const block = this.#block;
    let at = this.#at;
    if (length > SMALL) at += block.write(text, at, length, "latin1");
    else for (let i = 0; i < length; i++) block[at++] = text.charCodeAt(i);
    this.#at = at;
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#block.length) return;
    const larger = Buffer.alloc(Math.max(this.#block.length * 2, this.#at + bytes));
    this.#block.copy(larger, 0, 0, this.#at);
    this.#block = larger;
  }
}

/** A character a byte: what has others is sent as UTF-8, as Go does. */
function latin1(text: string): string {
  for (let i = 0; i < text.length; i++)
    if (text.charCodeAt(i) > 0xff) return Buffer.from(text, "utf8").toString("latin1");
  return text;
}
