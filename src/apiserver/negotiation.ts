/**
 * What the client takes: JSON, YAML or protobuf, as it is or as a table or as metadata alone. The first clause of Accept that can be met wins.
 * Upstream: pkg/endpoints/handlers/negotiation.
 */
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

interface Clause {
  readonly type: string;
  readonly parameters: ReadonlyMap<string, string>;
}

export function parseAccept(header: string): readonly Clause[] {
  return header
    .split(",")
    .map((text) => {
      const [type = "", ...parameters] = text.split(";").map((part) => part.trim());
      const map = new Map(
        parameters.map((parameter) => {
          const equals = parameter.indexOf("=");
          return equals < 0 ? [parameter, ""] : [parameter.slice(0, equals), parameter.slice(equals + 1)];
        }) as [string, string][],
      );
      return { type: type.toLowerCase(), parameters: map, q: Number(map.get("q") ?? 1) };
    })
    .filter(({ type }) => type !== "")
    .map((clause, i) => ({ ...clause, i }))
    .sort((a, b) => b.q - a.q || a.i - b.i);
}

/** Protobuf needs a schema with field numbers, which custom resources don't have. */
export function speaksProtobuf(resource: Resource | undefined): boolean {
  return resource === undefined || resource.schema.name !== undefined;
}

export function negotiate(request: ApiRequest, response: ObjectResponse | ListResponse | WatchResponse): Encoding {
  const resource = "resource" in response ? response.resource : undefined;
  const protobuf = resource !== undefined && speaksProtobuf(resource);
  const accepted = ALL.filter((type) => type !== "application/vnd.kubernetes.protobuf" || protobuf);
  const header = request.header("accept") ?? "";
  if (header.trim() === "") return encoding(request, "application/json", new Map(), undefined);
  for (const { type, parameters } of parseAccept(header)) {
    const mediaType =
      type === "*/*" || type === "application/*" ? "application/json" : accepted.find((known) => known === type);
    if (mediaType === undefined) continue;
    const as = parameters.get("as");
    if (as === undefined) return encoding(request, mediaType, parameters, undefined);
    if (parameters.get("g") !== "meta.k8s.io" || !["v1", "v1beta1"].includes(parameters.get("v") ?? "")) continue;
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
  return encoding(request, "application/json", new Map(), undefined);
}

function encoding(
  request: ApiRequest,
  mediaType: MediaType,
  parameters: ReadonlyMap<string, string>,
  as: "table" | "metadata" | undefined,
): Encoding {
  const version = parameters.get("v") ?? "v1";
  const transformed = as === undefined ? "" : `;as=${parameters.get("as")};g=meta.k8s.io;v=${version}`;
  return {
    mediaType,
    as: as ?? "object",
    asVersion: version,
    pretty: isPretty(request, parameters),
    contentType: `${mediaType}${transformed === "" ? "" : transformed}`,
    includeObject: (request.query.get("includeObject") ?? "Metadata") as Encoding["includeObject"],
  };
}

/** People read what curl and browsers fetch. */
function isPretty(request: ApiRequest, parameters: ReadonlyMap<string, string>): boolean {
  const asked = request.query.get("pretty") ?? parameters.get("pretty") ?? null;
  if (asked !== null) return asked === "" || asked === "1" || asked === "true";
  return /^(curl|Wget|Mozilla)\b/.test(request.header("user-agent") ?? "");
}
