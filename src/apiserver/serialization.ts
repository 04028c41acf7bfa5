/** Stored values to objects, whichever of upstream's formats they are in. */
import { isProtobuf } from "../machinery/codec/protobuf.ts";
import type { ProtobufCodec } from "../machinery/codec/protobuf.ts";
import { readObject } from "../machinery/codec/custom.ts";
import type { Resource } from "../machinery/resource.ts";
import { apiVersionOf } from "../machinery/resource.ts";
import { isCustom } from "./registry/decode.ts";

/** Brought to its kind's shape and defaulted; a value in another version (an older server's) is taken as it is. */
export function decodeStored(
  value: Uint8Array,
  resource: Resource,
  codec: ProtobufCodec,
  versions?: (apiVersion: string) => Resource | undefined,
): any {
  let object: any;
  if (isProtobuf(value)) object = codec.decode(value, resource.schema).object;
  else {
    const tree = JSON.parse(Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString());
    if (tree.apiVersion !== apiVersionOf(resource)) {
      const other = versions?.(tree.apiVersion);
      return other === undefined ? tree : readObject(tree, other.schema, true);
    }
    object = readObject(tree, resource.schema, isCustom(resource));
  }
  resource.behaviour.defaults?.(object);
  return object;
}
