/** Describes a request for a log line: keys as they are, values only by their length. Upstream: api/etcdserverpb/raft_internal_stringer.go */
import type { Request } from "./chain.ts";

const LONGEST = 1024;

export function describeRequest(request: object): string {
  const text = describe(request as Request as Record<string, unknown>);
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text;
}

function describe(message: Record<string, unknown>): string {
  return Object.entries(message)
    .filter(([, value]) => value !== undefined && value !== 0 && value !== 0n && value !== "" && value !== false)
    .map(([name, value]) => fieldText(name, value))
    .filter((text) => text !== "")
    .join(" ");
}

function fieldText(name: string, value: unknown): string {
  if (/password|token/i.test(name)) return `${name}:"***"`;
  if (value instanceof Uint8Array) {
    if (value.length === 0) return "";
    return name === "value" ? `value_size:${value.length}` : `${name}:${JSON.stringify(Buffer.from(value).toString())}`;
  }
  if (Array.isArray(value))
    return value
      .map((item: unknown) =>
        typeof item === "object"
          ? `${name}:<${describe(item as Record<string, unknown>)} >`
          : `${name}:${String(item)}`,
      )
      .join(" ");
  if (typeof value === "object" && value !== null) return `${name}:<${describe(value as Record<string, unknown>)} >`;
  return `${name}:${typeof value === "string" && name !== "action" ? JSON.stringify(value) : String(value)}`;
}
