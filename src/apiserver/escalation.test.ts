/** Every way in which a user could gain permissions: each is tried by a user who may do everything else with the resource. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeWorld } from "../world/node/index.ts";
import { ask } from "./testing/ask.ts";
import type { Harness } from "./testing/harness.ts";
import { startServer } from "./testing/harness.ts";

const world = nodeWorld();
const RBAC = "rbac.authorization.k8s.io";
const users = ["eve", "root"] as const;
const staticTokens = new Map([
  ["eve", { name: "eve", groups: ["staff"] }],
  ["root", { name: "root", groups: ["system:masters"] }],
  [
    "agent",
    {
      name: "system:serviceaccount:default:agent",
      groups: ["system:serviceaccounts"],
      extra: { "authentication.kubernetes.io/node-name": ["n1"] },
    },
  ],
]);

type As = (typeof users)[number] | "agent";
type Rule = {
  readonly verbs: string[];
  readonly apiGroups?: string[];
  readonly resources?: string[];
  readonly resourceNames?: string[];
  readonly nonResourceURLs?: string[];
};

function speak(harness: Harness) {
  const as = async (
    user: As,
    method: string,
    path: string,
    body?: object,
    headers: Readonly<Record<string, string | string[]>> = {},
  ): Promise<{ status: number; body: any }> => {
    const answer = await ask(harness, method, path, {
      headers: { authorization: `Bearer ${user}`, "content-type": "application/json", ...headers },
      ...(body && { body: JSON.stringify(body) }),
    });
    const text = answer.body.toString();
    return { status: answer.status, body: text.startsWith("{") ? JSON.parse(text) : text };
  };
  /** Gives rights, and waits until they hold. */
  const grant = async (user: string, ...rules: Rule[]) => {
    const name = `${user.replaceAll(":", "-")}-${counter++}`;
    const role = { apiVersion: `${RBAC}/v1`, kind: "ClusterRole", metadata: { name }, rules };
    const made = await as("root", "POST", `/apis/${RBAC}/v1/clusterroles`, role);
    assert.equal(made.status, 201, JSON.stringify(made.body));
    const bound = await as("root", "POST", `/apis/${RBAC}/v1/clusterrolebindings`, binding(name, user));
    assert.equal(bound.status, 201, JSON.stringify(bound.body));
    const { verbs, apiGroups = [""], resources = [""], resourceNames = [""] } = rules[0]!;
    const [resource, subresource = ""] = resources[0]!.split("/") as [string, string?];
    for (;;) {
      const review = await as("root", "POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SubjectAccessReview",
        spec: {
          user,
          resourceAttributes: { verb: verbs[0], group: apiGroups[0], resource, subresource, name: resourceNames[0] },
        },
      });
      if (review.body.status.allowed) return name;
    }
  };
  let counter = 0;
  return { as, grant };
}

const binding = (role: string, user: string, name = role) => ({
  apiVersion: `${RBAC}/v1`,
  kind: "ClusterRoleBinding",
  metadata: { name },
  roleRef: { apiGroup: RBAC, kind: "ClusterRole", name: role },
  subjects: [{ apiGroup: RBAC, kind: "User", name: user }],
});
const role = (name: string, rules: Rule[], more: object = {}) => ({
  apiVersion: `${RBAC}/v1`,
  kind: "ClusterRole",
  metadata: { name },
  rules,
  ...more,
});
const WRITES_POLICY: Rule = {
  verbs: ["create", "get", "update", "patch", "delete"],
  apiGroups: [RBAC],
  resources: ["clusterroles", "clusterrolebindings", "roles", "rolebindings"],
};
const PODS: Rule = { verbs: ["get", "list"], apiGroups: [""], resources: ["pods"] };
const ROLES = `/apis/${RBAC}/v1/clusterroles`;
const BINDINGS = `/apis/${RBAC}/v1/clusterrolebindings`;

test("a role may only contain permissions that its writer has, unless the writer may escalate", async () => {
  await using harness = await startServer(world, { staticTokens });
  const { as, grant } = speak(harness);
  await grant("eve", WRITES_POLICY);
  const refused = await as("eve", "POST", ROLES, role("mine", [PODS]));
  assert.equal(
    refused.body.message,
    `clusterroles.${RBAC} "mine" is forbidden: user "eve" (groups=["staff" "system:authenticated"]) is attempting to grant RBAC permissions not currently held:\n{APIGroups:[""], Resources:["pods"], Verbs:["get" "list"]}`,
  );
  const paths = { verbs: ["get", "post"], nonResourceURLs: ["/logs"] };
  assert.match(
    (await as("eve", "POST", ROLES, role("paths", [paths]))).body.message,
    /:\n\{NonResourceURLs:\["\/logs"\], Verbs:\["get"\]\}\n\{NonResourceURLs:\["\/logs"\], Verbs:\["post"\]\}$/,
  );
  const review = {
    apiVersion: "authorization.k8s.io/v1",
    kind: "SelfSubjectRulesReview",
    spec: { namespace: "default" },
  };
  const rules = await as("eve", "POST", "/apis/authorization.k8s.io/v1/selfsubjectrulesreviews", review);
  assert.deepEqual([rules.status, rules.body.spec], [201, {}], "what was asked isn't repeated");
  await grant("eve", PODS);
  assert.equal(
    (await as("eve", "POST", ROLES, role("mine", [PODS]))).status,
    201,
    "a permission that the user has may be granted",
  );
  const more = role("mine", [{ ...PODS, verbs: ["get", "list", "delete"] }]);
  assert.equal((await as("eve", "PUT", `${ROLES}/mine`, more)).status, 403, "nor by an update");
  const patch = { rules: [{ ...PODS, verbs: ["*"] }] };
  const patched = await as("eve", "PATCH", `${ROLES}/mine`, patch, { "content-type": "application/merge-patch+json" });
  assert.equal(patched.status, 403, "nor by a patch");
  const local = { ...role("mine", [{ ...PODS, verbs: ["delete"] }]), kind: "Role" };
  assert.equal(
    (await as("eve", "POST", `/apis/${RBAC}/v1/namespaces/default/roles`, local)).status,
    403,
    "nor in a namespace",
  );
  const subresources = role("logs", [{ ...PODS, resources: ["pods/exec"] }]);
  assert.equal((await as("eve", "POST", ROLES, subresources)).status, 403, "a resource is not its subresources");
  await grant("eve", { verbs: ["escalate"], apiGroups: [RBAC], resources: ["clusterroles"], resourceNames: ["mine"] });
  assert.equal((await as("eve", "PUT", `${ROLES}/mine`, more)).status, 200);
  assert.equal((await as("eve", "POST", ROLES, role("another", [{ ...PODS, verbs: ["*"] }]))).status, 403);
});

test("writing an aggregated role could grant anything, so it takes all permissions", async () => {
  await using harness = await startServer(world, { staticTokens });
  const { as, grant } = speak(harness);
  await grant("eve", WRITES_POLICY);
  const aggregated = role("sum", [], { aggregationRule: { clusterRoleSelectors: [{ matchLabels: { a: "b" } }] } });
  assert.equal(
    (await as("eve", "POST", ROLES, aggregated)).body.message,
    `clusterroles.${RBAC} "sum" is forbidden: must have cluster-admin privileges to use the aggregationRule`,
  );
  assert.equal((await as("root", "POST", ROLES, aggregated)).status, 201);
  assert.equal((await as("eve", "PUT", `${ROLES}/sum`, role("sum", []))).status, 403, "nor takes the rule away");
  const labelled = role("part", [{ ...PODS, verbs: ["*"] }], { metadata: { name: "part", labels: { a: "b" } } });
  assert.equal((await as("eve", "POST", ROLES, labelled)).status, 403, "what is aggregated is written by its rules");
});

test("a binding may only grant permissions that its writer has, unless the writer may bind", async () => {
  await using harness = await startServer(world, { staticTokens });
  const { as, grant } = speak(harness);
  await grant("eve", WRITES_POLICY);
  const admin = await as("eve", "POST", BINDINGS, binding("cluster-admin", "eve", "mine"));
  assert.equal(admin.status, 403);
  assert.match(
    admin.body.message,
    /is attempting to grant RBAC permissions not currently held:\n\{APIGroups:\["\*"\], Resources:\["\*"\], Verbs:\["\*"\]\}/,
  );
  const local = { ...binding("system:node", "eve", "mine"), kind: "RoleBinding" };
  const path = `/apis/${RBAC}/v1/namespaces/default/rolebindings`;
  assert.equal((await as("eve", "POST", path, local)).status, 403);
  const toNothing = await as("eve", "POST", BINDINGS, binding("no-such-role", "eve", "mine"));
  assert.equal(toNothing.body.message, `clusterrolebindings.${RBAC} "no-such-role" not found`);
  await grant("eve", { verbs: ["bind"], apiGroups: [RBAC], resources: ["clusterroles"], resourceNames: ["view"] });
  assert.equal((await as("eve", "POST", BINDINGS, binding("view", "eve", "mine"))).status, 201);
  const changed = { ...binding("view", "eve", "mine"), subjects: [{ apiGroup: RBAC, kind: "User", name: "friend" }] };
  assert.equal((await as("eve", "PUT", `${BINDINGS}/mine`, changed)).status, 200);
  const other = { ...binding("cluster-admin", "eve", "mine") };
  assert.notEqual((await as("eve", "PUT", `${BINDINGS}/mine`, other)).status, 200, "a binding stays with its role");
});

const NS_PODS = "/api/v1/namespaces/default/pods";
const impersonating = (user: string, more: object = {}) => ({ "impersonate-user": user, ...more });

test("whose name one may not take one doesn't get: the first refusal is told", async () => {
  await using harness = await startServer(world, { staticTokens });
  const { as, grant } = speak(harness);
  const refused = async (headers: Record<string, string | string[]>) =>
    (await as("eve", "GET", NS_PODS, undefined, headers)).body.message;
  const on = (mode: string) =>
    `pods is forbidden: User "eve" cannot impersonate-on:${mode}:list resource "pods" in API group "" in the namespace "default"`;
  assert.equal(await refused(impersonating("root")), on("user-info"));
  assert.equal(await refused(impersonating("system:node:n1")), on("arbitrary-node"));
  assert.equal(await refused(impersonating("system:serviceaccount:kube-system:x")), on("serviceaccount"));
  assert.equal(
    await refused({ "impersonate-group": ["g", "h"] }),
    'requested &user.DefaultInfo{Name:"", UID:"", Groups:[]string{"g", "h"}, Extra:map[string][]string(nil)} without impersonating a user name',
  );

  await grant("eve", { verbs: ["impersonate"], apiGroups: [""], resources: ["users"], resourceNames: ["bob"] });
  assert.match(await refused(impersonating("bob")), /User "bob" cannot list/, "by the old verb, for any request");
  assert.equal(
    await refused(impersonating("root")),
    'users "root" is forbidden: User "eve" cannot impersonate resource "users" in API group "" at the cluster scope',
  );
  assert.match(
    await refused(impersonating("bob", { "impersonate-group": "system:masters" })),
    /groups "system:masters" is forbidden/,
  );
  assert.match(
    await refused(impersonating("bob", { "impersonate-uid": "1" })),
    /uids.authentication.k8s.io "1" is forbidden/,
  );
  assert.match(
    await refused(impersonating("bob", { "impersonate-extra-e.org%2fteam": "red" })),
    /userextras.authentication.k8s.io "red" is forbidden: User "eve" cannot impersonate resource "userextras\/e.org\/team"/,
  );
});

test("constrained, one acts as another in what was said, and never as a master", async () => {
  await using harness = await startServer(world, { staticTokens });
  const { as, grant } = speak(harness);
  const group = "authentication.k8s.io";
  await grant("eve", { verbs: ["impersonate:user-info"], apiGroups: [group], resources: ["users", "groups"] });
  await grant("eve", { verbs: ["impersonate-on:user-info:list"], apiGroups: [""], resources: ["pods"] });
  await grant("bob", PODS);
  const list = (headers: Record<string, string | string[]>) => as("eve", "GET", NS_PODS, undefined, headers);
  assert.equal((await list(impersonating("bob"))).status, 200);
  const secrets = await as("eve", "GET", "/api/v1/namespaces/default/secrets", undefined, impersonating("bob"));
  assert.match(secrets.body.message, /cannot impersonate-on:user-info:list resource "secrets"/);
  const masters = await list(impersonating("bob", { "impersonate-group": "system:masters" }));
  assert.equal(
    masters.body.message,
    'groups.authentication.k8s.io "system:masters" is forbidden: User "eve" cannot impersonate:user-info resource "groups" in API group "authentication.k8s.io" at the cluster scope: impersonating the system:masters group is not allowed',
  );
  assert.equal((await list(impersonating("system:serviceaccount:a:b"))).status, 403, "accounts are another mode");

  const agent = "system:serviceaccount:default:agent";
  await grant(agent, { verbs: ["impersonate:associated-node"], apiGroups: [group], resources: ["nodes"] });
  await grant(agent, { verbs: ["impersonate-on:associated-node:get"], apiGroups: [""], resources: ["nodes"] });
  const node = (name: string) =>
    as("agent", "GET", `/api/v1/nodes/${name}`, undefined, impersonating(`system:node:${name}`));
  assert.equal((await node("n1")).status, 404, "as its own node, which may read itself");
  assert.equal((await node("n2")).status, 403, "and as no other");
});

test("without the gate only the old verb counts", async () => {
  await using harness = await startServer(world, {
    staticTokens,
    featureGates: new Map([["ConstrainedImpersonation", false]]),
  });
  const { as } = speak(harness);
  const { body } = await as("eve", "GET", NS_PODS, undefined, impersonating("bob"));
  assert.equal(
    body.message,
    'users "bob" is forbidden: User "eve" cannot impersonate resource "users" in API group "" at the cluster scope',
  );
  const none = await as("eve", "GET", NS_PODS, undefined, { "impersonate-group": "g" });
  assert.equal(none.body.message, "requested [{Group  g    }] without impersonating a user");
});

test("a token of an account, a node's proxy and a signature each take a right of their own", async () => {
  await using harness = await startServer(world, { staticTokens });
  const { as, grant } = speak(harness);
  const accounts = "/api/v1/namespaces/default/serviceaccounts";
  const account = { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "strong" } };
  assert.equal((await as("root", "POST", accounts, account)).status, 201);
  await grant("eve", { verbs: ["*"], apiGroups: [""], resources: ["serviceaccounts"] });
  const token = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: {} };
  assert.equal(
    (await as("eve", "POST", `${accounts}/strong/token`, token)).body.message,
    'serviceaccounts "strong" is forbidden: User "eve" cannot create resource "serviceaccounts/token" in API group "" in the namespace "default"',
  );

  await grant("eve", { verbs: ["*"], apiGroups: [""], resources: ["nodes"] });
  assert.equal(
    (await as("eve", "GET", "/api/v1/nodes/n1/proxy/pods")).body.message,
    'nodes "n1" is forbidden: User "eve" cannot get resource "nodes/proxy" in API group "" at the cluster scope',
  );
  assert.equal((await as("eve", "POST", "/api/v1/nodes/n1/proxy/exec/a/b/c")).status, 403);

  const csrs = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
  const request = {
    apiVersion: "certificates.k8s.io/v1",
    kind: "CertificateSigningRequest",
    metadata: { name: "r" },
    spec: {
      request: Buffer.from(CSR).toString("base64"),
      signerName: "example.org/signer",
      usages: ["digital signature"],
      username: "root",
      groups: ["system:masters"],
    },
  };
  await grant("eve", {
    verbs: ["*"],
    apiGroups: ["certificates.k8s.io"],
    resources: [
      "certificatesigningrequests",
      "certificatesigningrequests/approval",
      "certificatesigningrequests/status",
    ],
  });
  const made = await as("eve", "POST", csrs, request);
  assert.equal(made.status, 201, JSON.stringify(made.body));
  assert.equal(made.body.spec.username, "eve", "who asks is who asked");
  assert.deepEqual(made.body.spec.groups, ["staff", "system:authenticated"]);
  const approved = {
    ...made.body,
    status: { conditions: [{ type: "Approved", status: "True", reason: "me", message: "me" }] },
  };
  assert.match(
    (await as("eve", "PUT", `${csrs}/r/approval`, approved)).body.message,
    /user not permitted to approve requests with signerName "example.org\/signer"/,
  );
  await grant("eve", {
    verbs: ["approve"],
    apiGroups: ["certificates.k8s.io"],
    resources: ["signers"],
    resourceNames: ["example.org/*"],
  });
  assert.equal((await as("eve", "PUT", `${csrs}/r/approval`, approved)).status, 200);
});

test("who may write a claim's status neither binds the claim, nor speaks for its drivers, nor looks into what others hold", async () => {
  await using harness = await startServer(world, { staticTokens });
  const { as, grant } = speak(harness);
  const group = "resource.k8s.io";
  const claims = `/apis/${group}/v1/namespaces/default/resourceclaims`;
  const one = { name: "one", exactly: { deviceClassName: "c" } };
  const claim = (name: string, request: object = one) => ({
    apiVersion: `${group}/v1`,
    kind: "ResourceClaim",
    metadata: { name },
    spec: { devices: { requests: [request] } },
  });
  const admin = claim("admin", { ...one, exactly: { ...one.exactly, adminAccess: true } });
  const asksTooMuch = await as("root", "POST", claims, admin);
  assert.equal(
    asksTooMuch.body.message,
    'ResourceClaim.resource.k8s.io "admin" is invalid: spec.devices.requests[0].adminAccess: Forbidden: admin access to devices requires the `resource.kubernetes.io/admin-access: true` label on the containing namespace',
  );
  const labels = { "resource.kubernetes.io/admin-access": "true" };
  await as("root", "PATCH", "/api/v1/namespaces/default", { metadata: { labels } }, MERGE);
  const allowed = async () => (await as("root", "POST", `${claims}?dryRun=All`, admin)).status === 201;
  while (!(await allowed()));

  await as("root", "POST", claims, claim("a"));
  const agent = "system:serviceaccount:default:agent";
  const resources = ["resourceclaims/status", "resourceclaims"];
  await grant(agent, { verbs: ["get", "update", "patch"], apiGroups: [group], resources });
  const device = { driver: "d.example.com", pool: "p", device: "d" };
  const nodeSelector = {
    nodeSelectorTerms: [{ matchFields: [{ key: "metadata.name", operator: "In", values: ["n1"] }] }],
  };
  const allocation = { devices: { results: [{ request: "one", ...device }] }, nodeSelector };
  const write = (who: As, status: object) => as(who, "PATCH", `${claims}/a/status`, { status }, MERGE);
  assert.equal(
    (await write("agent", { allocation })).body.message,
    `ResourceClaim.resource.k8s.io "a" is invalid: status.allocation: Forbidden: changing status.allocation or status.reservedFor requires resource="resourceclaims/binding", verb="patch" permission: resourceclaims.resource.k8s.io is forbidden: User "${agent}" cannot patch resource "resourceclaims/binding" in API group "resource.k8s.io" at the cluster scope`,
  );
  await grant(agent, { verbs: ["patch"], apiGroups: [group], resources: ["resourceclaims/binding"] });
  assert.equal((await write("agent", { allocation })).status, 200);
  const devices = [{ ...device, conditions: [] }];
  assert.equal(
    (await write("agent", { devices })).body.message,
    `ResourceClaim.resource.k8s.io "a" is invalid: status.devices: Forbidden: changing status.devices requires resource="resourceclaims/driver", verb="[associated-node:patch arbitrary-node:patch]" permission: resourceclaims.resource.k8s.io "d.example.com" is forbidden: User "${agent}" cannot associated-node:patch resource "resourceclaims/driver" in API group "resource.k8s.io" in the namespace "default"`,
  );
  const driver = { apiGroups: [group], resources: ["resourceclaims/driver"], resourceNames: ["d.example.com"] };
  await grant(agent, { verbs: ["associated-node:patch"], ...driver });
  assert.equal((await write("agent", { devices })).status, 200);
});

const MERGE = { "content-type": "application/merge-patch+json" };

const CSR = `-----BEGIN CERTIFICATE REQUEST-----
MIHJMHACAQAwDjEMMAoGA1UEAwwDZXZlMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcD
QgAEQDTFxMNXo/g+Cug/uKQrnplh+ZiVSwdAwYrwGEpGhP0QrhmwjlMdn4K4L62b
OKa5syhmOQzDaMtX8ih9+LLxhqAAMAoGCCqGSM49BAMCA0kAMEYCIQD+W00JQA4o
UlhonVGaVqg47jOHCCSIcSJzdDh5d1E1kwIhAKHY7iqg9aHF9d3VcvAH0TB1uRB5
0INy7WgwS5ukzrAa
-----END CERTIFICATE REQUEST-----
`;
