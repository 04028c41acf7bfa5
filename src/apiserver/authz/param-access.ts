/**
 * Whoever writes a policy with parameters must be allowed to read all parameters of that kind, and whoever binds it to some, to read those.
 * Upstream: pkg/registry/admissionregistration/{validating,mutating}admissionpolicy{,binding}/authz.go
 */
import { isAllowed, resourceAttributes } from "./authorizer.ts";
import type { ParamKind, ParamRef } from "../../api/generated/admissionregistration.v1.ts";
import { semanticEqual } from "../../api/semantic-equal.ts";
import type { Resource } from "../../machinery/resource.ts";
import { fieldForbidden, invalidObject } from "../../machinery/validation/field-error.ts";
import type { UserInfo } from "../authn/user.ts";
import { hookContext, type Services, type WriteContext } from "../registry/context.ts";

/** Throws the 422 where the writer of `draft` may not read what it names. */
export async function checkParamAccess(
  services: Services,
  context: WriteContext,
  resource: Resource,
  draft: any,
  old: any,
): Promise<void> {
  const { user } = context;
  if (context.internal === true || user.groups.includes("system:masters")) return;
  const isBinding = resource.plural.endsWith("bindings");
  const refused = isBinding
    ? await refusedBinding(services, user, resource, draft, old)
    : await refusedPolicy(services, user, draft, old);
  if (refused === undefined) return;
  // What isn't well-formed is told first.
  if ((resource.behaviour.validate?.(draft, hookContext(context)) ?? []).length > 0) return;
  const { group, kind } = resource;
  throw invalidObject(group, kind, draft.metadata.name, [
    fieldForbidden(isBinding ? "spec.paramRef" : "spec.paramKind", refused),
  ]);
}

/** What a kind is served as; everything, as far as it isn't known. */
interface Place {
  readonly group: string;
  readonly version: string;
  readonly plural: string;
  readonly problem?: "parse" | "resolve";
}

const EVERYTHING: Place = { group: "*", version: "*", plural: "*" };

function placeOf({ registry }: Services, { apiVersion = "", kind = "" }: ParamKind): Place {
  const parts = apiVersion.split("/");
  if (parts.length > 2) return { ...EVERYTHING, problem: "parse" };
  const [group, version] = parts.length === 2 ? (parts as [string, string]) : ["", apiVersion];
  const resource = registry.ofKind(group, version, kind);
  if (resource === undefined) return { group, version, plural: "*", problem: "resolve" };
  return { group, version, plural: resource.plural };
}

async function refusedPolicy(services: Services, user: UserInfo, draft: any, old: any): Promise<string | undefined> {
  const paramKind: ParamKind | undefined = draft.spec?.paramKind;
  if (paramKind === undefined || semanticEqual(paramKind, old?.spec?.paramKind)) return undefined;
  const place = placeOf(services, paramKind);
  if (await may(services, user, "get", place, "*", "*")) return undefined;
  return `user ${goUser(user)} must have "get" permission on all objects of the referenced paramKind (kind=${paramKind.kind}, apiVersion=${paramKind.apiVersion})`;
}

async function refusedBinding(
  services: Services,
  user: UserInfo,
  resource: Resource,
  draft: any,
  old: any,
): Promise<string | undefined> {
  const paramRef: ParamRef | undefined = draft.spec?.paramRef;
  const { policyName = "" } = draft.spec ?? {};
  if (paramRef === undefined) return undefined;
  if (old !== undefined && semanticEqual(paramRef, old.spec?.paramRef) && policyName === old.spec?.policyName)
    return undefined;
  const policies = `${resource.plural.replace("policybindings", "policies")}.${resource.group}`;
  const policy = services.cluster.get(policies, "", policyName);
  const paramKind: ParamKind | undefined = policy?.spec.paramKind;
  const place = paramKind === undefined ? EVERYTHING : placeOf(services, paramKind);
  const { name = "", namespace = "" } = paramRef;
  const verb = name === "" ? "list" : "get";
  if (await may(services, user, verb, place, namespace, name)) return undefined;
  const needed = `to determine minimum required permissions and user ${goUser(user)} does not have "${verb}" permission for all groups, versions and resources`;
  if (policy === undefined) return `unable to get policy ${policyName} ${needed}`;
  if (place.problem !== undefined)
    return `unable to ${place.problem} paramKind &{${paramKind?.apiVersion} ${paramKind?.kind}} ${needed}`;
  const mutating = resource.kind.startsWith("Mutating");
  // Upstream has the two the wrong way round in one of its kinds.
  const [who, what] = mutating ? [verb, goUser(user)] : [goUser(user), verb];
  return `user ${who} does not have "${what}" permission on the object referenced by paramRef`;
}

function may(
  { authorizer }: Services,
  user: UserInfo,
  verb: string,
  { group, version, plural }: Place,
  namespace: string,
  name: string,
): Promise<boolean> {
  return isAllowed(authorizer, resourceAttributes({ user, verb, group, version, resource: plural, namespace, name }));
}

/** As Go prints one with `%v`. */
function goUser({ name, uid = "", groups, extra = {} }: UserInfo): string {
  const more = Object.keys(extra)
    .sort()
    .map((key) => `${key}:[${extra[key]!.join(" ")}]`);
  return `&{${name} ${uid} [${groups.join(" ")}] map[${more.join(" ")}]}`;
}
