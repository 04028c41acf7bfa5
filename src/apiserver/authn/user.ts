import { isDns1123Label, isDns1123Subdomain } from "../../machinery/validation/names.ts";

/** The user of a request. */
export interface UserInfo {
  readonly name: string;
  readonly uid?: string;
  readonly groups: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

export const ANONYMOUS: UserInfo = { name: "system:anonymous", groups: ["system:unauthenticated"] };
/** The server itself: its own bootstrap writes carry this name. */
export const LOOPBACK: UserInfo = { name: "system:apiserver", groups: ["system:masters", "system:authenticated"] };

const PREFIX = "system:serviceaccount:";

export function serviceAccountUser(namespace: string, name: string): string {
  return `${PREFIX}${namespace}:${name}`;
}

export function splitServiceAccountUser(
  user: string,
): { readonly namespace: string; readonly name: string } | undefined {
  if (!user.startsWith(PREFIX)) return undefined;
  const parts = user.slice(PREFIX.length).split(":");
  const [namespace = "", name = ""] = parts;
  return parts.length === 2 && isDns1123Label(namespace).length === 0 && isDns1123Subdomain(name).length === 0
    ? { namespace, name }
    : undefined;
}

/** The node that a kubelet speaks for: `system:node:<name>` in the group of nodes. */
export function nodeOfUser({ name, groups }: UserInfo): string | undefined {
  const prefix = "system:node:";
  if (!groups.includes("system:nodes") || !name.startsWith(prefix)) return undefined;
  const node = name.slice(prefix.length);
  return node === "" ? undefined : node;
}
