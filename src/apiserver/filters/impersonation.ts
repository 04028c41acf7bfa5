/**
 * Lets a request act as another user if its own user may impersonate that one, for this kind of request (constrained) or for any (legacy).
 * Upstream: pkg/endpoints/filters/impersonation
 */
import { badRequest } from "../../machinery/status.ts";
import { isDns1123Subdomain, isDomainPrefixedPath } from "../../machinery/validation/names.ts";
import type { Clock } from "../../world/world.ts";
import type { UserInfo } from "../authn/user.ts";
import { splitServiceAccountUser } from "../authn/user.ts";
import type { Attributes, Authorizer } from "../authz/authorizer.ts";
import { attributesOf } from "../authz/authorizer.ts";
import { allowOrThrow, forbiddenTo } from "../authz/refuse.ts";
import type { ApiRequest, Filter } from "../request.ts";
import { markForbidden } from "./headers.ts";

export interface ImpersonationOptions {
  /** The gate ConstrainedImpersonation: finer verbs are tried before the old one. */
  readonly constrained: boolean;
  /** Told how each attempt ended. */
  observe?(mode: string, allowed: boolean, ms: number): void;
  readonly clock?: Pick<Clock, "monotonic">;
}

export function impersonate(authorizer: Authorizer, { constrained, observe, clock }: ImpersonationOptions): Filter {
  const modes = constrained ? [...CONSTRAINED, LEGACY] : [LEGACY];
  /** The mode by which an asker was last let through: it is tried first. */
  const last = new Map<string, Mode>();
  return (request, next) => {
    if (request.exchange === undefined) return next(request);
    const wanted = wantedUser(request, constrained);
    if (wanted === undefined) return next(request);
    return impersonated(request, wanted).then((user) => {
      request.user = user;
      return next(request);
    });
  };

  /** Tries each mode in turn; if none is permitted, the error is that of the first. */
  async function impersonated(request: ApiRequest, wanted: Wanted): Promise<UserInfo> {
    const began = clock?.monotonic() ?? 0;
    const told = (mode: string, allowed: boolean) => observe?.(mode, allowed, (clock?.monotonic() ?? 0) - began);
    const attributes = attributesOf(request.user!, request.info);
    const asker = request.user!.name;
    const first = last.get(asker);
    const order = first === undefined ? modes : [first, ...modes.filter((mode) => mode !== first)];
    let refusal: unknown;
    for (const mode of order) {
      if (!mode.applies(wanted, request.user!)) continue;
      try {
        const user = await mode.check(authorizer, wanted, attributes);
        if (last.size >= REMEMBERED_MAX) last.clear();
        last.set(asker, mode);
        told(mode.name, true);
        request.audit?.impersonated(user, mode === LEGACY ? "" : `impersonate:${mode.name}`);
        return user;
      } catch (error) {
        refusal ??= error;
      }
    }
    told("", false);
    markForbidden(request);
    throw refusal;
  }
}

const REMEMBERED_MAX = 10_000;

interface Wanted {
  readonly name: string;
  readonly groups: readonly string[];
  readonly uid: string;
  readonly extra: ReadonlyMap<string, readonly string[]>;
}

const EXTRA = "impersonate-extra-";

function wantedUser(request: ApiRequest, constrained: boolean): Wanted | undefined {
  const name = request.header("impersonate-user") ?? "";
  const groups = request.headers("impersonate-group");
  const uid = request.header("impersonate-uid") ?? "";
  const extra = new Map<string, readonly string[]>();
  for (const header in request.exchange!.request.headers)
    if (header.startsWith(EXTRA)) extra.set(decode(header.slice(EXTRA.length)), request.headers(header));
  if (name !== "") return { name, groups, uid, extra };
  if (groups.length === 0 && uid === "" && extra.size === 0) return undefined;
  throw badRequest(
    constrained
      ? `requested ${asGoStruct(uid, groups, extra)} without impersonating a user name`
      : `requested ${asReferences(uid, groups, extra)} without impersonating a user`,
  );
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

const goStrings = (values: readonly string[]): string =>
  values.length === 0 ? "[]string(nil)" : `[]string{${values.map((value) => JSON.stringify(value)).join(", ")}}`;

function asGoStruct(uid: string, groups: readonly string[], extra: Wanted["extra"]): string {
  const pairs = [...extra].sort(([a], [b]) => (a < b ? -1 : 1));
  const inner = pairs.map(([key, values]) => `${JSON.stringify(key)}:${goStrings(values)}`).join(", ");
  const map = extra.size === 0 ? "map[string][]string(nil)" : `map[string][]string{${inner}}`;
  return `&user.DefaultInfo{Name:"", UID:${JSON.stringify(uid)}, Groups:${goStrings(groups)}, Extra:${map}}`;
}

/** As Go prints a list of object references: kind, namespace, name, uid, apiVersion, resourceVersion, fieldPath. */
function asReferences(uid: string, groups: readonly string[], extra: Wanted["extra"]): string {
  const version = "authentication.k8s.io/v1";
  const all = [
    ...groups.map((group) => `{Group  ${group}    }`),
    ...[...extra].flatMap(([key, values]) => values.map((value) => `{UserExtra  ${value}  ${version}  ${key}}`)),
    ...(uid === "" ? [] : [`{UID  ${uid}  ${version}  }`]),
  ];
  return `[${all.join(" ")}]`;
}

interface Mode {
  readonly name: string;
  applies(wanted: Wanted, asker: UserInfo): boolean;
  /** Who the request is from, or the refusal thrown. */
  check(authorizer: Authorizer, wanted: Wanted, attributes: Attributes): Promise<UserInfo>;
}

const onlyName = ({ uid, groups, extra }: Wanted): boolean => uid === "" && groups.length === 0 && extra.size === 0;

function nodeName(user: string): string | undefined {
  const prefix = "system:node:";
  const name = user.startsWith(prefix) ? user.slice(prefix.length) : "";
  return name !== "" && isDns1123Subdomain(name).length === 0 ? name : undefined;
}

/** Two questions: may the request be made as a user of that kind, and may it be made as this user? */
function constrainedMode(
  name: string,
  applies: Mode["applies"],
  asked: (attributes: Attributes) => Attributes = (attributes) => attributes,
): Mode {
  return {
    name,
    applies,
    async check(authorizer, wanted, attributes) {
      await allowOrThrow(authorizer, asked({ ...attributes, verb: `impersonate-on:${name}:${attributes.verb}` }));
      const verb = `impersonate:${name}`;
      for (const one of needed(attributes.user, wanted, verb, true)) await allowOneOf(authorizer, one.map(asked));
      return asUser(wanted, true);
    },
  };
}

const NODE_NAME = "authentication.kubernetes.io/node-name";

/** An agent on a node, as that node: which one is said by its token, so the right is to all of them. */
const associatedNode = constrainedMode(
  "associated-node",
  (wanted, asker) => {
    const node = nodeName(wanted.name);
    if (node === undefined || !onlyName(wanted) || splitServiceAccountUser(asker.name) === undefined) return false;
    const on = asker.extra?.[NODE_NAME] ?? [];
    return on.length === 1 && on[0] === node;
  },
  (attributes) => {
    const { extra: _, ...user } = attributes.user;
    return { ...attributes, user, ...(attributes.verb === "impersonate:associated-node" && { name: "*" }) };
  },
);

const CONSTRAINED: readonly Mode[] = [
  associatedNode,
  constrainedMode("arbitrary-node", (wanted) => onlyName(wanted) && nodeName(wanted.name) !== undefined),
  constrainedMode("serviceaccount", (wanted) => onlyName(wanted) && splitServiceAccountUser(wanted.name) !== undefined),
  constrainedMode(
    "user-info",
    ({ name }) => nodeName(name) === undefined && splitServiceAccountUser(name) === undefined,
  ),
];

const LEGACY: Mode = {
  name: "legacy",
  applies: () => true,
  async check(authorizer, wanted, { user }) {
    for (const one of needed(user, wanted, "impersonate", false)) await allowOneOf(authorizer, one);
    return asUser(wanted, false);
  },
};

/** One that is allowed is enough; otherwise the error is that of the last. */
async function allowOneOf(authorizer: Authorizer, choices: readonly Attributes[]): Promise<void> {
  for (const attributes of choices.slice(0, -1))
    if ((await authorizer.authorize(attributes)).decision === "allow") return;
  await allowOrThrow(authorizer, choices.at(-1)!);
}

/** For this many values or more, first ask whether the user may impersonate any group, or set any extra. */
const MANY = 4;

/** The rights that it takes, one after the other, each with the wider ones that stand for it. */
function* needed(
  user: UserInfo,
  { name, groups, uid, extra }: Wanted,
  verb: string,
  constrained: boolean,
): Generator<readonly Attributes[]> {
  const group = constrained ? "authentication.k8s.io" : "";
  const base = { user, verb, resourceRequest: true, version: "v1", namespace: "", subresource: "", path: "" };
  const account = splitServiceAccountUser(name);
  const node = constrained ? nodeName(name) : undefined;
  if (node !== undefined) yield [{ ...base, group, resource: "nodes", name: node }];
  else if (account === undefined) yield [{ ...base, group, resource: "users", name }];
  else yield [{ ...base, group, resource: "serviceaccounts", namespace: account.namespace, name: account.name }];
  const special = { ...base, group: "authentication.k8s.io" };
  if (uid !== "") yield [{ ...special, resource: "uids", name: uid }];

  const ofGroup = { ...base, group, resource: "groups" };
  if (constrained && groups.includes(""))
    throw never(ofGroup, "", "impersonating the empty string group is not allowed");
  if (constrained && groups.includes("system:masters"))
    throw never(ofGroup, "system:masters", "impersonating the system:masters group is not allowed");
  const anyGroup = constrained && groups.length >= MANY ? [{ ...ofGroup, name: "*" }] : [];
  for (const one of groups) yield [...anyGroup, { ...ofGroup, name: one }];

  const ofExtra = { ...special, resource: "userextras" };
  const wrong = constrained ? wrongExtra(extra) : undefined;
  if (wrong !== undefined) throw never(ofExtra, "", wrong);
  const values = [...extra].flatMap(([key, all]) => all.map((value) => [key, value] as const));
  const anyExtra =
    constrained && (extra.size >= MANY || values.length >= MANY) ? [{ ...ofExtra, subresource: "*", name: "*" }] : [];
  for (const [key, value] of values) yield [...anyExtra, { ...ofExtra, subresource: key, name: value }];
}

function never(attributes: Omit<Attributes, "name">, name: string, reason: string): Error {
  return forbiddenTo({ ...attributes, name }, { decision: "deny", reason });
}

function wrongExtra(extra: Wanted["extra"]): string | undefined {
  for (const [key, values] of extra) {
    if (key === "") return "impersonating the empty string key in extra is not allowed";
    const [wrong] = isDomainPrefixedPath(key);
    if (wrong !== undefined)
      return `impersonating an invalid key in extra is not allowed: extra.key: Invalid value: ${JSON.stringify(wrong.value)}: ${wrong.words}`;
    if (key !== key.toLowerCase())
      return `impersonating a non-lowercase key in extra is not allowed: ${JSON.stringify(key)}`;
    if (values.length === 0) return "impersonating empty values in extra is not allowed";
    if (values.includes("")) return "impersonating the empty string value in extra is not allowed";
  }
  return undefined;
}

function asUser({ name, groups, uid, extra }: Wanted, constrained: boolean): UserInfo {
  const account = splitServiceAccountUser(name);
  const given =
    constrained && nodeName(name) !== undefined
      ? ["system:nodes"]
      : groups.length === 0 && account !== undefined
        ? ["system:serviceaccounts", `system:serviceaccounts:${account.namespace}`]
        : groups;
  const own = name === "system:anonymous" ? "system:unauthenticated" : "system:authenticated";
  const settled = given.includes(own) || (own === "system:authenticated" && given.includes("system:unauthenticated"));
  return {
    name,
    groups: settled ? given : [...given, own],
    ...(uid !== "" && { uid }),
    ...(extra.size > 0 && { extra: Object.fromEntries(extra) }),
  };
}
