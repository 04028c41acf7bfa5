/** Bytes to objects and back, by media type. */
import { parse } from "yaml";
import type { Resource } from "../machinery/resource.ts";

/** Upstream's protobuf envelope begins so. */
const PROTOBUF_MAGIC = Buffer.from([0x6b, 0x38, 0x73, 0x00]);

export function decodeStored(value: Uint8Array, _resource: Resource): any {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  if (bytes.subarray(0, 4).equals(PROTOBUF_MAGIC)) throw new Error("a value in protobuf can't be read yet");
  return JSON.parse(bytes.toString());
}

export function parseYaml(bytes: Uint8Array): unknown {
  return parse(Buffer.from(bytes).toString());
}
