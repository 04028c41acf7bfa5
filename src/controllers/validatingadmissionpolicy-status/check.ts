/**
 * Type-checks the expressions of a policy against the kinds it applies to: unknown fields, mismatched types. The findings have no effect on the
 * policy; they are reported in its status. Pure, except for the source of the schemas.
 * Upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/policy/validating/typechecking.go
 */
import type { ExpressionWarning, ValidatingAdmissionPolicy } from "../../api/generated/admissionregistration.v1.ts";
import { admissionEnvironment } from "../../machinery/cel/admission.ts";
import { compileVariables } from "../../machinery/cel/composition.ts";
import type { Environment } from "../../machinery/cel/environment.ts";
import { compile } from "../../machinery/cel/expression.ts";
import type { RuleSchema } from "../../machinery/cel/rules/schema.ts";
import { declare, structsOf } from "../../machinery/cel/rules/types.ts";

export interface Gvk {
  readonly group: string;
  readonly version: string;
  readonly kind: string;
}

/** What a policy is checked against. */
export interface Kinds {
  /** The kind that a resource has, where it is served. */
  kindOf(group: string, version: string, plural: string): Promise<Gvk | undefined>;
  schemaOf(gvk: Gvk): Promise<RuleSchema | undefined>;
}

const MOST_TYPES = 10;

export async function checkPolicy(policy: ValidatingAdmissionPolicy, kinds: Kinds): Promise<ExpressionWarning[]> {
  const { validations = [], paramKind } = policy.spec ?? {};
  const params = paramKind === undefined ? undefined : await kinds.schemaOf(gvkOf(paramKind));
  const environments: (readonly [gvk: Gvk, env: Environment])[] = [];
  for (const gvk of await typesToCheck(policy, kinds)) {
    const schema = await kinds.schemaOf(gvk);
    if (schema !== undefined) environments.push([gvk, environmentOf(policy, gvk.kind, schema, params)]);
  }
  const warnings: ExpressionWarning[] = [];
  const check = (expression: string | undefined, fieldRef: string) => {
    if (!expression) return;
    const found = environments.flatMap(([gvk, env]) => {
      const compiled = compile(env, expression);
      return compiled.ok ? [] : [`${shown(gvk)}: ${compiled.message}\n`];
    });
    if (found.length > 0) warnings.push({ fieldRef, warning: found.join("\n") });
  };
  for (const [i, { expression, messageExpression }] of validations.entries()) {
    check(expression, `spec.validations[${i}].expression`);
    check(messageExpression, `spec.validations[${i}].messageExpression`);
  }
  return warnings;
}

const shown = ({ group, version, kind }: Gvk): string =>
  `${group === "" ? version : `${group}/${version}`}, Kind=${kind}`;

function gvkOf({ apiVersion = "", kind = "" }: { readonly apiVersion?: string; readonly kind?: string }): Gvk {
  const [first = "", second] = apiVersion.split("/");
  return second === undefined ? { group: "", version: first, kind } : { group: first, version: second, kind };
}

function environmentOf(
  { spec }: ValidatingAdmissionPolicy,
  kind: string,
  object: RuleSchema,
  params: RuleSchema | undefined,
): Environment {
  let env = admissionEnvironment("stored", { params: spec?.paramKind !== undefined, authorizer: true });
  const type = (name: string, schema: RuleSchema, variables: readonly string[]) => {
    const declared = declare(schema, true, name);
    if (declared === undefined) return;
    env = env
      .withStructs(structsOf(declared))
      .withVariables(Object.fromEntries(variables.map((variable) => [variable, declared.type])));
  };
  type(kind, object, ["object", "oldObject"]);
  if (params !== undefined) type(spec!.paramKind!.kind!, params, ["params"]);
  return compileVariables(env, spec?.variables ?? []).env;
}

/** In the order of group, version and kind; a rule with a wildcard names no types, and ten are enough. */
async function typesToCheck({ spec }: ValidatingAdmissionPolicy, kinds: Kinds): Promise<readonly Gvk[]> {
  const found = new Map<string, Gvk>();
  for (const rule of spec?.matchConstraints?.resourceRules ?? []) {
    const [groups, versions] = [named(rule.apiGroups), named(rule.apiVersions)];
    const plurals = (rule.resources ?? []).filter((resource) => !/[*/]/.test(resource)).sort();
    let count = 0;
    for (const group of groups)
      for (const version of versions)
        for (const plural of plurals) {
          const gvk = await kinds.kindOf(group, version, plural);
          if (gvk === undefined) continue;
          found.set(shown(gvk), gvk);
          if (++count === MOST_TYPES) return ordered([...found.values()]);
        }
  }
  return ordered([...found.values()]);
}

const named = (texts: readonly string[] = []): readonly string[] =>
  texts.some((text) => text.includes("*")) ? [] : [...texts].sort();

function ordered(gvks: readonly Gvk[]): readonly Gvk[] {
  const key = ({ group, version, kind }: Gvk) => `${group}\0${version}\0${kind}`;
  return [...gvks].sort((a, b) => (key(a) < key(b) ? -1 : 1));
}
