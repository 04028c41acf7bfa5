/** Decodes header blocks (RFC 7541). An error in a block is fatal to the connection, because the tables of the two sides differ after it. */
import { DEFAULT_TABLE_BYTES, Http2Error } from "../protocol.ts";
import { DynamicTable, ENTRY_BYTES } from "./dynamic-table.ts";
import { huffmanDecode } from "./huffman.ts";
import { STATIC_TABLE } from "./static-table.ts";

const STATIC_COUNT = STATIC_TABLE.length;
const STATIC_NAMES: readonly string[] = STATIC_TABLE.map(([name]) => name);
const STATIC_VALUES: readonly string[] = STATIC_TABLE.map(([, value]) => value);
/** Below this a loop beats a call into the engine. */
const SMALL = 12;

export interface HeaderLimits {
  /** Of the decoded list, each header counted with 32 bytes beside its text. */
  readonly maxListBytes: number;
  readonly maxHeaders: number;
}

export class HeaderDecoder {
  readonly #table = new DynamicTable(DEFAULT_TABLE_BYTES);
  readonly #limits: HeaderLimits;
  #scratch: Buffer = Buffer.alloc(256);
  #source!: Buffer;
  #at = 0;
  #end = 0;

  constructor(limits: HeaderLimits) {
    this.#limits = limits;
  }

  /** As long as this stays the same, the same block means the same headers. */
  get version(): number {
    return this.#table.version;
  }

  /**
   * Names and values in turn; undefined for a list over the limits, which still has done to the table what it says there.
   * A header bomb (a small block of many references to a long header) costs no more than its bytes.
   */
  decode(block: Buffer, start: number, end: number): string[] | undefined {
    this.#source = block;
    this.#at = start;
    this.#end = end;
    const { maxListBytes, maxHeaders } = this.#limits;
    const table = this.#table;
    const list: string[] = [];
    let bytes = 0;
    let headers = 0;
    while (this.#at < end) {
      const first = block[this.#at]!;
      let name: string;
      let value: string;
      if (first >= 0x80) {
        const index = this.#integer(7);
        if (index <= STATIC_COUNT) {
          if (index === 0) throw failed("index 0");
          name = STATIC_NAMES[index - 1]!;
          value = STATIC_VALUES[index - 1]!;
        } else {
          const entry = this.#entry(index);
          name = table.name(entry);
          value = table.value(entry);
        }
      } else if (first >= 0x40) {
        name = this.#name(this.#integer(6));
        value = this.#string();
        table.insert(name, value);
      } else if (first >= 0x20) {
        const size = this.#integer(5);
        if (headers > 0) throw failed("a table size update after the first header");
        if (size > DEFAULT_TABLE_BYTES) throw failed(`a table of ${size} bytes`);
        table.resize(size);
        continue;
      } else {
        name = this.#name(this.#integer(4));
        value = this.#string();
      }
      headers++;
      bytes += name.length + value.length + ENTRY_BYTES;
      if (bytes <= maxListBytes && headers <= maxHeaders) list.push(name, value);
    }
    return bytes <= maxListBytes && headers <= maxHeaders ? list : undefined;
  }

  #entry(index: number): number {
    const entry = index - STATIC_COUNT - 1;
    if (entry >= this.#table.count) throw failed(`index ${index}`);
    return entry;
  }

  #name(index: number): string {
    if (index === 0) return this.#string();
    return index <= STATIC_COUNT ? STATIC_NAMES[index - 1]! : this.#table.name(this.#entry(index));
  }

  /** An integer that begins in the last `bits` of the byte at hand. */
  #integer(bits: number): number {
    const mask = (1 << bits) - 1;
    let value = this.#source[this.#at++]! & mask;
    if (value < mask) return value;
    for (let shift = 0; ; shift += 7) {
      if (this.#at >= this.#end) throw failed("an integer without its end");
      if (shift > 21) throw failed("an integer too large");
      const byte = this.#source[this.#at++]!;
      value += (byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
  }

  #string(): string {
    if (this.#at >= this.#end) throw failed("a header without its text");
    const huffman = this.#source[this.#at]! >= 0x80;
    const length = this.#integer(7);
    const start = this.#at;
    const end = start + length;
    if (end > this.#end) throw failed("a text longer than its block");
    this.#at = end;
    if (!huffman) return textOf(this.#source, start, end);
    if (this.#scratch.length < length * 2) this.#scratch = Buffer.alloc(length * 2);
    return textOf(this.#scratch, 0, huffmanDecode(this.#source, start, end, this.#scratch));
  }
}

function textOf(source: Buffer, start: number, end: number): string {
  if (end - start > SMALL) return source.toString("latin1", start, end);
  let text = "";
  for (let i = start; i < end; i++) text += String.fromCharCode(source[i]!);
  return text;
}

function failed(what: string): Http2Error {
  return new Http2Error("COMPRESSION_ERROR", `a header block has ${what}`);
}
