/**
 * Media types: what a client sends, what it would like back, and which of the two the server picks.
 * Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/negotiation
 */
import { StatusError } from "../status.ts";

export type Format = "json" | "yaml" | "protobuf";

export const MEDIA_TYPES = {
  json: "application/json",
  yaml: "application/yaml",
  protobuf: "application/vnd.kubernetes.protobuf",
} as const satisfies Readonly<Record<Format, string>>;

/** How a stream of watch events is announced. */
export const STREAM_MEDIA_TYPES: Readonly<Record<Exclude<Format, "yaml">, string>> = {
  json: "application/json",
  protobuf: "application/vnd.kubernetes.protobuf;stream=watch",
};

export const PATCH_TYPES = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
} as const;
export type PatchType = keyof typeof PATCH_TYPES;

export interface MediaType {
  /** Lower case: `application/json`. */
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly quality: number;
}

/** What to answer with: the encoding, and the shape where it isn't the object's own. */
export interface Accepted {
  readonly format: Format;
  /** `Table`, `PartialObjectMetadata`, `PartialObjectMetadataList`, `APIGroupDiscoveryList` with the version that was asked for. */
  readonly as?: { readonly kind: string; readonly group: string; readonly version: string };
  readonly pretty: boolean;
  /** What goes into Content-Type. */
  readonly contentType: string;
  /** The parameter `profile` of discovery. */
  readonly profile?: string;
}

export function parseMediaType(text: string): MediaType {
  const [type = "", ...rest] = text.split(";");
  const parameters: Record<string, string> = {};
  let quality = 1;
  for (const part of rest) {
    const equals = part.indexOf("=");
    if (equals < 0) continue;
    const name = part.slice(0, equals).trim().toLowerCase();
    const value = part
      .slice(equals + 1)
      .trim()
      .replace(/^"(.*)"$/, "$1");
    if (name === "q") {
      const q = Number(value);
      quality = Number.isFinite(q) ? q : 0;
    } else parameters[name] = value;
  }
  return { type: type.trim().toLowerCase(), parameters, quality };
}

/** The clauses of an Accept header, best first; what is more specific goes before what isn't. */
export function parseAccept(header: string): readonly MediaType[] {
  const specificity = ({ type, parameters }: MediaType) =>
    (type === "*/*" ? 0 : type.endsWith("/*") ? 1 : 2) * 100 + Object.keys(parameters).length;
  return header
    .split(",")
    .filter((clause) => clause.trim() !== "")
    .map(parseMediaType)
    .filter(({ quality }) => quality > 0)
    .sort(
      (a, b) => b.quality - a.quality || Math.sign(Math.floor(specificity(b) / 100) - Math.floor(specificity(a) / 100)),
    );
}

/** A transformed answer that the endpoint can give. */
export type Transforms = (as: { readonly kind: string; readonly group: string; readonly version: string }) => boolean;

export interface NegotiateOptions {
  /** Default: all three. */
  readonly formats?: readonly Format[];
  readonly transforms?: Transforms;
  /** The query parameter. */
  readonly pretty?: string | undefined;
  readonly userAgent?: string | undefined;
}

const ALL: readonly Format[] = ["json", "yaml", "protobuf"];

/** Picks what to answer with, or throws 406. */
export function negotiate(accept: string | undefined, options: NegotiateOptions = {}): Accepted {
  const formats = options.formats ?? ALL;
  for (const clause of parseAccept(accept === undefined || accept.trim() === "" ? "*/*" : accept)) {
    const format = formats.find((candidate) => covers(clause.type, MEDIA_TYPES[candidate]));
    if (format === undefined) continue;
    const { as: kind, g: group, v: version, pretty, profile } = clause.parameters;
    let as: Accepted["as"];
    if (kind !== undefined) {
      if (group === undefined || version === undefined || format === "yaml") continue;
      as = { kind, group, version };
      if (options.transforms?.(as) !== true) continue;
    }
    return {
      format,
      ...(as !== undefined && { as }),
      pretty: isPretty(options.pretty ?? pretty, options.userAgent),
      contentType:
        as?.kind === "APIGroupDiscoveryList"
          ? `${MEDIA_TYPES[format]};g=${as.group};v=${as.version};as=${as.kind}`
          : MEDIA_TYPES[format],
      ...(profile !== undefined && { profile }),
    };
  }
  throw notAcceptable(formats.map((format) => MEDIA_TYPES[format]));
}

/** Tables and metadata alone: what every resource can be shown as. */
export const objectTransforms: Transforms = ({ kind, group, version }) =>
  group === "meta.k8s.io" &&
  (version === "v1" || version === "v1beta1") &&
  (kind === "Table" || kind === "PartialObjectMetadata" || kind === "PartialObjectMetadataList");

function covers(clause: string, type: string): boolean {
  return clause === type || clause === "*/*" || (clause.endsWith("/*") && type.startsWith(clause.slice(0, -1)));
}

/** Asked for, or a person at a terminal. */
function isPretty(asked: string | undefined, userAgent: string | undefined): boolean {
  if (asked !== undefined) return asked !== "false" && asked !== "0";
  return userAgent !== undefined && /^(curl|Wget|Mozilla\/5\.0)/.test(userAgent);
}

/** The encoding of a request's body, or 415. No Content-Type means JSON. */
export function bodyFormat(contentType: string | undefined, formats: readonly Format[] = ALL): Format {
  if (contentType === undefined || contentType.trim() === "") return "json";
  const { type } = parseMediaType(contentType);
  const format = formats.find((candidate) => MEDIA_TYPES[candidate] === type);
  if (format === undefined) throw unsupportedMediaType(formats.map((candidate) => MEDIA_TYPES[candidate]));
  return format;
}

/** The kind of patch that a body is, or 415; custom resources know no strategic merge. */
export function patchType(contentType: string | undefined, custom = false): PatchType {
  const { type } = parseMediaType(contentType ?? "");
  const types = (Object.keys(PATCH_TYPES) as PatchType[]).filter((name) => !custom || name !== "strategic");
  const found = types.find((name) => PATCH_TYPES[name] === type);
  if (found === undefined) throw unsupportedMediaType(types.map((name) => PATCH_TYPES[name]));
  return found;
}

export function notAcceptable(types: readonly string[]): StatusError {
  return new StatusError("NotAcceptable", `only the following media types are accepted: ${types.join(", ")}`);
}

export function unsupportedMediaType(types: readonly string[]): StatusError {
  return new StatusError(
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${types.join(", ")}`,
  );
}
