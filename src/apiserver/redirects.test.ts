import assert from "node:assert/strict";
import { test } from "node:test";
import { nextCall } from "./redirects.ts";

const call = {
  options: { base: "https://a.example.com:8443" },
  request: {
    method: "POST",
    path: "/hook?timeout=2s",
    headers: { accept: "x", authorization: "Bearer t" },
    body: "{}",
  },
};

for (const [what, status, location, expected] of [
  ["no redirect is followed that says not where", 302, undefined, undefined],
  ["a success is the answer", 200, "/ok", undefined],
  ["what isn't modified is the answer", 304, "/ok", undefined],
  [
    "an older redirect is asked without a body",
    302,
    "/ok",
    ["https://a.example.com:8443", "GET", "/ok", undefined, "Bearer t"],
  ],
  [
    "a newer redirect is asked the same",
    307,
    "ok?x=y",
    ["https://a.example.com:8443", "POST", "/ok?x=y", "{}", "Bearer t"],
  ],
  [
    "another server isn't told who calls",
    308,
    "https://b.example.com/",
    ["https://b.example.com", "POST", "/", "{}", undefined],
  ],
] as const)
  test(what, () => {
    const next: any = nextCall(call, { status, headers: location === undefined ? {} : { location } });
    const { options, request } = next ?? {};
    const said = next && [options.base, request.method, request.path, request.body, request.headers.authorization];
    assert.deepEqual(said, expected);
  });
