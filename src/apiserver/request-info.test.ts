import assert from "node:assert/strict";
import { test } from "node:test";
import { requestInfo } from "./request-info.ts";

/** `METHOD /path` to `verb group/version namespace resource/subresource name`, with `-` for what is empty. */
const TABLE: Readonly<Record<string, string>> = {
  "GET /api/v1/namespaces": "list /v1 - namespaces -",
  "GET /api/v1/namespaces/a": "get /v1 a namespaces a",
  "PUT /api/v1/namespaces/a/finalize": "update /v1 a namespaces/finalize a",
  "GET /api/v1/namespaces/a/pods": "list /v1 a pods -",
  "GET /api/v1/namespaces/a/pods?watch=true": "watch /v1 a pods -",
  "GET /api/v1/namespaces/a/pods?watch=false": "list /v1 a pods -",
  "GET /api/v1/namespaces/a/pods?fieldSelector=metadata.name%3Dp": "list /v1 a pods p",
  "GET /api/v1/namespaces/a/pods/p": "get /v1 a pods p",
  "GET /api/v1/namespaces/a/pods/p/log": "get /v1 a pods/log p",
  "POST /api/v1/namespaces/a/pods/p/binding": "create /v1 a pods/binding p",
  "GET /api/v1/pods": "list /v1 - pods -",
  "GET /api/v1/watch/pods": "watch /v1 - pods -",
  "GET /api/v1/watch/namespaces/a/pods/p": "watch /v1 a pods p",
  "GET /api/v1/nodes/n/proxy/metrics": "get /v1 - nodes/proxy n",
  "DELETE /api/v1/namespaces/a/pods": "deletecollection /v1 a pods -",
  "DELETE /api/v1/namespaces/a/pods/p": "delete /v1 a pods p",
  "PATCH /apis/apps/v1/namespaces/a/deployments/d/scale": "patch apps/v1 a deployments/scale d",
  "HEAD /apis/apps/v1/deployments": "list apps/v1 - deployments -",
  "POST /apis/rbac.authorization.k8s.io/v1/clusterroles": "create rbac.authorization.k8s.io/v1 - clusterroles -",
};

for (const [request, expected] of Object.entries(TABLE))
  test(`${request} is ${expected}`, () => {
    const [method, url] = request.split(" ") as [string, string];
    const { pathname, searchParams } = new URL(url, "http://x");
    const info = requestInfo(method, pathname, searchParams);
    const resource = info.subresource === "" ? info.resource : `${info.resource}/${info.subresource}`;
    const shown = [`${info.apiGroup}/${info.apiVersion}`, info.namespace || "-", resource, info.name || "-"];
    assert.equal([info.verb, ...shown].join(" "), expected);
    assert.equal(info.isResourceRequest, true);
  });

test("paths of no resource have the method as their verb", () => {
  for (const path of ["/", "/healthz", "/api", "/api/v1", "/apis/apps/v1", "/openapi/v2"]) {
    const info = requestInfo("GET", path, new URLSearchParams());
    assert.equal(info.isResourceRequest, false, path);
    assert.equal(info.verb, "get");
  }
});
