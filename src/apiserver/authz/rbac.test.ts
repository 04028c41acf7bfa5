import assert from "node:assert/strict";
import { test } from "node:test";
import type { ClusterView } from "../admission/framework.ts";
import type { Attributes, Authorizer, Decision } from "./authorizer.ts";
import { refusal } from "./authorizer.ts";
import { missingFrom } from "./escalation.ts";
import type { PolicyRule } from "./rbac.ts";
import { rbacAuthorizer, ruleAllows } from "./rbac.ts";

const base: Attributes = {
  user: { name: "jane", groups: ["dev"] },
  verb: "get",
  resourceRequest: true,
  namespace: "a",
  group: "",
  version: "v1",
  resource: "pods",
  subresource: "",
  name: "p",
  path: "",
};
const rule = (part: Partial<PolicyRule>): PolicyRule => ({
  verbs: ["get"],
  apiGroups: [""],
  resources: ["pods"],
  ...part,
});

const TABLE: [string, Partial<Attributes>, Partial<PolicyRule>, boolean][] = [
  ["the same verb, group and resource", {}, {}, true],
  ["another verb", { verb: "list" }, {}, false],
  ["every verb", { verb: "list" }, { verbs: ["*"] }, true],
  ["another group", { group: "apps" }, {}, false],
  ["a resource when the subresource is asked for", { subresource: "log" }, {}, false],
  ["a subresource by name", { subresource: "log" }, { resources: ["pods/log"] }, true],
  ["a subresource of everything", { subresource: "scale" }, { resources: ["*/scale"] }, true],
  ["every resource, subresources too", { subresource: "log" }, { resources: ["*"] }, true],
  ["one name", {}, { resourceNames: ["p"] }, true],
  ["another name", {}, { resourceNames: ["q"] }, false],
  [
    "a path below a prefix",
    { resourceRequest: false, path: "/metrics/slis" },
    { nonResourceURLs: ["/metrics/*"] },
    true,
  ],
  ["a path beside it", { resourceRequest: false, path: "/version" }, { nonResourceURLs: ["/metrics/*"] }, false],
];
for (const [words, asked, part, expected] of TABLE)
  test(`a rule for ${words} ${expected ? "allows" : "doesn't allow"} it`, () => {
    assert.equal(ruleAllows({ ...base, ...asked }, rule(part)), expected);
  });

function clusterOf(objects: Readonly<Record<string, readonly any[]>>): ClusterView {
  const list = (name: string, namespace = "") =>
    (objects[name.split(".")[0]!] ?? []).filter(({ metadata }) => namespace === "" || metadata.namespace === namespace);
  return {
    list,
    podsOn: () => [],
    get: (name, namespace, object) => list(name, namespace).find(({ metadata }) => metadata.name === object),
    live: async () => undefined,
    inVersion: async () => [],
    update: async () => undefined,
  };
}

test("a binding gives its role's rules in its own namespace, and says why", () => {
  const authorizer = rbacAuthorizer(
    clusterOf({
      roles: [{ metadata: { name: "reader", namespace: "a" }, rules: [rule({})] }],
      rolebindings: [
        {
          metadata: { name: "devs", namespace: "a" },
          subjects: [{ kind: "Group", name: "dev" }],
          roleRef: { kind: "Role", name: "reader" },
        },
      ],
    }),
  );
  assert.deepEqual(authorizer.authorize(base), {
    decision: "allow",
    reason: 'RBAC: allowed by RoleBinding "devs/a" of Role "reader" to Group "dev"',
  });
  assert.equal(decide(authorizer, { ...base, namespace: "b" }).decision, "no opinion");
});

/** Nothing here waits. */
const decide = (authorizer: Authorizer, attributes: Attributes) => authorizer.authorize(attributes) as Decision;

test("a binding to a role that isn't there gives nothing and tells", () => {
  const authorizer = rbacAuthorizer(
    clusterOf({
      clusterrolebindings: [
        {
          metadata: { name: "b" },
          subjects: [{ kind: "User", name: "jane" }],
          roleRef: { kind: "ClusterRole", name: "gone" },
        },
      ],
    }),
  );
  assert.deepEqual(authorizer.authorize(base), {
    decision: "no opinion",
    reason: 'RBAC: clusterrole.rbac.authorization.k8s.io "gone" not found',
  });
});

test("a service account is a subject by its namespace and name", () => {
  const authorizer = rbacAuthorizer(
    clusterOf({
      clusterroles: [{ metadata: { name: "reader" }, rules: [rule({})] }],
      clusterrolebindings: [
        {
          metadata: { name: "b" },
          subjects: [{ kind: "ServiceAccount", name: "sa", namespace: "x" }],
          roleRef: { kind: "ClusterRole", name: "reader" },
        },
      ],
    }),
  );
  const as = (name: string) => decide(authorizer, { ...base, user: { name, groups: [] } }).decision;
  assert.equal(as("system:serviceaccount:x:sa"), "allow");
  assert.equal(as("system:serviceaccount:y:sa"), "no opinion");
});

test("refusals name the verb, the resource and the scope", () => {
  assert.equal(refusal(base), 'User "jane" cannot get resource "pods" in API group "" in the namespace "a"');
  assert.equal(
    refusal({ ...base, namespace: "", group: "apps", resource: "deployments", subresource: "scale" }),
    'User "jane" cannot get resource "deployments/scale" in API group "apps" at the cluster scope',
  );
  assert.equal(refusal({ ...base, resourceRequest: false, path: "/x" }), 'User "jane" cannot get path "/x"');
});

test("what is missing of a grant is told permission by permission", () => {
  const held = [rule({ verbs: ["get"], resources: ["*"] }), { verbs: ["*"], nonResourceURLs: ["/healthz*"] }];
  assert.deepEqual(
    missingFrom(held, [
      rule({ verbs: ["get", "list"], resources: ["pods", "pods/log"] }),
      { verbs: ["get"], nonResourceURLs: ["/healthz/ping", "/metrics"] },
    ]),
    [
      { verbs: ["list"], apiGroups: [""], resources: ["pods"] },
      { verbs: ["list"], apiGroups: [""], resources: ["pods/log"] },
      { verbs: ["get"], nonResourceURLs: ["/metrics"] },
    ],
  );
});
