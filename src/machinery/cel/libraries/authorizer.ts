/**
 * The authorizer library: `authorizer.group('apps').resource('deployments').check('create').allowed()`.
 *
 * Evaluation is synchronous, but an authorizer may not be: the caller supplies the answers that it knows, and abandons the evaluation with an error
 * of its own where an answer has to be fetched first, to repeat it with that answer.
 *
 * Upstream: staging/src/k8s.io/apiserver/pkg/cel/library/authz.go
 */
import { isDns1123Label, isDns1123Subdomain } from "../../validation/names.ts";
import { fn, member, type Library } from "../environment.ts";
import { BOOL, STRING, struct } from "../types.ts";
import { CelError, Opaque } from "../values.ts";

export const AUTHORIZER = struct("kubernetes.authorization.Authorizer");
const PATH_CHECK = struct("kubernetes.authorization.PathCheck");
const GROUP_CHECK = struct("kubernetes.authorization.GroupCheck");
export const RESOURCE_CHECK = struct("kubernetes.authorization.ResourceCheck");
const DECISION = struct("kubernetes.authorization.Decision");

export interface Question {
  readonly verb: string;
  /** In place of who makes the request. */
  readonly serviceAccount?: { readonly namespace: string; readonly name: string };
  readonly path?: string;
  readonly resource?: ResourceQuestion;
}
export interface ResourceQuestion {
  readonly group: string;
  readonly resource: string;
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  readonly fieldSelector?: string;
  readonly labelSelector?: string;
}
export interface Answer {
  readonly allowed: boolean;
  readonly reason: string;
  readonly error?: string;
}
export type Ask = (question: Question) => Answer;

abstract class Plain extends Opaque {
  override equals(other: Opaque): boolean {
    return other === this;
  }
}

export class AuthorizerValue extends Plain {
  override readonly type = AUTHORIZER;
  readonly ask: Ask;
  constructor(ask: Ask) {
    super();
    this.ask = ask;
  }
}

class PathCheck extends Plain {
  override readonly type = PATH_CHECK;
  readonly ask: Ask;
  readonly path: string;
  constructor(ask: Ask, path: string) {
    super();
    this.ask = ask;
    this.path = path;
  }
}

class GroupCheck extends Plain {
  override readonly type = GROUP_CHECK;
  readonly ask: Ask;
  readonly group: string;
  constructor(ask: Ask, group: string) {
    super();
    this.ask = ask;
    this.group = group;
  }
}

class ResourceCheck extends Plain {
  override readonly type = RESOURCE_CHECK;
  readonly ask: Ask;
  readonly question: ResourceQuestion;
  constructor(ask: Ask, question: ResourceQuestion) {
    super();
    this.ask = ask;
    this.question = question;
  }
}

class Decision extends Plain {
  override readonly type = DECISION;
  readonly answer: Answer;
  constructor(answer: Answer) {
    super();
    this.answer = answer;
  }
}

const notEmpty = (value: string, what: string): string => {
  if (value.trim() === "") throw new CelError(`${what} must not be empty`);
  return value;
};

function serviceAccount({ ask }: AuthorizerValue, namespace: string, name: string): AuthorizerValue {
  if (isDns1123Subdomain(name).length > 0) throw new CelError("Invalid service account name");
  if (isDns1123Label(namespace).length > 0) throw new CelError("Invalid service account namespace");
  return new AuthorizerValue((question) => ask({ ...question, serviceAccount: { namespace, name } }));
}

const narrowed = (part: keyof ResourceQuestion) => (check: ResourceCheck, value: string) =>
  new ResourceCheck(check.ask, { ...check.question, [part]: value });

/** What `authorizer.requestResource` holds: a variable of its own, with a dot in its name. */
export const resourceCheck = (ask: Ask, question: ResourceQuestion): Opaque => new ResourceCheck(ask, question);

export const authorizer: Library = {
  types: [AUTHORIZER, PATH_CHECK, GROUP_CHECK, RESOURCE_CHECK, DECISION],
  functions: [
    fn(
      "path",
      member(
        "authorizer_path",
        [AUTHORIZER, STRING],
        PATH_CHECK,
        ({ ask }: AuthorizerValue, path: string) => new PathCheck(ask, notEmpty(path, "path")),
      ),
    ),
    fn(
      "group",
      member(
        "authorizer_group",
        [AUTHORIZER, STRING],
        GROUP_CHECK,
        ({ ask }: AuthorizerValue, group: string) => new GroupCheck(ask, group),
      ),
    ),
    fn("serviceAccount", member("authorizer_serviceaccount", [AUTHORIZER, STRING, STRING], AUTHORIZER, serviceAccount)),
    fn(
      "resource",
      member(
        "groupcheck_resource",
        [GROUP_CHECK, STRING],
        RESOURCE_CHECK,
        ({ ask, group }: GroupCheck, resource: string) =>
          new ResourceCheck(ask, {
            group,
            resource: notEmpty(resource, "resource"),
            subresource: "",
            namespace: "",
            name: "",
          }),
      ),
    ),
    fn(
      "subresource",
      member("resourcecheck_subresource", [RESOURCE_CHECK, STRING], RESOURCE_CHECK, narrowed("subresource")),
    ),
    fn("namespace", member("resourcecheck_namespace", [RESOURCE_CHECK, STRING], RESOURCE_CHECK, narrowed("namespace"))),
    fn("name", member("resourcecheck_name", [RESOURCE_CHECK, STRING], RESOURCE_CHECK, narrowed("name"))),
    fn(
      "fieldSelector",
      member("authorizer_fieldselector", [RESOURCE_CHECK, STRING], RESOURCE_CHECK, narrowed("fieldSelector")),
    ),
    fn(
      "labelSelector",
      member("authorizer_labelselector", [RESOURCE_CHECK, STRING], RESOURCE_CHECK, narrowed("labelSelector")),
    ),
    fn(
      "check",
      member(
        "pathcheck_check",
        [PATH_CHECK, STRING],
        DECISION,
        ({ ask, path }: PathCheck, verb: string) => new Decision(ask({ verb, path })),
      ),
      member(
        "resourcecheck_check",
        [RESOURCE_CHECK, STRING],
        DECISION,
        ({ ask, question }: ResourceCheck, verb: string) => new Decision(ask({ verb, resource: question })),
      ),
    ),
    fn(
      "allowed",
      member("decision_allowed", [DECISION], BOOL, ({ answer }: Decision) => answer.allowed),
    ),
    fn(
      "reason",
      member("decision_reason", [DECISION], STRING, ({ answer }: Decision) => answer.reason),
    ),
    fn(
      "errored",
      member("decision_errored", [DECISION], BOOL, ({ answer }: Decision) => answer.error !== undefined),
    ),
    fn(
      "error",
      member("decision_error", [DECISION], STRING, ({ answer }: Decision) => answer.error ?? ""),
    ),
  ],
};
