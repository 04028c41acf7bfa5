/** With a real service over HTTPS. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { pods } from "../../../api/core/v1/pod/resource.ts";
import { selfSigned, signed } from "../../../cli/certificates.ts";
import { StatusError } from "../../../machinery/status.ts";
import { nodeWorld } from "../../../world/node/index.ts";
import { startServer } from "../../testing/harness.ts";

const world = nodeWorld();
const ca = await selfSigned(world, "ca");
const pair = await signed(world, ca, { commonName: "images", addresses: ["127.0.0.1"], usages: ["server"] });

test("a pod runs the images that the service lets it, and is asked for once in a while only", async () => {
  const asked: any[] = [];
  await using listener = await world.net.serveHttp(
    { host: "127.0.0.1", port: 0, tls: { cert: pair.cert, key: pair.key } },
    async (exchange) => {
      const chunks: Uint8Array[] = [];
      for await (const chunk of exchange.request.body) chunks.push(chunk);
      const review = JSON.parse(Buffer.concat(chunks).toString());
      asked.push({ ...review.spec, authorization: exchange.request.headers["authorization"] });
      const bad = review.spec.containers.some(({ image }: { readonly image: string }) => image.startsWith("evil"));
      const status = bad ? { allowed: false, reason: "evil" } : { allowed: true };
      exchange.respond(200, { "content-type": "application/json" }, JSON.stringify({ ...review, status }));
    },
  );
  const plugin = (target: string, settings: object = {}) => ({
    enableAdmissionPlugins: ["ImagePolicyWebhook"],
    disableAdmissionPlugins: ["ServiceAccount"],
    admission: {
      plugins: new Map([
        [
          "ImagePolicyWebhook",
          {
            configuration: { imagePolicy: { retryBackoff: 1, ...settings } },
            target: { server: target, tls: { ca: ca.cert }, token: "secret" },
          },
        ],
      ]),
    },
  });
  const pod = (name: string, image: string) => ({
    metadata: {
      name,
      namespace: "default",
      annotations: { "mine.image-policy.k8s.io/break-glass": "yes", other: "x" },
    },
    spec: { containers: [{ name: "c", image }] },
  });
  const answer = (promise: Promise<unknown>) =>
    promise.then(
      () => "yes",
      (error: unknown) => (error instanceof StatusError ? error.message : String(error)),
    );
  {
    await using harness = await startServer(world, plugin(`https://127.0.0.1:${listener.address.port}/images`));
    const client = harness.client();
    assert.equal(await answer(client.create(pods, pod("a", "good"))), "yes");
    assert.equal(await answer(client.create(pods, pod("b", "good"))), "yes");
    assert.equal(
      await answer(client.create(pods, pod("c", "evil/one"))),
      'pods "c" is forbidden: image policy webhook backend denied one or more images: evil',
    );
    assert.deepEqual(
      asked.map(({ containers, namespace, annotations, authorization }) => [
        containers[0].image,
        namespace,
        annotations,
        authorization,
      ]),
      ["good", "evil/one"].map((image) => [
        image,
        "default",
        { "mine.image-policy.k8s.io/break-glass": "yes" },
        "Bearer secret",
      ]),
    );
  }
  const nobody = "https://127.0.0.1:1/";
  {
    await using harness = await startServer(world, plugin(nobody));
    assert.match(await answer(harness.client().create(pods, pod("a", "good"))), /^pods "a" is forbidden: Post "https:/);
  }
  await using harness = await startServer(world, plugin(nobody, { defaultAllow: true }));
  assert.equal(await answer(harness.client().create(pods, pod("a", "good"))), "yes");
});
