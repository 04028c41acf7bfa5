import assert from "node:assert/strict";
import { test } from "node:test";
import { parseGoUrl } from "./go-url.ts";

test("a URL is taken apart as Go does it, and refused in Go's words", () => {
  for (const [text, parsed] of [
    ["https://u%20x:p@H:80/a?q#f", { scheme: "https", host: "H:80", user: "u%20x:p", query: "q", fragment: "f" }],
    ["HTTPS:opaque", { scheme: "https", host: "", user: undefined, query: "", fragment: "" }],
    ["//h", { scheme: "", host: "h", user: undefined, query: "", fragment: "" }],
    ["a\nb", 'parse "a\\nb": net/url: invalid control character in URL'],
    ["https://a:x/", 'parse "https://a:x/": invalid port ":x" after host'],
    ["https://a b/", 'parse "https://a b/": invalid character " " in host name'],
    ["https://[::1", `parse "https://[::1": missing ']' in host`],
    ["https://h/%zz", 'parse "https://h/%zz": invalid URL escape "%zz"'],
    ["a:b/:c", { scheme: "a", host: "", user: undefined, query: "", fragment: "" }],
    ["1:2", 'parse "1:2": first path segment in URL cannot contain colon'],
    [":x", 'parse ":x": missing protocol scheme'],
  ] as const)
    assert.deepEqual(parseGoUrl(text), parsed, text);
});
