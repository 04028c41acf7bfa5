/** Decodes stored values, in any of upstream's formats. */
import { isCbor, parseCbor } from "../machinery/codec/cbor.ts";
import { DecodeError } from "../machinery/codec/decode.ts";
import { parseJson, textOf } from "../machinery/codec/json.ts";
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
    let tree: any = isCbor(value) ? parseCbor(value) : treeOf(textOf(value));
    if (!isCustom(resource) && tree.kind !== undefined && tree.kind !== resource.kind)
      throw new DecodeError(noKind(tree));
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

function treeOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw new DecodeError(whyNoJson(text));
  }
}

function whyNoJson(text: string): string {
  // What doesn't look like JSON is taken for base64 by upstream.
  if (!/^\s*\{/.test(text)) {
    const wrong = text.search(/[^A-Za-z0-9+/=\r\n]/);
    // Letters that are missing at the end are told by where their group begins.
    return `illegal base64 data at input byte ${wrong >= 0 ? wrong : Math.floor(text.length / 4) * 4}`;
  }
  try {
    parseJson(text);
    return "";
  } catch (error) {
    return `couldn't get version/kind; json parse error: ${(error as Error).message}`;
  }
}

const noKind = ({ kind, apiVersion = "" }: { kind: string; apiVersion?: string }): string =>
  `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/runtime/scheme.go:111"`;
