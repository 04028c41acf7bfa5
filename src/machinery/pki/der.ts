/** The part of DER (ASN.1's distinguished encoding rules) that certificates and requests need: type, length, content. */

export const BOOLEAN = 0x01;
export const INTEGER = 0x02;
export const BIT_STRING = 0x03;
export const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;
export const SEQUENCE = 0x30;
/** `[n]` with parts, as in `[0] EXPLICIT`. */
export const tagged = (n: number): number => 0xa0 + n;
/** `[n]` with plain content. */
export const taggedPlain = (n: number): number => 0x80 + n;

export interface Element {
  readonly type: number;
  readonly content: Uint8Array;
  /** All of it: type, length and content. */
  readonly raw: Uint8Array;
}

/** What stands one behind the other in `bytes`; undefined where that isn't DER. */
export function elements(bytes: Uint8Array): readonly Element[] | undefined {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const start = at;
    const type = bytes[at++]!;
    let length = bytes[at++];
    if (length === undefined) return undefined;
    if (length >= 0x80) {
      let more = length & 0x7f;
      if (more === 0 || more > 4) return undefined;
      for (length = 0; more > 0; more--) length = length * 256 + (bytes[at++] ?? 0);
    }
    if (at + length > bytes.length) return undefined;
    found.push({ type, content: bytes.subarray(at, at + length), raw: bytes.subarray(start, at + length) });
    at += length;
  }
  return found;
}

export function encode(type: number, ...content: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(content);
  const length: number[] = [];
  for (let rest = body.length; rest > 0; rest = Math.floor(rest / 256)) length.unshift(rest % 256);
  const head = body.length < 0x80 ? [type, body.length] : [type, 0x80 + length.length, ...length];
  return Buffer.concat([Buffer.from(head), body]);
}

/** `2.5.4.3` */
export function encodeOid(text: string): Buffer {
  const [first = 0, second = 0, ...rest] = text.split(".").map(Number);
  const bytes = [first * 40 + second];
  for (let part of rest) {
    const digits = [part & 0x7f];
    while ((part = Math.floor(part / 128)) > 0) digits.unshift(0x80 | (part & 0x7f));
    bytes.push(...digits);
  }
  return encode(OBJECT_IDENTIFIER, Buffer.from(bytes));
}

export function readOid(content: Uint8Array): string {
  const parts: number[] = [];
  let part = 0;
  for (const byte of content) {
    part = part * 128 + (byte & 0x7f);
    if (byte < 0x80) {
      if (parts.length === 0)
        parts.push(Math.min(Math.floor(part / 40), 2), part - 40 * Math.min(Math.floor(part / 40), 2));
      else parts.push(part);
      part = 0;
    }
  }
  return parts.join(".");
}

/** A positive number from its bytes. */
export function encodeInteger(bytes: Uint8Array): Buffer {
  let from = 0;
  while (from < bytes.length - 1 && bytes[from] === 0) from++;
  const short = Buffer.from(bytes.subarray(from));
  return encode(INTEGER, ...(short[0]! >= 0x80 ? [Buffer.from([0])] : []), short);
}

/** Certificates write years before 2050 with two digits. */
export function encodeTime(ms: number): Buffer {
  const text = new Date(ms).toISOString().replace(/[-:T]|\.\d+/g, "");
  return Number(text.slice(0, 4)) < 2050
    ? encode(UTC_TIME, Buffer.from(text.slice(2)))
    : encode(GENERALIZED_TIME, Buffer.from(text));
}

/** The first block of that kind in a PEM text. */
export function decodePem(text: string, kinds: readonly string[]): Buffer | undefined {
  const block = /-----BEGIN ([A-Z0-9 ]+)-----([\s\S]+?)-----END \1-----/.exec(text);
  if (block === null || !kinds.includes(block[1]!)) return undefined;
  return Buffer.from(block[2]!, "base64");
}

export function encodePem(kind: string, der: Uint8Array): string {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${kind}-----\n${lines.join("\n")}\n-----END ${kind}-----\n`;
}
