import assert from "node:assert/strict";
import { test } from "node:test";
import type { ConfigMap, Secret } from "../../api/generated/core.v1.ts";
import { configMaps, secrets } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { tokenCleanerController } from "./cleaner.ts";
import { bootstrapSignerController } from "./signer.ts";
import { signatureOf } from "./tokens.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");
const token = (id: string, data: Readonly<Record<string, string>> = {}) => ({
  metadata: { name: `bootstrap-token-${id}`, namespace: "kube-system" },
  type: "bootstrap.kubernetes.io/token",
  data: Object.fromEntries(
    Object.entries({
      "token-id": id,
      "token-secret": "0123456789abcdef",
      "usage-bootstrap-signing": "true",
      ...data,
    }).map(([key, value]) => [key, base64(value)]),
  ),
});

test("a signature is upstream's, byte for byte", () => {
  const text = "Hello from the other side. I must have called a thousand times.";
  assert.equal(
    signatureOf(text, { id: "joshua", secret: "my voice is my passcode" }),
    "eyJhbGciOiJIUzI1NiIsImtpZCI6Impvc2h1YSJ9..VShe2taLd-YTrmWuRkcL_8QTNDHYxQIEBsAYYiIj1_8",
  );
});

test("cluster-info is signed with the tokens that may, until their time is over", async () => {
  await using world = controllerWorld([bootstrapSignerController, tokenCleanerController]);
  const { client, server, clock } = world;
  const signers = () =>
    Object.keys(server.get<ConfigMap>(configMaps, "kube-public/cluster-info")?.data ?? {})
      .filter((key) => key !== "kubeconfig")
      .map((key) => key.replace("jws-kubeconfig-", ""))
      .sort();
  await client.create(secrets, token("aaaaaa"));
  await client.create(secrets, token("bbbbbb", { "usage-bootstrap-signing": "false" }));
  await client.create(secrets, token("cccccc", { "token-id": "dddddd" }));
  await client.create(secrets, token("eeeeee", { expiration: new Date(clock.now() + 60_000).toISOString() }));
  await client.create(secrets, token("ffffff", { expiration: "tomorrow" }));
  const old = { kubeconfig: "x", "jws-kubeconfig-zzzzzz": "gone" };
  await client.create(configMaps, { metadata: { name: "cluster-info", namespace: "kube-public" }, data: old });
  await world.settle();
  assert.deepEqual(signers(), ["aaaaaa", "eeeeee"]);
  assert.equal(server.get(secrets, "kube-system/bootstrap-token-ffffff"), undefined);
  await world.settle(61_000);
  assert.deepEqual(signers(), ["aaaaaa"]);
  assert.deepEqual(
    server.objects<Secret>(secrets).map(({ metadata }) => metadata.name.slice(-6)),
    ["aaaaaa", "bbbbbb", "cccccc"],
  );
});
