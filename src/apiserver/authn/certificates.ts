/** A client certificate is a user: its common name, its organisations the groups. Upstream: pkg/authentication/request/x509. */
import { X509Certificate } from "node:crypto";
import type { ApiRequest } from "../request.ts";
import type { UserInfo } from "./user.ts";

/** Certificates that were read already; a few thousand clients at most. */
const REMEMBERED_MAX = 4096;

/** Undefined where no good certificate was shown. Each certificate is read once: a connection shows the same one with every request. */
export function certificateUsers(): (request: ApiRequest) => UserInfo | undefined {
  const known = new Map<string, UserInfo | undefined>();
  return ({ peer }) => {
    const shown = peer?.certificate;
    if (shown === undefined || !shown.authorized) return undefined;
    const key = Buffer.from(shown.der.buffer, shown.der.byteOffset, shown.der.byteLength).toString("latin1");
    if (known.has(key)) return known.get(key);
    if (known.size >= REMEMBERED_MAX) known.clear();
    const user = userOf(new X509Certificate(shown.der).subject);
    known.set(key, user);
    return user;
  };
}

/** From a subject as Node prints it: one attribute a line, `\` before what is special in a value. */
function userOf(subject: string): UserInfo | undefined {
  const groups: string[] = [];
  let name = "";
  for (const line of subject.split("\n")) {
    const equals = line.indexOf("=");
    const value = line.slice(equals + 1).replaceAll(/\\(.)/g, "$1");
    const key = line.slice(0, equals);
    if (key === "CN") name = value;
    if (key === "O") groups.push(value);
  }
  return name === "" ? undefined : { name, groups };
}
