/** A client certificate is a user: its common name, its organisations the groups. Upstream: pkg/authentication/request/x509. */
import { X509Certificate } from "node:crypto";
import type { ApiRequest } from "../request.ts";
import type { UserInfo } from "./user.ts";

/** Undefined where no good certificate was shown. */
export function certificateUser({ peer }: ApiRequest): UserInfo | undefined {
  const shown = peer?.certificate;
  if (shown === undefined || !shown.authorized) return undefined;
  return userOf(new X509Certificate(shown.der).subject);
}

/** From a subject as Node prints it: one attribute a line, `\` before what is special in a value. */
export function userOf(subject: string): UserInfo | undefined {
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
