/**
 * What the client takes: JSON, YAML or protobuf, as it is or as a table or as metadata alone. The first clause of Accept that can be met wins.
 * Upstream: pkg/endpoints/handlers/negotiation.
 */
import { parseAccept } from "../machinery/codec/content.ts";
import type { Resource } from "../machinery/resource.ts";
import { StatusError } from "../machinery/status.ts";
import type { ApiRequest, ListResponse, ObjectResponse, WatchResponse } from "./request.ts";

export type MediaType = "application/json" | "application/yaml" | "application/vnd.kubernetes.protobuf";

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

const ALL: readonly MediaType[] = ["application/json", "application/yaml", "application/vnd.kubernetes.protobuf"];

/** Protobuf needs a schema with field numbers, which custom resources don't have. */
function speaksProtobuf(resource: Resource | undefined): boolean {
  return resource === undefined || resource.schema.name !== undefined;
}

export function negotiate(request: ApiRequest, response: ObjectResponse | ListResponse | WatchResponse): Encoding {
  const resource = "resource" in response ? response.resource : undefined;
  const protobuf = resource !== undefined && speaksProtobuf(resource);
  const accepted = ALL.filter((type) => type !== "application/vnd.kubernetes.protobuf" || protobuf);
  const header = request.header("accept") ?? "";
  if (header.trim() === "") return encoding(request, "application/json", {}, undefined);
  for (const { type, parameters } of parseAccept(header)) {
    const mediaType =
      type === "*/*" || type === "application/*" ? "application/json" : accepted.find((known) => known === type);
    if (mediaType === undefined) continue;
    const { as, g: group, v: version } = parameters;
    if (as === undefined) return encoding(request, mediaType, parameters, undefined);
    if (group !== "meta.k8s.io" || (version !== "v1" && version !== "v1beta1")) continue;
    if (resource === undefined) continue;
    // Tables and bare metadata have no schema to encode them by.
    if (mediaType === "application/vnd.kubernetes.protobuf") continue;
    const isList = response.kind === "list";
    if (as === "Table") return encoding(request, mediaType, parameters, "table");
    if (as === (isList ? "PartialObjectMetadataList" : "PartialObjectMetadata"))
      return encoding(request, mediaType, parameters, "metadata");
  }
  throw new StatusError("NotAcceptable", `only the following media types are accepted: ${accepted.join(", ")}`);
}

/** Errors are never tables, and JSON where nothing else fits. */
export function statusEncoding(request: ApiRequest): Encoding {
  for (const { type, parameters } of parseAccept(request.header("accept") ?? "")) {
    if (type === "application/vnd.kubernetes.protobuf" || type === "application/yaml")
      return encoding(request, type, parameters, undefined);
    if (type === "application/json") break;
  }
  return encoding(request, "application/json", {}, undefined);
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
