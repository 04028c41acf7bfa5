/** Decodes stored values, in any of upstream's formats. */
import { isCbor, parseCbor } from "../machinery/codec/cbor.ts";
import { textOf } from "../machinery/codec/json.ts";
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
    let tree: any = isCbor(value) ? parseCbor(value) : JSON.parse(textOf(value));
    if (tree.apiVersion !== apiVersionOf(resource) && resource.storage.fromOlder !== undefined)
      tree = resource.storage.fromOlder(tree);
    if (tree.apiVersion !== apiVersionOf(resource)) {
      const other = versions?.(tree.apiVersion);
      return other === undefined ? tree : readObject(tree, other.schema, true);
    }
    object = readObject(tree, resource.schema, isCustom(resource));
  }
  resource.behaviour.defaults?.(object);
  return object;
}
