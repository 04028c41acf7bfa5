import assert from "node:assert/strict";
import { test } from "node:test";
import type { FieldError } from "../../machinery/validation/field-error.ts";
import { expressionCompiler } from "../expressions.ts";
import type { AuthorizerConfiguration } from "./configuration.ts";
import { compileConditions, validateAuthorization, withDefaults } from "./configuration.ts";
import { reviewSpec } from "./review-spec.ts";

const compiler = expressionCompiler();
const webhook = {
  timeout: "3s",
  subjectAccessReviewVersion: "v1",
  failurePolicy: "Deny",
  connectionInfo: { type: "KubeConfigFile", kubeConfigFile: "/etc/hook" },
};
const hook = (change: object, name = "a"): AuthorizerConfiguration => ({
  type: "Webhook",
  name,
  webhook: { ...webhook, ...change },
});
const conditions = (...expressions: string[]) =>
  hook({
    matchConditionSubjectAccessReviewVersion: "v1",
    matchConditions: expressions.map((expression) => ({ expression })),
  });

const table: readonly (readonly [readonly Partial<AuthorizerConfiguration>[], ...string[]])[] = [
  [[hook({}), hook({}, "b"), { type: "RBAC", name: "rbac" }]],
  [[], "authorizers: Required value: at least one authorization mode must be defined"],
  [[{ name: "a" }], "authorizers[0].type: Required value"],
  [
    [{ type: "Magic", name: "a" }],
    'authorizers[0].type: Unsupported value: "Magic": supported values: "ABAC", "AlwaysAllow", "AlwaysDeny", "Node", "RBAC", "Webhook"',
  ],
  [
    [
      { type: "RBAC", name: "a" },
      { type: "RBAC", name: "b" },
    ],
    'authorizers[1].type: Duplicate value: "RBAC"',
  ],
  [[{ type: "RBAC" }], "authorizers[0].name: Required value"],
  [[hook({}), hook({})], 'authorizers[1].name: Duplicate value: "a"'],
  [[{ type: "Webhook", name: "a" }], "authorizers[0].webhook: Required value: required when type=Webhook"],
  [
    [{ type: "RBAC", name: "a", webhook }],
    'authorizers[0].webhook: Invalid value: "non-null": may only be specified when type=Webhook',
  ],
  [[hook({ timeout: undefined })], "authorizers[0].timeout: Required value"],
  [[hook({ timeout: "31s" })], 'authorizers[0].timeout: Invalid value: "31s": must be > 0s and <= 30s'],
  [[hook({ authorizedTTL: "-1s" })], 'authorizers[0].authorizedTTL: Invalid value: "-1s": must be > 0s'],
  [
    [hook({ subjectAccessReviewVersion: "v2" })],
    'authorizers[0].subjectAccessReviewVersion: Unsupported value: "v2": supported values: "v1", "v1beta1"',
  ],
  [[hook({ failurePolicy: "" })], "authorizers[0].failurePolicy: Required value"],
  [
    [hook({ connectionInfo: { type: "KubeConfigFile", kubeConfigFile: "hook" } })],
    'authorizers[0].connectionInfo.kubeConfigFile: Invalid value: "hook": must be an absolute path',
  ],
  [
    [hook({ matchConditions: [{ expression: "true" }] })],
    "authorizers[0].matchConditionSubjectAccessReviewVersion: Required value: required if match conditions are specified",
  ],
  [
    [conditions("", "true", "true", "request.user")],
    "authorizers[0].matchConditions[0].expression: Required value",
    'authorizers[0].matchConditions[2].expression: Duplicate value: "true"',
    'authorizers[0].matchConditions[3].expression: Invalid value: "request.user": must evaluate to bool but got string',
  ],
];
for (const [authorizers, ...expected] of table)
  test(`authorization configuration: ${expected[0] ?? "is good"}`, () => {
    const configuration = withDefaults({ authorizers: authorizers as readonly AuthorizerConfiguration[] });
    assert.deepEqual(
      validateAuthorization(configuration, compiler).map(({ field, message }) => `${field}: ${message}`),
      expected,
    );
  });

const attributes = {
  user: { name: "jane", groups: ["dev"] },
  verb: "list",
  resourceRequest: true,
  namespace: "a",
  group: "",
  version: "v1",
  resource: "pods",
  subresource: "",
  name: "",
  path: "",
  labelSelector: "team=red",
};
const matches: readonly (readonly [readonly string[], boolean | string])[] = [
  [["request.user == 'jane'", "'dev' in request.groups"], true],
  [["has(request.resourceAttributes)", "request.resourceAttributes.namespace == 'b'"], false],
  [["!has(request.nonResourceAttributes)"], true],
  [["request.resourceAttributes.labelSelector.requirements.exists(r, r.key == 'team' && r.values == ['red'])"], true],
  [["!has(request.resourceAttributes.fieldSelector)"], true],
  [["request.nonResourceAttributes.path == '/x'"], "no such key: nonResourceAttributes"],
  [["request.nonResourceAttributes.path == '/x'", "false"], false],
];
for (const [expressions, expected] of matches)
  test(`conditions ${expressions.join(" and ")}: ${expected}`, () => {
    const errors: FieldError[] = [];
    const match = compileConditions(conditions(...expressions).webhook!, "", compiler, errors)!;
    assert.deepEqual(errors, []);
    assert.deepEqual(
      match(reviewSpec(attributes)),
      typeof expected === "boolean"
        ? expected
        : {
            error: `cel evaluation error: expression '${expressions[0]}' resulted in error: ${expected}`,
          },
    );
  });
