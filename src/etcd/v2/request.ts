/** Parses a request for keys from HTTP. Upstream: server/etcdserver/api/v2http/client.go (parseKeyRequest) */
import { V2Error } from "./errors.ts";
import { cleanPath, parseBool, parseUint, type Form } from "./form.ts";

/** Everything that clients store is below it; the cluster's own bookkeeping was elsewhere. */
export const KEYS_ROOT = "/1";

export interface Write {
  readonly method: "PUT" | "POST" | "DELETE";
  /** From the root of the store, `/1/...`. */
  readonly path: string;
  readonly value: string;
  readonly dir: boolean;
  readonly recursive: boolean;
  /** Empty for none. */
  readonly prevValue: string;
  /** 0 for none. */
  readonly prevIndex: bigint;
  readonly prevExist: boolean | undefined;
  readonly refresh: boolean;
  /** Wall time in ms. */
  readonly expires: number | undefined;
}

export interface KeyRequest extends Omit<Write, "method"> {
  readonly method: "GET" | "HEAD" | Write["method"];
  readonly wait: boolean;
  /** 0 for "from now on". */
  readonly since: number;
  readonly sorted: boolean;
  readonly quorum: boolean;
  readonly stream: boolean;
  readonly noValueOnSuccess: boolean;
}

/** `key` is what follows `/v2/keys`, without escapes. */
export function parseKeyRequest(method: KeyRequest["method"], key: string, form: Form, now: number): KeyRequest {
  const index = (name: string): bigint => {
    const text = form.get(name);
    const value = text === undefined ? 0n : parseUint(text);
    if (value === undefined) throw new V2Error("indexNaN", `invalid value for "${name}"`);
    return value;
  };
  const flag = (name: string, shown = `"${name}"`): boolean => {
    const text = form.get(name);
    const value = text === undefined ? false : parseBool(text);
    if (value === undefined) throw new V2Error("invalidField", `invalid value for ${shown}`);
    return value;
  };

  // In upstream's order: the first thing that is wrong is what the client hears of.
  const path = cleanPath(`${KEYS_ROOT}/${key}`);
  const prevIndex = index("prevIndex");
  const since = index("waitIndex");
  const recursive = flag("recursive");
  const sorted = flag("sorted");
  const wait = flag("wait");
  const dir = flag("dir");
  const quorum = flag("quorum");
  const stream = flag("stream");
  if (wait && method !== "GET") throw new V2Error("invalidField", `"wait" can only be used with GET requests`);
  const prevValue = form.get("prevValue");
  if (prevValue === "") throw new V2Error("prevValueRequired", `"prevValue" cannot be empty`);
  const noValueOnSuccess = flag("noValueOnSuccess");
  let ttl: bigint | undefined;
  const ttlText = form.get("ttl");
  if (ttlText) {
    ttl = parseUint(ttlText);
    if (ttl === undefined) throw new V2Error("ttlNaN", `invalid value for "ttl"`);
  }
  const prevExist = form.has("prevExist") ? flag("prevExist", "prevExist") : undefined;
  const refresh = flag("refresh", "refresh");
  if (refresh) {
    if (form.get("value")) throw new V2Error("refreshValue", "A value was provided on a refresh");
    if (ttl === undefined) throw new V2Error("refreshTtlRequired", "No TTL value set");
  }
  return {
    method,
    path,
    value: form.get("value") ?? "",
    dir,
    recursive,
    prevValue: prevValue ?? "",
    prevIndex,
    prevExist,
    refresh,
    expires: ttl === undefined ? undefined : expiry(ttl, now),
    wait,
    since: Number(since),
    sorted,
    quorum,
    stream,
    noValueOnSuccess,
  };
}

/** Nanoseconds of 64 bits wrap around, as upstream's do. */
function expiry(ttl: bigint, now: number): number | undefined {
  const at = BigInt.asIntN(64, BigInt.asIntN(64, ttl * 1_000_000_000n) + BigInt(Math.trunc(now)) * 1_000_000n);
  return at === 0n ? undefined : Number(at / 1_000_000n);
}
