/**
 * Media types: what a client sends, and what it would like back.
 * Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/negotiation
 */
import { StatusError } from "../status.ts";

export type Format = "json" | "yaml" | "protobuf" | "cbor";

export const MEDIA_TYPES = {
  json: "application/json",
  yaml: "application/yaml",
  protobuf: "application/vnd.kubernetes.protobuf",
  cbor: "application/cbor",
} as const satisfies Readonly<Record<Format, string>>;

export const PATCH_TYPES = {
  json: "application/json-patch+json",
  merge: "application/merge-patch+json",
  strategic: "application/strategic-merge-patch+json",
  apply: "application/apply-patch+yaml",
} as const;

export interface MediaType {
  /** Lower case: `application/json`. */
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly quality: number;
}

function parseMediaType(text: string): MediaType {
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

const ALL: readonly Format[] = ["json", "yaml", "protobuf"];

/** The encoding of a request's body, or 415. No Content-Type means JSON. */
export function bodyFormat(contentType: string | undefined, formats: readonly Format[] = ALL): Format {
  if (contentType === undefined || contentType.trim() === "") return "json";
  const { type } = parseMediaType(contentType);
  const format = formats.find((candidate) => MEDIA_TYPES[candidate] === type);
  if (format === undefined) throw unsupportedMediaType(formats.map((candidate) => MEDIA_TYPES[candidate]));
  return format;
}

function unsupportedMediaType(types: readonly string[]): StatusError {
  return new StatusError(
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${types.join(", ")}`,
  );
}
