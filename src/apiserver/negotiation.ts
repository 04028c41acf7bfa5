/**
 * Content negotiation: JSON, YAML, protobuf or CBOR; whole objects, a table or metadata only. The first clause of Accept that can be satisfied wins.
 * Upstream: pkg/endpoints/handlers/negotiation.
 */
import { parseAccept } from "../machinery/codec/content.ts";
import type { Resource } from "../machinery/resource.ts";
import { qualified, StatusError } from "../machinery/status.ts";
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
  /** Metadata of many objects, as the client says. */
  readonly asList: boolean;
  /** The version of meta.k8s.io that a table or metadata is in. */
  readonly asVersion: string;
  readonly pretty: boolean;
  /** For a table: what of each object goes along. */
  readonly includeObject: "None" | "Metadata" | "Object";
}

const PROTOBUF = "application/vnd.kubernetes.protobuf";
const CBOR = "application/cbor";
const CBOR_SEQUENCE = "application/cbor-seq";
const ALL: readonly MediaType[] = ["application/json", "application/yaml", PROTOBUF, CBOR];

const WITHOUT_CBOR = ALL.filter((type) => type !== CBOR);

/** What a server can write, in the order in which it says so. */
export function mediaTypesFor(cbor: boolean): readonly MediaType[] {
  return cbor ? ALL : WITHOUT_CBOR;
}
/** YAML has no frames. */
export function streamTypesFor(cbor: boolean): readonly string[] {
  return mediaTypesFor(cbor)
    .filter((type) => type !== "application/yaml")
    .map((type) => (type === CBOR ? CBOR_SEQUENCE : `${type};stream=watch`));
}

/** What answers at an endpoint. */
export interface Endpoint {
  readonly resource?: Resource | undefined;
  readonly subresource?: string;
  readonly isWatch: boolean;
  /** Protobuf needs a schema with field numbers, which custom resources don't have. */
  readonly speaksProtobuf: boolean;
  readonly discovery?: { readonly cbor: boolean } | undefined;
}

export function endpointOf(request: ApiRequest, response: ObjectResponse | ListResponse | WatchResponse): Endpoint {
  const resource = "resource" in response ? response.resource : undefined;
  const speaksProtobuf =
    resource === undefined
      ? response.kind === "object" && response.schema !== undefined
      : resource.schema.name !== undefined;
  const { subresource } = request.info;
  const discovery = response.kind === "object" ? response.discovery : undefined;
  return { resource, subresource, isWatch: response.kind === "watch", speaksProtobuf, discovery };
}

/** Views on an object that no table is made of. */
const NO_TABLE = new Set([
  "apiservices.apiregistration.k8s.io/status",
  "certificatesigningrequests.certificates.k8s.io/approval",
  "customresourcedefinitions.apiextensions.k8s.io/status",
  "devicetaintrules.resource.k8s.io/status",
  "podgroups.scheduling.k8s.io/status",
  "pods/ephemeralcontainers",
  "pods/log",
  "pods/resize",
  "resourceclaims.resource.k8s.io/status",
  "resourcepoolstatusrequests.resource.k8s.io/status",
]);

const hasTable = ({ resource, subresource }: Endpoint): boolean =>
  resource !== undefined && !(subresource && NO_TABLE.has(`${qualified(resource)}/${subresource}`));

/** The first clause that can be met decides; the type is the first one that it fits. */
export function negotiate(request: ApiRequest, endpoint: Endpoint): Encoding {
  const known = mediaTypesFor(request.cbor === true && endpoint.discovery?.cbor !== false);
  const header = request.header("accept") ?? "";
  const found =
    header === "" ? encoding(request, "application/json", {}, undefined) : fromHeader(request, endpoint, known);
  if (found === undefined) throw notAcceptable(known, endpoint.discovery);
  if (endpoint.isWatch && found.mediaType === "application/yaml")
    throw notAcceptable(streamTypesFor(request.cbor === true));
  return found;
}

/** A write that could not be answered isn't done. A caller in this process takes what there is. */
export function assertAcceptable(request: ApiRequest, endpoint: Endpoint): void {
  if (request.exchange !== undefined) negotiate(request, endpoint);
}

function fromHeader(request: ApiRequest, endpoint: Endpoint, known: readonly MediaType[]): Encoding | undefined {
  for (const { type, parameters } of request.accepts?.() ?? parseAccept(request.header("accept") ?? ""))
    for (const mediaType of known) {
      if (type !== mediaType && type !== "*/*" && type !== "application/*") continue;
      const { as = "", g: group = "", v: version = "", stream = "", sv = "" } = parameters;
      if (stream !== "" && (stream !== "watch" || mediaType === "application/yaml")) continue;
      if (sv !== "" && sv !== "v1") continue;
      if (as === "" && group === "" && version === "") {
        if (mediaType === PROTOBUF && !endpoint.speaksProtobuf) continue;
        return encoding(request, mediaType, parameters, undefined);
      }
      if (endpoint.discovery !== undefined || group !== "meta.k8s.io" || (version !== "v1" && version !== "v1beta1"))
        continue;
      if (
        as === "Table" &&
        hasTable(endpoint) &&
        (mediaType === "application/json" || mediaType === "application/yaml")
      )
        return encoding(request, mediaType, parameters, "table");
      if (as === "PartialObjectMetadata" || as === "PartialObjectMetadataList")
        return encoding(request, mediaType, parameters, "metadata");
    }
  return undefined;
}

/** Of a document that is never CBOR, and so isn't its refusal. */
export class NoCborError extends StatusError {}

function notAcceptable(types: readonly string[], discovery?: { readonly cbor: boolean }): StatusError {
  const words = `only the following media types are accepted: ${types.join(", ")}`;
  return new (discovery?.cbor === false ? NoCborError : StatusError)("NotAcceptable", words);
}

/** Errors are never tables; where nothing else fits they are JSON that people can read. */
export function statusEncoding(request: ApiRequest, cbor: boolean): Encoding {
  const header = request.header("accept") ?? "";
  const found =
    header === ""
      ? encoding(request, "application/json", {}, undefined)
      : fromHeader(request, { isWatch: false, speaksProtobuf: true }, mediaTypesFor(cbor));
  return found?.as === "object" ? found : { ...encoding(request, "application/json", {}, undefined), pretty: true };
}

function encoding(
  request: ApiRequest,
  mediaType: MediaType,
  parameters: Readonly<Record<string, string>>,
  as: "table" | "metadata" | undefined,
): Encoding {
  return {
    mediaType,
    as: as ?? "object",
    asList: parameters["as"] === "PartialObjectMetadataList",
    asVersion: parameters["v"] ?? "v1",
    pretty: isPretty(request, parameters),
    includeObject: includeObjectOf(request, as),
  };
}

function includeObjectOf(request: ApiRequest, as: "table" | "metadata" | undefined): Encoding["includeObject"] {
  const asked = as === "table" ? (request.query.get("includeObject") ?? "") : "";
  if (asked === "") return "Metadata";
  if (asked === "None" || asked === "Metadata" || asked === "Object") return asked;
  throw new StatusError(
    "BadRequest",
    `Unable to convert to Table as requested: includeObject: Invalid value: ${JSON.stringify(asked)}: must be 'Metadata', 'Object', 'None', or empty`,
  );
}

/** People read what curl and browsers fetch. */
export function isPretty(request: ApiRequest, parameters: Readonly<Record<string, string>>): boolean {
  if (parameters["pretty"] === "1") return true;
  const asked = request.query.get("pretty") ?? "";
  if (asked !== "") return ["1", "t", "T", "true", "TRUE", "True"].includes(asked);
  return /^(curl|Wget|Mozilla\/5\.0)/.test(request.header("user-agent") ?? "");
}
