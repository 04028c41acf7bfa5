import assert from "node:assert/strict";
import { test } from "node:test";
import type { RequestInfo } from "../request-info.ts";
import { withLinks } from "./links.ts";
import { rest } from "./proxy.ts";

const behind = (path: string, namespace: string, query = "") =>
  rest({ path, query: new URLSearchParams(query), info: { namespace } as unknown as RequestInfo });

test("what is behind `proxy` is asked for, whatever is called proxy before it", () => {
  const service = "/api/v1/namespaces/proxy-1/services/proxy-service:http/proxy";
  assert.equal(behind(`${service}/`, "proxy-1"), "/");
  assert.equal(behind(service, "proxy-1"), "/");
  assert.equal(behind(`${service}/a/proxy/b/`, "proxy-1", "c=d"), "/a/proxy/b/?c=d");
  assert.equal(behind("/api/v1/nodes/proxy/proxy/logs/", ""), "/logs/");
});

test("links within a page lead below the proxy", () => {
  const prefix = "/api/v1/namespaces/n/pods/p/proxy";
  const proxy = { prefix, hosts: ["10.0.0.1:80"], own: "api" };
  assert.equal(withLinks(`<a class="/x" href='/a/'>`, proxy), `<a class="/x" href="${prefix}/a/">`);
  assert.equal(withLinks(`<img src="http://10.0.0.1:80/b">`, proxy), `<img src="${prefix}/b">`);
  for (const link of ["b", "//host/b", "https://host/b", `${prefix}/b`])
    assert.equal(withLinks(`<img src="${link}">`, proxy), `<img src="${link}">`);
});
