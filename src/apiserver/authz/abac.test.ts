import assert from "node:assert/strict";
import { test } from "node:test";
import { abacAuthorizer, parsePolicies } from "./abac.ts";
import type { Attributes, Decision } from "./authorizer.ts";

const POLICY = `
# One a line.
{"user":"admin"}
{"user":"reader","readonly":true,"resource":"pods"}
{"user":"*","resource":"events"}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"user":"alice","namespace":"a","resource":"*","apiGroup":"apps"}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"group":"probes","nonResourcePath":"/healthz*","readonly":true}}
{"apiVersion":"abac.authorization.kubernetes.io/v1beta1","kind":"Policy","spec":{"user":"bob","group":"both","namespace":"*","resource":"pods"}}
`;
const authorizer = abacAuthorizer(parsePolicies(POLICY, "policy.jsonl"));

/** `user[,group] verb resource.group namespace`, or a path in place of the last two. */
const table: readonly (readonly [string, boolean])[] = [
  ["admin delete nodes. a", true],
  ["admin get /metrics", true],
  ["reader get pods. a", true],
  ["reader create pods. a", false],
  ["reader get secrets. a", false],
  ["anyone,system:authenticated create events. a", true],
  ["anyone,system:unauthenticated create events. a", false],
  ["alice delete deployments.apps a", true],
  ["alice delete deployments.apps b", false],
  ["alice get pods. a", false],
  ["alice get /healthz", false],
  ["x,probes get /healthz/ping", true],
  ["x,probes post /healthz", false],
  ["x,probes get /metrics", false],
  ["bob get pods. a", false],
  ["bob,both get pods. a", true],
  ["eve,both get pods. a", false],
];
for (const [question, allowed] of table)
  test(`by the policy file: ${question}: ${allowed ? "yes" : "no"}`, () => {
    const [who, verb, what, namespace = ""] = question.split(" ") as [string, string, string, string | undefined];
    const [name, ...groups] = who.split(",") as [string, ...string[]];
    const resourceRequest = !what.startsWith("/");
    const [resource, ...group] = resourceRequest ? (what.split(".") as [string, ...string[]]) : ([""] as [string]);
    const asked: Attributes = {
      user: { name, groups },
      verb,
      resourceRequest,
      namespace,
      group: group.join("."),
      version: "v1",
      resource,
      subresource: "",
      name: "",
      path: resourceRequest ? "" : what,
    };
    const decision = authorizer.authorize(asked) as Decision;
    assert.deepEqual(
      decision,
      allowed ? { decision: "allow", reason: "" } : { decision: "no opinion", reason: "No policy matched." },
    );
  });

const NO_STRUCT = `Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }`;
const beta = (rest: string): string => `{"apiVersion":"abac.authorization.kubernetes.io/v1beta1",${rest}}`;
const broken: readonly (readonly [string, string])[] = [
  ["hello", `couldn't get version/kind; json parse error: json: cannot unmarshal string into ${NO_STRUCT}`],
  ["[]", `couldn't get version/kind; json parse error: json: cannot unmarshal array into ${NO_STRUCT}`],
  [
    "{bad",
    "couldn't get version/kind; json parse error: invalid character 'b' looking for beginning of object key string",
  ],
  ['{"a":1', "couldn't get version/kind; json parse error: unexpected end of JSON input"],
  ['{"user":"a"} x', "couldn't get version/kind; json parse error: invalid character 'x' after top-level value"],
  ['{"user":5}', "json: cannot unmarshal number into Go struct field Policy.user of type string"],
  [
    '{"apiVersion":"v1","kind":"Pod"}',
    'no kind "Pod" is registered for version "v1" in scheme "pkg/runtime/scheme.go:111"',
  ],
  [beta('"spec":{}'), "converting (v1beta1.Policy) to (v0.Policy): unknown conversion"],
  [
    beta('"kind":"Policy","spec":5'),
    "json: cannot unmarshal number into Go struct field Policy.spec of type v1beta1.PolicySpec",
  ],
  [
    beta('"kind":"Policy","spec":{"readonly":"yes"}'),
    "json: cannot unmarshal string into Go struct field PolicySpec.spec.readonly of type bool",
  ],
];
for (const [line, why] of broken)
  test(`a line that is no policy is told with its place: ${line}`, () => {
    assert.throws(() => parsePolicies(`# c\n\n{"user":"a"}\nnull\n${line}`, "p"), {
      message: `error reading policy file p, line 5: ${line}: ${why}`,
    });
  });

test("the rules of a user are those of the lines that name the user", () => {
  assert.deepEqual(authorizer.rulesFor!({ name: "reader", groups: [] }, "a").rules, [
    { verbs: ["get", "list", "watch"], apiGroups: ["*"], resources: ["pods"] },
  ]);
});
