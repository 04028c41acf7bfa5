import assert from "node:assert/strict";
import { test } from "node:test";
import type { Net } from "../world/net.ts";
import type { Clock, Random } from "../world/world.ts";
import { reviewClient } from "./review-client.ts";

const sar = (version: string) => ({ apiVersion: `authorization.k8s.io/${version}`, kind: "SubjectAccessReview" });

/** What a webhook answers with 200, and what kube-apiserver 1.36.2 says of it; nothing where it is good. */
const answers: readonly (readonly [string, string | undefined])[] = [
  [JSON.stringify({ ...sar("v1"), status: { allowed: true } }), undefined],
  ["{}", undefined],
  ["", "0-length response with status code: 200 and content type: text/plain"],
  [
    "{nojson",
    "couldn't get version/kind; json parse error: invalid character 'n' looking for beginning of object key string",
  ],
  [
    JSON.stringify({ apiVersion: "v1", kind: "Pod" }),
    "converting (v1.Pod) to (v1.SubjectAccessReview): unknown conversion",
  ],
  [
    JSON.stringify(sar("v1beta1")),
    "converting (v1beta1.SubjectAccessReview) to (v1.SubjectAccessReview): unknown conversion",
  ],
];
for (const [body, error] of answers)
  test(`a webhook that answers ${JSON.stringify(body)}: ${error ?? "is understood"}`, async () => {
    const asked: any[] = [];
    const net = {
      httpClient: () => ({
        async request(request: unknown) {
          asked.push(request);
          const chunks = (async function* () {
            yield Buffer.from(body);
          })();
          return { status: 200, headers: { "content-type": "text/plain" }, body: chunks };
        },
      }),
    } as unknown as Net;
    const clock = { monotonic: () => 0, after: () => ({ [Symbol.dispose]: () => {} }) } as unknown as Clock;
    const target = { server: "https://hook/authorize?timeout=5s", tls: {} };
    const client = reviewClient(target, { net, clock, random: {} as Random }, 3000);
    const result = await client.review(sar("v1"));
    assert.equal("error" in result ? result.error : undefined, error);
    assert.equal(asked[0].path, "/authorize?timeout=3s");
    assert.equal(asked[0].headers.accept, "application/json, */*");
  });
