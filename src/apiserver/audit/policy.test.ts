import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { requestInfo } from "../request-info.ts";
import { evaluator, parsePolicy } from "./policy.ts";

const HEAD = "apiVersion: audit.k8s.io/v1\nkind: Policy\n";

test("the first rule that matches says how much is noted", () => {
  const evaluate = evaluator(
    parsePolicy(`${HEAD}
omitStages: [RequestReceived]
rules:
- {level: None, users: ["system:kube-proxy"], verbs: [watch], resources: [{group: "", resources: [endpoints, services]}]}
- {level: None, userGroups: ["system:authenticated"], nonResourceURLs: ["/api*", /version]}
- {level: Request, resources: [{group: "", resources: [configmaps]}], namespaces: [kube-system]}
- {level: Metadata, resources: [{group: "", resources: [secrets, "*/status"]}], omitStages: [Panic], omitManagedFields: true}
- {level: RequestResponse, resources: [{group: apps, resources: [deployments/*]}]}
- {level: None, resources: [{group: "", resources: [pods], resourceNames: [quiet]}]}
- {level: Metadata, resources: [{group: "*", resources: ["*"]}]}
`),
  );
  const bob = { name: "bob", groups: ["system:authenticated"] };
  const proxy = { name: "system:kube-proxy", groups: [] };
  for (const [who, method, url, level] of [
    [proxy, "GET", "/api/v1/endpoints?watch=1", "None"],
    [proxy, "GET", "/api/v1/endpoints", "Metadata"],
    [bob, "GET", "/apis", "None"],
    [bob, "GET", "/version", "None"],
    [proxy, "GET", "/version", "None"],
    [bob, "GET", "/api/v1/namespaces/kube-system/configmaps/a", "Request"],
    [bob, "GET", "/api/v1/namespaces/default/configmaps/a", "Metadata"],
    [bob, "GET", "/api/v1/namespaces/default/secrets", "Metadata"],
    [bob, "PUT", "/apis/apps/v1/namespaces/default/deployments/a/status", "RequestResponse"],
    [bob, "PUT", "/apis/apps/v1/namespaces/default/deployments/a", "RequestResponse"],
    [bob, "GET", "/api/v1/namespaces/default/pods/quiet", "None"],
    [bob, "GET", "/api/v1/namespaces/default/pods/loud", "Metadata"],
    [undefined, "GET", "/healthz", "None"],
  ] as const) {
    const [path, search] = url.split("?");
    const info = requestInfo(method, path!, new URLSearchParams(search));
    assert.equal(evaluate(info, who).level, level, `${who?.name} ${method} ${url}`);
  }
  const secrets = evaluate(requestInfo("GET", "/api/v1/secrets", new URLSearchParams()), bob);
  assert.deepEqual([[...secrets.omitStages].sort(), secrets.omitManagedFields], [["Panic", "RequestReceived"], true]);
});

interface Row {
  readonly name: string;
  readonly file: string;
  readonly words: string;
}
const rows = readFileSync(new URL("./policy.rows.jsonl", import.meta.url), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Row);

/** What a genuine kube-apiserver 1.36.2 says of each file as it ends. */
test("a policy that makes no sense is refused in upstream's words", () => {
  assert.ok(rows.length > 35);
  for (const { name, file, words } of rows) assert.throws(() => parsePolicy(file), { message: words }, name);
});

test("a policy needn't say its kind, and what it says that nobody knows is told and stops nothing", () => {
  const told: string[] = [];
  const policy = parsePolicy("apiVersion: audit.k8s.io/v1\nrules: [{level: Request, colour: red}]\n", (what) =>
    told.push(what),
  );
  assert.deepEqual(policy.rules, [{ level: "Request" }]);
  assert.deepEqual(told, [
    'Audit policy contains errors, falling back to lenient decoding: strict decoding error: unknown field "rules[0].colour"',
  ]);
});
