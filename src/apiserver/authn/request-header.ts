/**
 * Authentication by a trusted proxy: headers name the user, and the proxy's own client certificate makes them trustworthy.
 * Upstream: pkg/authentication/request/headerrequest.
 */
import type { Clock } from "../../world/world.ts";
import type { ApiRequest } from "../request.ts";
import type { RequestAuthenticator } from "./authenticator.ts";
import type { Authorities } from "./certificates.ts";
import { certificateCheck, subjectOf } from "./certificates.ts";

/** Names as in the flags `--requestheader-*`. */
export interface RequestHeaderOptions {
  /** PEM of the authorities that sign for proxies. */
  readonly clientCa: string;
  /** Common names that proxies may have; any where there is none. */
  readonly allowedNames: readonly string[];
  readonly usernameHeaders: readonly string[];
  readonly uidHeaders: readonly string[];
  readonly groupHeaders: readonly string[];
  readonly extraHeadersPrefixes: readonly string[];
}

export function requestHeaderUsers(
  options: Omit<RequestHeaderOptions, "clientCa">,
  authorities: Authorities,
  clock: Clock,
): RequestAuthenticator {
  const check = certificateCheck(authorities, clock);
  const lower = (names: readonly string[]) => names.map((name) => name.toLowerCase());
  const names = lower(options.usernameHeaders);
  const uids = lower(options.uidHeaders);
  const groups = lower(options.groupHeaders);
  const prefixes = lower(options.extraHeadersPrefixes);
  return (request) => {
    const checked = request.peer === undefined ? undefined : check(request.peer);
    if (checked === undefined) return undefined;
    if (checked.error !== undefined) return { error: checked.error };
    const { CN: commonNames = [] } = subjectOf(checked.leaf);
    const commonName = commonNames.at(-1) ?? "";
    if (options.allowedNames.length > 0 && !options.allowedNames.includes(commonName))
      return { error: `x509: subject with cn=${commonName} is not in the allowed list` };
    const first = (headers: readonly string[]) =>
      headers.map((header) => request.header(header) ?? "").find((value) => value !== "") ?? "";
    const name = first(names);
    if (name === "") return undefined;
    const uid = first(uids);
    const extra = extraOf(request, prefixes);
    return {
      name,
      groups: groups.flatMap((header) => request.headers(header)).filter((group) => group !== ""),
      ...(uid !== "" && { uid }),
      ...(Object.keys(extra).length > 0 && { extra }),
    };
  };
}

function extraOf(request: ApiRequest, prefixes: readonly string[]): Record<string, readonly string[]> {
  const extra: Record<string, readonly string[]> = {};
  for (const prefix of prefixes)
    for (const header in request.exchange?.request.headers)
      if (header.startsWith(prefix)) {
        const key = unescaped(header.slice(prefix.length));
        extra[key] = [...(extra[key] ?? []), ...request.headers(header)];
      }
  return extra;
}

function unescaped(key: string): string {
  try {
    return decodeURIComponent(key);
  } catch {
    return key;
  }
}
