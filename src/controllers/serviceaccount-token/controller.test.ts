import assert from "node:assert/strict";
import { createHash, createPublicKey, generateKeyPairSync, verify } from "node:crypto";
import { test } from "node:test";
import type { Secret } from "../../api/generated/core.v1.ts";
import { configMaps, namespaces, secrets, serviceAccounts } from "../../client/resources.ts";
import { controllerWorld } from "../../testing/controllers.ts";
import { rootCaPublisher } from "../root-ca-certificate-publisher/controller.ts";
import { serviceAccountController } from "../serviceaccount/controller.ts";
import { serviceAccountTokenController } from "./controller.ts";

const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
const key = privateKey.export({ type: "pkcs8", format: "pem" }) as string;
const decode = (part: string | undefined) =>
  JSON.parse(Buffer.from(part ?? "", "base64url").toString()) as Record<string, string>;
const tokenSecret = {
  metadata: { name: "t", namespace: "default", annotations: { "kubernetes.io/service-account.name": "robot" } },
  type: "kubernetes.io/service-account-token",
};

test("a token secret is filled with a token that verifies", async () => {
  await using world = controllerWorld([serviceAccountTokenController], {
    options: { "service-account-key": key, "root-ca": "CA" },
  });
  const account = world.server.put(serviceAccounts, { metadata: { name: "robot", namespace: "default" } });
  world.server.put(secrets, tokenSecret);
  await world.clock.until(() => world.server.get<Secret>(secrets, "default/t")?.data?.["token"] !== undefined, 10_000);
  const secret = world.server.get<Secret>(secrets, "default/t")!;
  const text = (field: string) => Buffer.from(secret.data![field]!, "base64").toString();
  assert.equal(text("ca.crt"), "CA");
  assert.equal(text("namespace"), "default");
  assert.equal(secret.metadata.annotations!["kubernetes.io/service-account.uid"], account.metadata.uid);
  const [header, claims, signature] = text("token").split(".");
  assert.equal(decode(header)["alg"], "ES256");
  const der = createPublicKey(privateKey).export({ type: "spki", format: "der" });
  assert.equal(decode(header)["kid"], createHash("sha256").update(der).digest("base64url"));
  assert.equal(decode(claims)["sub"], "system:serviceaccount:default:robot");
  const signed = Buffer.from(`${header}.${claims}`);
  assert.ok(
    verify("sha256", signed, { key: publicKey, dsaEncoding: "ieee-p1363" }, Buffer.from(signature!, "base64url")),
  );
});

test("a token secret goes with its account, and one without an account goes at once", async () => {
  await using world = controllerWorld([serviceAccountTokenController], { options: { "service-account-key": key } });
  world.server.put(serviceAccounts, { metadata: { name: "robot", namespace: "default" } });
  world.server.put(secrets, tokenSecret);
  await world.settle();
  await world.client.delete(serviceAccounts, { namespace: "default", name: "robot" });
  await world.clock.until(() => world.server.objects(secrets).length === 0, 10_000);
  world.server.put(secrets, tokenSecret);
  await world.clock.until(() => world.server.objects(secrets).length === 0, 10_000);
});

test("every active namespace has a default account and the root CA, also after someone took them away", async () => {
  await using world = controllerWorld([serviceAccountController, rootCaPublisher], { options: { "root-ca": "CA" } });
  world.server.put(namespaces, { metadata: { name: "a" }, status: { phase: "Active" } });
  const there = () =>
    world.server.get(serviceAccounts, "a/default") !== undefined &&
    world.server.get(configMaps, "a/kube-root-ca.crt") !== undefined;
  await world.clock.until(there, 1000);
  await world.client.delete(serviceAccounts, { namespace: "a", name: "default" });
  await world.client.patch(configMaps, { namespace: "a", name: "kube-root-ca.crt" }, "application/merge-patch+json", {
    data: { "ca.crt": "other", x: "y" },
  });
  await world.settle();
  assert.ok(there());
  assert.deepEqual(world.server.get(configMaps, "a/kube-root-ca.crt")!["data" as "metadata"], { "ca.crt": "CA" });
});
