/**
 * What the client takes: JSON, YAML, protobuf or CBOR, as it is or as a table or as metadata alone. The first clause of Accept that can be met wins.
 * Upstream: pkg/endpoints/handlers/negotiation.
 */
import { parseAccept } from "../machinery/codec/content.ts";
import { StatusError } from "../machinery/status.ts";
import type { ApiRequest, ListResponse, ObjectResponse, WatchResponse } from "./request.ts";

export type MediaType =
  | "application/json"
  | "application/yaml"
  | "application/vnd.kubernetes.protobuf"
  | "application/cbor";

export interface Encoding {
  readonly mediaType: MediaType;
  /** Objects as they are, or what is made of them. */
  readonly as: "object" | "table" | "metadata";
  /** The version of meta.k8s.io that a table or metadata is in. */
  readonly asVersion: string;
  readonly pretty: boolean;
  readonly contentType: string;
  /** For a table: what of each object goes along. */
  readonly includeObject: "None" | "Metadata" | "Object";
}

const PROTOBUF = "application/vnd.kubernetes.protobuf";
const CBOR = "application/cbor";
const CBOR_SEQUENCE = "application/cbor-seq";
const ALL: readonly MediaType[] = ["application/json", "application/yaml", PROTOBUF, CBOR];

/** Protobuf needs a schema with field numbers, which custom resources don't have. */
function speaksProtobuf(response: ObjectResponse | ListResponse | WatchResponse): boolean {
  if (response.kind === "object" && response.resource === undefined) return response.schema !== undefined;
  return response.resource!.schema.name !== undefined;
}

export function negotiate(request: ApiRequest, response: ObjectResponse | ListResponse | WatchResponse): Encoding {
  const resource = "resource" in response ? response.resource : undefined;
  const isWatch = response.kind === "watch";
  const known = ALL.filter((type) => type !== CBOR || request.cbor === true).filter(
    // YAML has no frames.
    (type) => type !== "application/yaml" || !isWatch,
  );
  const accepted = known.filter((type) => type !== PROTOBUF || speaksProtobuf(response));
  const header = request.header("accept") ?? "";
  if (header.trim() === "") return encoding(request, "application/json", {}, undefined);
  for (const { type, parameters } of parseAccept(header)) {
    const wanted = isWatch && type === CBOR_SEQUENCE ? CBOR : type;
    const { as, g: group, v: version } = parameters;
    const mediaType =
      wanted === "*/*" || wanted === "application/*"
        ? "application/json"
        : (as === undefined ? accepted : known).find((one) => one === wanted);
    if (mediaType === undefined) continue;
    if (as === undefined) return encoding(request, mediaType, parameters, undefined);
    if (group !== "meta.k8s.io" || (version !== "v1" && version !== "v1beta1")) continue;
    if (resource === undefined) continue;
    const isList = response.kind === "list";
    if (as === "Table" && (mediaType === "application/json" || mediaType === "application/yaml"))
      return encoding(request, mediaType, parameters, "table");
    if (as === (isList ? "PartialObjectMetadataList" : "PartialObjectMetadata"))
      return encoding(request, mediaType, parameters, "metadata");
  }
  const names = isWatch ? accepted.map((type) => (type === CBOR ? CBOR_SEQUENCE : `${type};stream=watch`)) : accepted;
  throw new StatusError("NotAcceptable", `only the following media types are accepted: ${names.join(", ")}`);
}

/** Errors are never tables; where nothing else fits they are JSON that people can read. */
export function statusEncoding(request: ApiRequest): Encoding {
  const header = request.header("accept") ?? "";
  if (header.trim() === "") return encoding(request, "application/json", {}, undefined);
  for (const { type, parameters } of parseAccept(header)) {
    if (parameters["as"] !== undefined) continue;
    if (type === "*/*" || type === "application/*") return encoding(request, "application/json", parameters, undefined);
    const known = ALL.find((one) => one === type && (one !== CBOR || request.cbor === true));
    if (known !== undefined) return encoding(request, known, parameters, undefined);
  }
  return { ...encoding(request, "application/json", {}, undefined), pretty: true };
}

function encoding(
  request: ApiRequest,
  mediaType: MediaType,
  parameters: Readonly<Record<string, string>>,
  as: "table" | "metadata" | undefined,
): Encoding {
  const version = parameters["v"] ?? "v1";
  const transformed = as === undefined ? "" : `;as=${parameters["as"]};g=meta.k8s.io;v=${version}`;
  return {
    mediaType,
    as: as ?? "object",
    asVersion: version,
    pretty: isPretty(request, parameters),
    contentType: `${mediaType}${transformed}`,
    includeObject: (request.query.get("includeObject") ?? "Metadata") as Encoding["includeObject"],
  };
}

/** People read what curl and browsers fetch. */
function isPretty(request: ApiRequest, parameters: Readonly<Record<string, string>>): boolean {
  const asked = request.query.get("pretty") ?? parameters["pretty"] ?? null;
  if (asked !== null) return asked === "" || asked === "1" || asked === "true";
  return /^(curl|Wget|Mozilla)\b/.test(request.header("user-agent") ?? "");
}
