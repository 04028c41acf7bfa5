/** The authorizer interface: authorizers are asked in order, and the first that has an opinion decides. */
import type { Metrics, Reading } from "../../observe/metrics.ts";
import { counter } from "../../observe/metrics.ts";
import type { UserInfo } from "../authn/user.ts";
import type { RequestInfo } from "../request-info.ts";
import type { PolicyRule } from "./rbac.ts";

export interface Attributes {
  readonly user: UserInfo;
  readonly verb: string;
  readonly resourceRequest: boolean;
  readonly namespace: string;
  readonly group: string;
  readonly version: string;
  readonly resource: string;
  readonly subresource: string;
  readonly name: string;
  readonly path: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
}

/** A question about a resource. What is left out is empty: no namespace, the resource itself, all names. */
export function resourceAttributes(
  question: Pick<Attributes, "user" | "verb" | "group" | "version" | "resource"> & Partial<Attributes>,
): Attributes {
  return { resourceRequest: true, namespace: "", subresource: "", name: "", path: "", ...question };
}

export async function isAllowed(authorizer: Authorizer, attributes: Attributes): Promise<boolean> {
  return (await authorizer.authorize(attributes)).decision === "allow";
}

export interface Decision {
  readonly decision: "allow" | "deny" | "no opinion";
  readonly reason: string;
  /** What went wrong on the way to the decision. A request that isn't allowed, and may be because of this, gets a 500. */
  readonly error?: string;
}

/** Who must ask elsewhere answers later; everyone else at once, for each request waits for it. */
export type Answer = Decision | Promise<Decision>;

export interface Authorizer {
  authorize(attributes: Attributes): Answer;
  /** What a user may in a namespace, as far as it is known without asking for each thing. */
  rulesFor?(user: UserInfo, namespace: string): UserRules;
}

export interface UserRules {
  readonly rules: readonly PolicyRule[];
  /** There may be more. */
  readonly incomplete: boolean;
  readonly error?: string;
}

export const ALLOW: Decision = { decision: "allow", reason: "" };
export const NO_OPINION: Decision = { decision: "no opinion", reason: "" };

export function attributesOf(user: UserInfo, info: RequestInfo): Attributes {
  return {
    user,
    verb: info.verb,
    resourceRequest: info.isResourceRequest,
    namespace: info.namespace,
    group: info.apiGroup,
    version: info.apiVersion,
    resource: info.resource,
    subresource: info.subresource,
    name: info.name,
    path: info.path,
    fieldSelector: info.fieldSelector,
    labelSelector: info.labelSelector,
  };
}

/** Asks each in turn until one has an opinion; reasons and errors of those without are joined. */
export function union(authorizers: readonly Authorizer[]): Authorizer {
  const ask = (attributes: Attributes, from: number, reasons: string[], errors: string[]): Answer => {
    for (let i = from; i < authorizers.length; i++) {
      const answer = authorizers[i]!.authorize(attributes);
      if (answer instanceof Promise)
        return answer.then((later) =>
          isFinal(later, reasons, errors) ? later : ask(attributes, i + 1, reasons, errors),
        );
      if (isFinal(answer, reasons, errors)) return answer;
    }
    return {
      decision: "no opinion",
      reason: reasons.join("\n"),
      ...(errors.length > 0 && { error: aggregate(errors) }),
    };
  };
  return {
    authorize: (attributes) => ask(attributes, 0, [], []),
    rulesFor(user, namespace) {
      const all = authorizers.map((authorizer) => authorizer.rulesFor?.(user, namespace) ?? NO_RULES);
      const errors = all.flatMap(({ error }) => error ?? []);
      return {
        rules: all.flatMap(({ rules }) => rules),
        incomplete: all.some(({ incomplete }) => incomplete),
        ...(errors.length > 0 && { error: aggregate(errors) }),
      };
    },
  };
}

const NO_RULES: UserRules = { rules: [], incomplete: false };

function isFinal({ decision, reason, error }: Decision, reasons: string[], errors: string[]): boolean {
  if (decision !== "no opinion") return true;
  if (reason !== "") reasons.push(reason);
  if (error !== undefined) errors.push(error);
  return false;
}

/** Several errors as Kubernetes prints them. */
export function aggregate(errors: readonly string[]): string {
  const different = [...new Set(errors)];
  return different.length === 1 ? different[0]! : `[${different.join(", ")}]`;
}

const EVERYTHING: UserRules = {
  rules: [
    { verbs: ["*"], apiGroups: ["*"], resources: ["*"] },
    { verbs: ["*"], nonResourceURLs: ["*"] },
  ],
  incomplete: false,
};

export const systemMasters: Authorizer = {
  authorize: ({ user }) => (user.groups.includes("system:masters") ? ALLOW : NO_OPINION),
};

export const alwaysAllow: Authorizer = { authorize: () => ALLOW, rulesFor: () => EVERYTHING };
export const alwaysDeny: Authorizer = {
  authorize: () => ({ decision: "no opinion", reason: "Everything is forbidden." }),
  rulesFor: () => NO_RULES,
};

const decisions = counter("apiserver_authorization_decisions_total", {
  help: "Total number of terminal decisions made by an authorizer split by authorizer type, name, and decision.",
  labels: ["type", "name", "decision"],
});

/** Counts what authorizers decide, across reloads. Every request passes here, so they are plain numbers. */
export class DecisionCounts {
  readonly #all = new Map<string, { readonly type: string; readonly name: string; allowed: number; denied: number }>();

  constructor(metrics: Metrics) {
    metrics.from(() => this.#readings());
  }

  of(type: string, name: string, authorizer: Authorizer): Authorizer {
    const key = `${type}/${name}`;
    const seen = this.#all.get(key) ?? { type, name, allowed: 0, denied: 0 };
    this.#all.set(key, seen);
    const note = (answer: Decision): Decision => {
      if (answer.decision === "allow") seen.allowed++;
      else if (answer.decision === "deny") seen.denied++;
      return answer;
    };
    return {
      ...authorizer,
      authorize(attributes) {
        const answer = authorizer.authorize(attributes);
        return answer instanceof Promise ? answer.then(note) : note(answer);
      },
    };
  }

  *#readings(): Generator<Reading> {
    for (const { type, name, allowed, denied } of this.#all.values()) {
      if (allowed > 0) yield { metric: decisions, labels: { type, name, decision: "allowed" }, value: allowed };
      if (denied > 0) yield { metric: decisions, labels: { type, name, decision: "denied" }, value: denied };
    }
  }
}

/** The words of a refusal, without what it is about. */
export function refusal(attributes: Attributes): string {
  const user = JSON.stringify(attributes.user.name);
  if (!attributes.resourceRequest)
    return escapeHtml(`User ${user} cannot ${attributes.verb} path ${JSON.stringify(attributes.path)}`);
  const resource =
    attributes.subresource === "" ? attributes.resource : `${attributes.resource}/${attributes.subresource}`;
  const scope =
    attributes.namespace === "" ? "at the cluster scope" : `in the namespace ${JSON.stringify(attributes.namespace)}`;
  return escapeHtml(
    `User ${user} cannot ${attributes.verb} resource ${JSON.stringify(resource)} in API group ${JSON.stringify(attributes.group)} ${scope}`,
  );
}

export const escapeHtml = (words: string): string =>
  words.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
