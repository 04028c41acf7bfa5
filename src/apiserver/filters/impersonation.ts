/** Acts as someone else where the asker may. Upstream: pkg/endpoints/filters/impersonation.go. */
import { badRequest } from "../../machinery/status.ts";
import type { UserInfo } from "../authn/user.ts";
import { splitServiceAccountUser } from "../authn/user.ts";
import type { Attributes, Authorizer } from "../authz/authorizer.ts";
import { forbiddenTo } from "../authz/refuse.ts";
import type { ApiRequest, Filter } from "../request.ts";

export function impersonate(authorizer: Authorizer): Filter {
  return (request, next) => {
    if (request.exchange === undefined) return next(request);
    const wanted = wantedUser(request);
    if (wanted === undefined) return next(request);
    for (const attributes of needed(request.user!, wanted)) {
      const answer = authorizer.authorize(attributes);
      if (answer.decision !== "allow") throw forbiddenTo(attributes, answer);
    }
    request.user = asUser(wanted);
    return next(request);
  };
}

interface Wanted {
  readonly name: string;
  readonly groups: readonly string[];
  readonly uid: string;
  readonly extra: ReadonlyMap<string, readonly string[]>;
}

const EXTRA = "impersonate-extra-";

function wantedUser(request: ApiRequest): Wanted | undefined {
  const name = request.header("impersonate-user") ?? "";
  const groups = request.headers("impersonate-group");
  const uid = request.header("impersonate-uid") ?? "";
  const extra = new Map<string, readonly string[]>();
  for (const header of Object.keys(request.exchange!.request.headers))
    if (header.startsWith(EXTRA)) extra.set(decode(header.slice(EXTRA.length)), request.headers(header));
  if (name === "" && groups.length === 0 && uid === "" && extra.size === 0) return undefined;
  if (name === "") throw badRequest(`requested ${JSON.stringify([...groups])} without impersonating a user`);
  return { name, groups, uid, extra };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function needed(user: UserInfo, { name, groups, uid, extra }: Wanted): readonly Attributes[] {
  const base = {
    user,
    verb: "impersonate",
    resourceRequest: true,
    version: "",
    namespace: "",
    group: "",
    subresource: "",
    path: "",
  };
  const account = splitServiceAccountUser(name);
  return [
    account === undefined
      ? { ...base, resource: "users", name }
      : { ...base, resource: "serviceaccounts", namespace: account.namespace, name: account.name },
    ...groups.map((group) => ({ ...base, resource: "groups", name: group })),
    ...(uid === "" ? [] : [{ ...base, group: "authentication.k8s.io", resource: "uids", name: uid }]),
    ...[...extra].flatMap(([key, values]) =>
      values.map((value) => ({
        ...base,
        group: "authentication.k8s.io",
        resource: "userextras",
        subresource: key,
        name: value,
      })),
    ),
  ];
}

function asUser({ name, groups, uid, extra }: Wanted): UserInfo {
  const account = splitServiceAccountUser(name);
  const given =
    groups.length === 0 && account !== undefined
      ? ["system:serviceaccounts", `system:serviceaccounts:${account.namespace}`]
      : groups;
  const own = name === "system:anonymous" ? "system:unauthenticated" : "system:authenticated";
  return {
    name,
    groups: given.includes(own) ? given : [...given, own],
    ...(uid !== "" && { uid }),
    ...(extra.size > 0 && { extra: Object.fromEntries(extra) }),
  };
}
