import assert from "node:assert/strict";
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

test("a policy that makes no sense is refused in upstream's words", () => {
  for (const [text, words] of [
    ["", "failed decoding: Object 'Kind' is missing"],
    [
      "apiVersion: audit.k8s.io/v1beta1\nkind: Policy\nrules: [{level: None}]",
      'failed decoding: no kind "Policy" is registered for version "audit.k8s.io/v1beta1" in scheme',
    ],
    [HEAD, "loaded illegal policy with 0 rules"],
    [`${HEAD}rules: [{}]`, "rules[0].level: Required value"],
    [
      `${HEAD}rules: [{level: All}]`,
      'rules[0].level: Unsupported value: "All": supported values: "None", "Metadata", "Request", "RequestResponse"',
    ],
    [
      `${HEAD}rules: [{level: None, nonResourceURLs: [healthz]}]`,
      `rules[0].nonResourceURLs[0]: Invalid value: "healthz": non-resource URL rules must begin with a '/' character`,
    ],
    [
      `${HEAD}rules: [{level: None, nonResourceURLs: ["/a*b"]}]`,
      `rules[0].nonResourceURLs[0]: Invalid value: "/a*b": non-resource URL wildcards '*' must be the final character of the rule`,
    ],
    [
      `${HEAD}omitStages: [Never]\nrules: [{level: None}]`,
      'omitStages[0]: Invalid value: "Never": allowed stages are RequestReceived,ResponseStarted,ResponseComplete,Panic',
    ],
    [
      `${HEAD}rules: [{level: None, resources: [{group: "", resourceNames: [a]}]}]`,
      'rules[0].resources.resourceNames: Invalid value: ["a"]: using resourceNames requires at least one resource',
    ],
    [
      `${HEAD}rules: [{level: None, nonResourceURLs: [/a], namespaces: [b]}]`,
      'rules[0].nonResourceURLs: Invalid value: ["/a"]: rules cannot apply to both regular resources and non-resource URLs',
    ],
  ] as const)
    assert.throws(() => parsePolicy(text), { message: words }, text);
});
