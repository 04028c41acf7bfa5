/** The client over real TLS and HTTP/2 to the real API server. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startServer } from "../../src/apiserver/testing/harness.ts";
import { ensurePki } from "../../src/cli/pki.ts";
import { createClient } from "../../src/client/create-client.ts";
import { discover } from "../../src/client/discovery.ts";
import { httpsTransport, type HttpsTransportOptions } from "../../src/client/https.ts";
import { createInformers } from "../../src/client/informer/informers.ts";
import { configMaps, deployments, pods } from "../../src/client/resources.ts";
import { createControllerManager } from "../../src/controllers/manager.ts";
import { hasReason } from "../../src/machinery/status.ts";
import { silent } from "../../src/observe/log.ts";
import { simulatedWorld } from "../../src/testing/sim/world.ts";
import { machineWorld } from "../../src/cli/world.ts";

const world = machineWorld();

async function start() {
  // Keys stay in memory; their dates are of this day.
  const pki = await ensurePki({ ...simulatedWorld(1), clock: world.clock }, "/pki", [], []);
  const { cert, key } = pki.apiserver;
  const staticTokens = new Map([["secret", { name: "reader", groups: ["system:masters"] }]]);
  const harness = await startServer(world, {
    secure: { bindAddress: "127.0.0.1", port: 0, cert, key, clientCa: pki.ca.cert },
    staticTokens,
  });
  const server = `https://127.0.0.1:${harness.server.address!.port}`;
  const connect = (options: Partial<HttpsTransportOptions>) =>
    httpsTransport(world, { server, ca: pki.ca.cert, ...options });
  const transport = connect({ cert: pki.admin.cert, key: pki.admin.key, userAgent: "tester/v1" });
  return {
    pki,
    connect,
    transport,
    client: createClient(transport),
    async [Symbol.asyncDispose]() {
      await transport.close();
      await harness[Symbol.asyncDispose]();
    },
  };
}
const at = { namespace: "default", name: "a" };

test("objects travel both ways, frozen, with their types also in lists, and errors keep their reason", async () => {
  await using cluster = await start();
  const { client } = cluster;
  const created = await client.create(configMaps, { metadata: at, data: { k: "ü" } });
  assert.ok(Object.isFrozen(created.data));
  assert.equal(created.metadata.managedFields?.[0]?.manager, "tester");
  const { items } = await client.list(configMaps, { namespace: "default", fieldSelector: "metadata.name=a" });
  assert.deepEqual(
    items.map(({ kind, apiVersion, data }) => [kind, apiVersion, data?.["k"]]),
    [["ConfigMap", "v1", "ü"]],
  );
  const patched = await client.patch(configMaps, at, "application/merge-patch+json", { data: { k: null } });
  assert.equal(patched.data?.["k"], undefined);
  await assert.rejects(client.update(configMaps, created), (error) => hasReason(error, "Conflict"));
  await client.delete(configMaps, at, { preconditions: { uid: created.metadata.uid } });
  await assert.rejects(
    client.get(configMaps, at),
    (error) => hasReason(error, "NotFound") && error.message === 'configmaps "a" not found',
  );
  const { resources, failed } = await discover(client);
  assert.ok(
    resources.some(
      ({ plural, scope, verbs }) => plural === "deployments" && scope === "Namespaced" && verbs.includes("watch"),
    ),
  );
  assert.equal(failed.size, 0);
});

test("an informer follows over the wire", async () => {
  await using cluster = await start();
  const { client } = cluster;
  const stop = new AbortController();
  const informers = createInformers({ client, clock: world.clock, random: world.random, log: silent });
  const informer = informers.of(configMaps, { namespace: "default" });
  const running = informers.run(stop.signal, () => {});
  await informer.waitForSync(stop.signal);
  const seen = new Promise<void>(
    (resolve) => void informer.subscribe({ add: ({ metadata }) => metadata.name === "a" && resolve() }),
  );
  await client.create(configMaps, { metadata: at });
  await seen;
  assert.equal(informer.get("default/a")?.kind, "ConfigMap");
  stop.abort();
  await running;
});

test("tokens are users too, strangers are refused, and a server that is away is told as unavailable", async () => {
  await using cluster = await start();
  const reader = cluster.connect({ token: () => "secret" });
  await createClient(reader).list(pods, { namespace: "default" });
  const stranger = cluster.connect({ token: "wrong" });
  await assert.rejects(createClient(stranger).list(pods), (error) => hasReason(error, "Unauthorized"));
  const nobody = cluster.connect({ server: "https://127.0.0.1:1" });
  await assert.rejects(createClient(nobody).list(pods), (error) => hasReason(error, "ServiceUnavailable"));
  for (const transport of [reader, stranger, nobody]) await transport.close();
});

test("controllers work over the wire as they do in process", async () => {
  await using cluster = await start();
  const { client } = cluster;
  const stop = new AbortController();
  const manager = createControllerManager({ world, client, log: silent, rootCa: cluster.pki.ca.cert });
  const running = manager.run(stop.signal, () => {});
  const labels = { app: "web" };
  await client.create(deployments, {
    metadata: at,
    spec: {
      replicas: 2,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: "c", image: "x" }] } },
    },
  });
  let count = 0;
  for await (const { type } of client.watch(pods, { namespace: "default", resourceVersion: "0" })) {
    if (type === "ADDED") count++;
    if (count === 2) break;
  }
  stop.abort();
  await running;
});
