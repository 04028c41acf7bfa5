/** Media types: what a client sends, and what it accepts. Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/handlers/negotiation */
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
  /** `application/json`. */
  readonly type: string;
  readonly parameters: Readonly<Record<string, string>>;
  readonly quality: number;
}

/**
 * The clauses of an Accept header as upstream reads them, best first: by quality, then what is more specific. A clause that is no media type is
 * left out; a parameter without a value is none; a quality of zero is just the last.
 */
export function parseAccept(header: string): readonly MediaType[] {
  const clauses: MediaType[] = [];
  for (const clause of header.split(",")) {
    const [essence = "", ...rest] = clause.trim().split(";");
    const [type = "", subtype = "", ...more] = essence.split("/").map((part) => part.trim());
    if (more.some((part) => part !== "") || (subtype === "" && type !== "*")) continue;
    const parameters: Record<string, string> = {};
    let quality = 1;
    for (const part of rest) {
      const [name = "", value = "", ...tail] = part.split("=");
      if (value === "" || tail.some((one) => one !== "")) continue;
      if (name.trim() === "q") quality = Number.parseFloat(value) || 0;
      else parameters[name.trim()] = value.trim();
    }
    clauses.push({ type: `${type}/${subtype || "*"}`, parameters, quality });
  }
  const rank = ({ type }: MediaType) => (type === "*/*" ? 2 : type.endsWith("/*") ? 1 : 0);
  return clauses.sort((a, b) => b.quality - a.quality || rank(a) - rank(b));
}

/** The type alone, in lower case, as Go reads a Content-Type. */
function essenceOf(contentType: string): string {
  return contentType.split(";")[0]!.trim().toLowerCase();
}

const ALL: readonly Format[] = ["json", "yaml", "protobuf"];

/** The encoding of a request's body, or 415, which names all that are `spoken`. No Content-Type means JSON. */
export function bodyFormat(
  contentType: string | undefined,
  formats: readonly Format[] = ALL,
  spoken: readonly Format[] = formats,
): Format {
  if (contentType === undefined || contentType.trim() === "") return "json";
  const type = essenceOf(contentType);
  const format = formats.find((candidate) => MEDIA_TYPES[candidate] === type);
  if (format === undefined) throw unsupportedMediaType(spoken.map((candidate) => MEDIA_TYPES[candidate]));
  return format;
}

function unsupportedMediaType(types: readonly string[]): StatusError {
  return new StatusError(
    "UnsupportedMediaType",
    `the body of the request was in an unknown format - accepted media types include: ${types.join(", ")}`,
  );
}
