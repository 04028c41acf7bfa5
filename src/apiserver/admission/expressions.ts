/**
 * CEL expressions about a request: the values of their variables, and evaluation within a cost budget. Match conditions of webhooks are evaluated
 * here, too. Evaluation is synchronous. Where the authorizer can only answer asynchronously, evaluation is abandoned and repeated once the answer is
 * there.
 *
 * Upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/cel, pkg/admission/plugin/webhook/matchconditions
 */
import { admissionEnvironment, type CompiledExpression, compileExpression } from "../../machinery/cel/admission.ts";
import { MATCH_CONDITIONS_BUDGET, PER_CALL_LIMIT } from "../../machinery/cel/kubernetes.ts";
import {
  AuthorizerValue,
  resourceCheck,
  type Answer,
  type Question,
} from "../../machinery/cel/libraries/authorizer.ts";
import type { Activation } from "../../machinery/cel/frame.ts";
import { EvaluationError, type Program } from "../../machinery/cel/program.ts";
import { BOOL } from "../../machinery/cel/types.ts";
import { fromJson, type Value } from "../../machinery/cel/values.ts";
import type { ResourceName } from "../../machinery/resource.ts";
import type { UserInfo } from "../authn/user.ts";
import type { Attributes, Authorizer, Decision } from "../authz/authorizer.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject } from "./framework.ts";
import type { Half } from "./metrics.ts";

/** The AdmissionRequest that webhooks and expressions see, without the objects. */
export function requestOf(request: AdmissionRequest): AnyObject {
  const { resource, original = resource, user, object } = request;
  const kindOf = ({ group, version, kind }: ResourceName) => {
    // What is written at a subresource may be of another group.
    const [of, its] =
      request.subresource === "" ? [group, version] : groupVersionOf(object?.apiVersion, group, version);
    return { group: of, version: its, kind: object?.kind ?? kind };
  };
  const nameOf = ({ group, version, plural }: ResourceName) => ({ group, version, resource: plural });
  return {
    kind: kindOf(resource),
    resource: nameOf(resource),
    ...(request.subresource !== "" && { subResource: request.subresource }),
    requestKind: kindOf(original),
    requestResource: nameOf(original),
    ...(request.subresource !== "" && { requestSubResource: request.subresource }),
    ...((request.name || object?.metadata?.name) && { name: request.name || object.metadata.name }),
    ...(request.namespace !== "" && { namespace: request.namespace }),
    operation: request.operation,
    userInfo: {
      username: user.name,
      ...(user.uid && { uid: user.uid }),
      groups: user.groups,
      ...(user.extra && { extra: user.extra }),
    },
    dryRun: request.dryRun,
    options: Object.keys(request.options).length > 0 ? request.options : null,
  };
}

function groupVersionOf(apiVersion: string | undefined, group: string, version: string): readonly [string, string] {
  if (apiVersion === undefined || apiVersion === "") return [group, version];
  const slash = apiVersion.indexOf("/");
  return slash < 0 ? ["", apiVersion] : [apiVersion.slice(0, slash), apiVersion.slice(slash + 1)];
}

/** Ends a run that needs an answer first. */
class Unanswered extends Error {
  readonly key: string;
  readonly answer: Promise<Decision>;
  constructor(key: string, answer: Promise<Decision>) {
    super("an answer is on its way");
    this.key = key;
    this.answer = answer;
  }
}

/** What the authoriser said in the course of one request. */
export class Questions {
  readonly #authorizer: Authorizer;
  readonly #user: UserInfo;
  readonly #answers = new Map<string, Answer>();

  constructor(authorizer: Authorizer, user: UserInfo) {
    this.#authorizer = authorizer;
    this.#user = user;
  }

  readonly ask = (question: Question): Answer => {
    const key = JSON.stringify(question);
    const known = this.#answers.get(key);
    if (known !== undefined) return known;
    const decision = this.#authorizer.authorize(attributesOf(question, this.#user));
    if (decision instanceof Promise) throw new Unanswered(key, decision);
    return this.#keep(key, decision);
  };

  #keep(key: string, { decision, reason, error }: Decision): Answer {
    const answer = { allowed: decision === "allow", reason, ...(error !== undefined && { error }) };
    this.#answers.set(key, answer);
    return answer;
  }

  /** Runs until nothing is asked that isn't known. */
  async run<T>(attempt: () => T): Promise<T> {
    for (;;)
      try {
        return attempt();
      } catch (error) {
        if (!(error instanceof Unanswered)) throw error;
        this.#keep(error.key, await error.answer);
      }
  }
}

function attributesOf({ verb, serviceAccount, path, resource }: Question, user: UserInfo): Attributes {
  const asker: UserInfo =
    serviceAccount === undefined
      ? user
      : {
          name: `system:serviceaccount:${serviceAccount.namespace}:${serviceAccount.name}`,
          groups: [
            "system:serviceaccounts",
            `system:serviceaccounts:${serviceAccount.namespace}`,
            "system:authenticated",
          ],
        };
  return {
    user: asker,
    verb,
    resourceRequest: resource !== undefined,
    namespace: resource?.namespace ?? "",
    group: resource?.group ?? "",
    version: resource === undefined ? "" : "*",
    resource: resource?.resource ?? "",
    subresource: resource?.subresource ?? "",
    name: resource?.name ?? "",
    path: path ?? "",
    ...(resource?.fieldSelector !== undefined && { fieldSelector: resource.fieldSelector }),
    ...(resource?.labelSelector !== undefined && { labelSelector: resource.labelSelector }),
  };
}

/** The values of the variables that every expression about a request has; `namespaceObject` and `params` where there are such. */
export function activationOf(
  request: AdmissionRequest,
  questions: Questions,
  more: { readonly namespaceObject?: AnyObject; readonly params?: AnyObject } = {},
): Record<string, Value> {
  const { resource } = request;
  return {
    object: fromJson(request.object ?? null),
    oldObject: fromJson(request.oldObject ?? null),
    request: fromJson(requestOf(request)),
    namespaceObject: fromJson(more.namespaceObject ?? null),
    params: fromJson(more.params ?? null),
    authorizer: new AuthorizerValue(questions.ask),
    "authorizer.requestResource": resourceCheck(questions.ask, {
      group: resource.group,
      resource: resource.plural,
      subresource: request.subresource,
      namespace: request.namespace,
      name: request.name,
    }),
  };
}

/** Expressions that ran out of what they may cost together: none of them counts. */
export class OutOfBudget extends Error {}

export type Evaluated = { readonly value: Value } | { readonly error: string };

/** Runs expressions one after the other on one budget. */
export class Budget {
  #left: number;
  constructor(cost: number) {
    this.#left = cost;
  }

  evaluate(text: string, program: Program, activation: Activation): Evaluated {
    try {
      const { value, cost } = program.run(activation, PER_CALL_LIMIT);
      this.spend(cost);
      return { value };
    } catch (error) {
      if (!(error instanceof EvaluationError)) throw error;
      this.spend(error.cost);
      return { error: `expression '${text}' resulted in error: ${error.message}` };
    }
  }

  /** Throws `OutOfBudget` where that was too much. */
  spend(cost: number): void {
    this.#left -= cost;
    if (this.#left < 0)
      throw new OutOfBudget(
        "validation failed due to running out of cost budget, no further validation rules will be run",
      );
  }
}

/** Decides the match conditions of a policy or webhook, and counts how long that took. */
export async function timedMatch(
  context: Pick<AdmissionContext, "matchConditions" | "authorizer" | "clock" | "metrics">,
  { name, kind, half }: { readonly name: string; readonly kind: "policy" | "webhook"; readonly half: Half },
  hook: AnyObject,
  request: AdmissionRequest,
  params?: AnyObject,
): ReturnType<MatchConditions["match"]> {
  if ((hook.matchConditions ?? []).length === 0) return { matches: true };
  const began = context.clock.monotonic();
  const result = await context.matchConditions.match(hook, request, context.authorizer, params);
  context.metrics.matchConditions(name, kind, half, request.operation, result, context.clock.monotonic() - began);
  return result;
}

interface Condition {
  readonly expression: string;
  readonly compiled: CompiledExpression;
}

/** What was compiled, for as long as the object is there that it is a part of. */
export class MatchConditions {
  readonly #compiled = new WeakMap<object, readonly Condition[]>();

  /** Whether the request is meant; the error where it can't be told, and that is not to be passed over. */
  async match(
    hook: AnyObject,
    request: AdmissionRequest,
    authorizer: Authorizer,
    params?: AnyObject,
  ): Promise<{ readonly matches: boolean } | { readonly error: string }> {
    const conditions = this.#conditions(hook);
    if (conditions.length === 0) return { matches: true };
    const questions = new Questions(authorizer, request.user);
    const activation = activationOf(request, questions, { params });
    return questions.run(() => {
      const budget = new Budget(MATCH_CONDITIONS_BUDGET);
      const errors: string[] = [];
      let isFalse = false;
      try {
        for (const { expression, compiled } of conditions) {
          if (!compiled.ok) {
            errors.push(`compilation error: ${compiled.message}`);
            continue;
          }
          const result = budget.evaluate(expression, compiled.program, activation);
          if ("error" in result) errors.push(result.error);
          else if (result.value === false) isFalse = true;
        }
      } catch (error) {
        if (!(error instanceof OutOfBudget)) throw error;
        return hook.failurePolicy === "Ignore" ? { matches: false } : { error: error.message };
      }
      if (isFalse || (errors.length > 0 && hook.failurePolicy === "Ignore")) return { matches: false };
      return errors.length === 0 ? { matches: true } : { error: aggregate(errors) };
    });
  }

  #conditions(hook: AnyObject): readonly Condition[] {
    let conditions = this.#compiled.get(hook);
    if (conditions === undefined) {
      const env = admissionEnvironment("stored", { authorizer: true, params: hook.paramKind !== undefined });
      conditions = (hook.matchConditions ?? []).map(({ expression }: AnyObject) => ({
        expression,
        compiled: compileExpression(env, expression, [BOOL]),
      }));
      this.#compiled.set(hook, conditions!);
    }
    return conditions!;
  }
}

/** What was made of policies, for as long as they are there. */
export class CompiledPolicies {
  readonly #compiled = new WeakMap<object, unknown>();
  readonly #timed: <T>(compile: () => T) => T;

  /** `timed` is told of each compilation. */
  constructor(timed: <T>(compile: () => T) => T = (compile) => compile()) {
    this.#timed = timed;
  }

  get<T>(policy: AnyObject, compile: (policy: AnyObject) => T): T {
    let compiled = this.#compiled.get(policy) as T | undefined;
    if (compiled === undefined) this.#compiled.set(policy, (compiled = this.#timed(() => compile(policy))));
    return compiled;
  }
}

function aggregate(errors: readonly string[]): string {
  const different = [...new Set(errors)];
  return different.length === 1 ? different[0]! : `[${different.join(", ")}]`;
}
