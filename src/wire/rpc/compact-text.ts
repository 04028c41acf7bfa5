/**
 * A message as one line of text, in the form that Go's protobuf has had for it: `key:"a" limit:5 nested:<more:true > `.
 *
 * Upstream: github.com/golang/protobuf/proto (CompactTextString)
 */
import type { Registry } from "./codec.ts";
import type { MessageField, MessageType } from "./service.ts";

/** `message` is a whole one, as the codec decodes it. What has its zero value isn't shown, but for members of a oneof. */
export function compactText(registry: Registry, type: MessageType<any>, message: object): string {
  let text = "";
  for (const field of type.fields) {
    const value = (message as Record<string, unknown>)[field.name];
    if (field.repeated === true) for (const one of value as readonly unknown[]) text += fieldText(registry, field, one);
    else if (value !== undefined && (field.oneof !== undefined || !isZero(registry, field, value)))
      text += fieldText(registry, field, value);
  }
  return text;
}

function fieldText(registry: Registry, field: MessageField, value: unknown): string {
  const nested = registry.messages[field.type];
  if (nested !== undefined) return `${field.name}:<${compactText(registry, nested, value as object)}> `;
  if (value instanceof Uint8Array) return `${field.name}:${quoted(value)} `;
  const isText = typeof value === "string" && registry.enums[field.type] === undefined;
  return `${field.name}:${isText ? quoted(new TextEncoder().encode(value)) : String(value)} `;
}

function isZero(registry: Registry, { type }: MessageField, value: unknown): boolean {
  if (registry.messages[type] !== undefined) return false;
  if (value instanceof Uint8Array) return value.length === 0;
  const names = registry.enums[type];
  if (names !== undefined) return value === 0 || names[value as string] === 0;
  return value === 0 || value === 0n || value === "" || value === false;
}

const ESCAPES: Readonly<Record<number, string>> = { 0x0a: "\\n", 0x0d: "\\r", 0x09: "\\t", 0x22: '\\"', 0x5c: "\\\\" };

function quoted(bytes: Uint8Array): string {
  let text = "";
  for (const byte of bytes)
    text +=
      ESCAPES[byte] ??
      (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : `\\${byte.toString(8).padStart(3, "0")}`);
  return `"${text}"`;
}
