/**
 * The options of a log request, from its query.
 * Upstream: pkg/apis/core/validation/validation.go (ValidatePodLogOptions), pkg/registry/core/pod/strategy.go (LogLocation)
 */
import { badRequest } from "../../machinery/status.ts";
import {
  type FieldError,
  fieldForbidden,
  invalid,
  invalidObject,
  notSupported,
} from "../../machinery/validation/field-error.ts";
import { canonicalTime } from "../../machinery/meta/time.ts";
import { isTrue } from "../request-info.ts";

export interface LogRules {
  /** Whether one of the two outputs can be asked for. */
  readonly streams: boolean;
}

/** The query for the kubelet; throws what is wrong with the client's. */
export function logQuery(asked: URLSearchParams, podName: string, { streams }: LogRules): URLSearchParams {
  const options = {
    sinceSeconds: integerOf(asked, "sinceSeconds"),
    sinceTime: timeOf(asked, "sinceTime"),
    tailLines: integerOf(asked, "tailLines"),
    limitBytes: integerOf(asked, "limitBytes"),
    stream: asked.get("stream") ?? undefined,
  };
  const errors = validateLogOptions(options, streams);
  if (errors.length > 0) throw invalidObject("", "PodLogOptions", podName, errors);
  const query = new URLSearchParams();
  for (const flag of ["follow", "previous", "timestamps"]) if (isTrue(asked.get(flag))) query.set(flag, "true");
  for (const name of ["sinceSeconds", "sinceTime", "tailLines", "limitBytes"] as const) {
    const value = options[name];
    if (value !== undefined) query.set(name, String(value));
  }
  if (streams) query.set("stream", options.stream ?? "All");
  query.sort(); // As Go writes them.
  return query;
}

interface LogOptions {
  readonly sinceSeconds: bigint | undefined;
  readonly sinceTime: string | undefined;
  readonly tailLines: bigint | undefined;
  readonly limitBytes: bigint | undefined;
  readonly stream: string | undefined;
}

function validateLogOptions(options: LogOptions, streams: boolean): FieldError[] {
  const { sinceSeconds, sinceTime, tailLines, limitBytes, stream } = options;
  const errors: FieldError[] = [];
  if (tailLines !== undefined && tailLines < 0n)
    errors.push(invalid("tailLines", Number(tailLines), "must be greater than or equal to 0"));
  if (limitBytes !== undefined && limitBytes < 1n)
    errors.push(invalid("limitBytes", Number(limitBytes), "must be greater than 0"));
  if (sinceSeconds !== undefined && sinceTime !== undefined)
    errors.push(fieldForbidden("[]", "at most one of `sinceTime` or `sinceSeconds` may be specified"));
  else if (sinceSeconds !== undefined && sinceSeconds < 1n)
    errors.push(invalid("sinceSeconds", Number(sinceSeconds), "must be greater than 0"));
  if (stream === undefined) return errors;
  if (!streams) return [...errors, fieldForbidden("stream", "may not be specified")];
  if (!STREAMS.includes(stream)) errors.push(notSupported("stream", stream, STREAMS));
  if (stream !== "All" && tailLines !== undefined)
    errors.push(fieldForbidden("[]", "`tailLines` and specific `stream` are mutually exclusive for now"));
  return errors;
}

const STREAMS: readonly string[] = ["All", "Stderr", "Stdout"];
const INT64 = 64;

function integerOf(query: URLSearchParams, name: string): bigint | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const parsing = `strconv.ParseInt: parsing ${JSON.stringify(text)}`;
  if (!/^[+-]?[0-9]+$/.test(text)) throw badRequest(`${parsing}: invalid syntax`);
  const value = BigInt(text.replace(/^\+/, ""));
  if (BigInt.asIntN(INT64, value) !== value) throw badRequest(`${parsing}: value out of range`);
  return value;
}

/** To the second; an empty text is the beginning of time. */
function timeOf(query: URLSearchParams, name: string): string | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  if (text === "" || text === "null") return "0001-01-01T00:00:00Z";
  try {
    return canonicalTime(text);
  } catch (error) {
    throw badRequest((error as Error).message);
  }
}
