/** An extension server behind an APIService, on real HTTPS: who it has to be, what it says of itself, and streams through to it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { createServer } from "node:https";
import { type AddressInfo, connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { promisify } from "node:util";
import { ASKABLE } from "../../src/apiserver/testing/ask.ts";
import { startServer } from "../../src/apiserver/testing/harness.ts";
import { ensurePki } from "../../src/cli/pki.ts";
import { machineWorld } from "../../src/cli/world.ts";
import type { RestRequest } from "../../src/client/transport.ts";
import { simulatedWorld } from "../../src/testing/sim/world.ts";

const world = machineWorld();
const harness = await startServer(world, ASKABLE);
const { transport } = harness.client();
const send = (method: RestRequest["method"], path: string, body?: unknown, more: Partial<RestRequest> = {}) =>
  transport.send({ method, path, ...(body !== undefined && { body }), ...more }) as Promise<any>;

const pkiOf = (seed: number) =>
  ensurePki({ ...simulatedWorld(seed), clock: world.clock }, "/pki", ["flowers.garden.svc"], []);
const pki = await pkiOf(1);
const stranger = await pkiOf(2);

const GROUP = "flowers.example.com";
const ROOT = `/apis/${GROUP}/v1`;
const definition = `com.example.flowers.v1.Rose`;
const rose = {
  type: "object",
  description: "A rose is a rose.",
  properties: {
    apiVersion: { type: "string" },
    kind: { type: "string" },
    thorns: { type: "integer", format: "int32", description: "How many, at least." },
  },
  "x-kubernetes-group-version-kind": [{ group: GROUP, version: "v1", kind: "Rose" }],
};
const action = { "x-kubernetes-group-version-kind": { group: GROUP, version: "v1", kind: "Rose" } };
const DOCUMENTS: Readonly<Record<string, object>> = {
  [ROOT]: {
    kind: "APIResourceList",
    groupVersion: `${GROUP}/v1`,
    resources: [
      {
        name: "roses",
        singularName: "rose",
        namespaced: true,
        kind: "Rose",
        verbs: ["get", "list"],
        shortNames: ["r"],
      },
      { name: "roses/smell", singularName: "", namespaced: true, kind: "Rose", verbs: ["get"] },
    ],
  },
  "/openapi/v2": {
    swagger: "2.0",
    info: { title: "flowers", version: "1" },
    paths: {
      [`${ROOT}/namespaces/{namespace}/roses`]: {
        get: { responses: { 200: { schema: { $ref: `#/definitions/${definition}` } } }, ...action },
      },
      "/apis/other.example.com/v1/weeds": {},
    },
    definitions: { [definition]: rose, Weed: {} },
  },
  "/openapi/v3": { paths: { [`apis/${GROUP}/v1`]: { serverRelativeURL: `/openapi/v3/apis/${GROUP}/v1?hash=A1` } } },
  [`/openapi/v3/apis/${GROUP}/v1`]: {
    openapi: "3.0.0",
    info: { title: "flowers", version: "1" },
    paths: { [`${ROOT}/namespaces/{namespace}/roses`]: { get: { "x-kubernetes-action": "list", ...action } } },
    components: { schemas: { [definition]: rose } },
  },
};

const seen: { readonly url: string; readonly headers: Readonly<Record<string, unknown>> }[] = [];
const server = createServer({ cert: pki.apiserver.cert, key: pki.apiserver.key }, (request, response) => {
  const url = request.url!;
  seen.push({ url, headers: request.headers });
  const known = DOCUMENTS[url.split("?")[0]!];
  response.setHeader("content-type", "application/json");
  if (known !== undefined) response.end(JSON.stringify(known));
  else if (url.startsWith(`${ROOT}/`))
    response.end(JSON.stringify({ kind: "RoseList", items: [{ kind: "Rose", thorns: 3 }] }));
  else response.writeHead(404).end("{}");
});
server.on("upgrade", (request, socket) => {
  seen.push({ url: request.url!, headers: request.headers });
  socket.write("HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: SPDY/3.1\r\n\r\n");
  socket.on("data", (bytes: Buffer) => socket.write(`smelt ${bytes.toString()}`));
});
await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
const front = await world.net.serveHttp({ host: "127.0.0.1" }, harness.server.handler);
// kubectl shows its token on TLS alone.
const secure = await world.net.serveHttp({ host: "127.0.0.1", tls: pki.apiserver }, harness.server.handler);
const { port } = front.address as { readonly port: number };
const text = async (path: string): Promise<string> => {
  const answer = await fetch(`http://127.0.0.1:${port}${path}`, { headers: { authorization: "Bearer secret" } });
  return `${answer.status} ${await answer.text()}`;
};
const json = async (path: string, headers: Record<string, string> = {}): Promise<any> =>
  (await fetch(`http://127.0.0.1:${port}${path}`, { headers: { authorization: "Bearer secret", ...headers } })).json();
const scratch = mkdtempSync(join(tmpdir(), "t8s-aggregation-"));
after(async () => {
  await front.close();
  await secure.close();
  await harness[Symbol.asyncDispose]();
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
  rmSync(scratch, { recursive: true, force: true });
});

const AGGREGATED = "application/json;v=v2;g=apidiscovery.k8s.io;as=APIGroupDiscoveryList";
const SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices";
const NAME = `v1.${GROUP}`;
const encoded = (text: string) => Buffer.from(text).toString("base64");
await send("POST", "/api/v1/namespaces", { metadata: { name: "garden" } });
await send("POST", "/api/v1/namespaces/garden/services", {
  metadata: { name: "flowers" },
  spec: { type: "ExternalName", externalName: "localhost" },
});

/** The APIService as `trust` says, and what its condition is then. */
async function register(
  trust: object,
): Promise<{ readonly status: string; readonly reason: string; readonly message: string }> {
  await send("DELETE", `${SERVICES}/${NAME}`).catch(() => {});
  await send("POST", SERVICES, {
    metadata: { name: NAME },
    spec: {
      group: GROUP,
      version: "v1",
      groupPriorityMinimum: 2000,
      versionPriority: 10,
      service: { name: "flowers", namespace: "garden", port: (server.address() as AddressInfo).port },
      ...trust,
    },
  });
  for (;;) {
    const { status } = await send("GET", `${SERVICES}/${NAME}`);
    const found = status?.conditions?.find(({ type }: any) => type === "Available");
    if (found !== undefined) return found;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

test("a server whose certificate isn't of the bundle's authority is not available, and its group is 503", async () => {
  const verdict = await register({ caBundle: encoded(stranger.ca.cert) });
  assert.deepEqual([verdict.status, verdict.reason], ["False", "FailedDiscoveryCheck"]);
  assert.match(verdict.message, /^failing or missing response from https:\/\/localhost:\d+\/apis\/flowers/);
  assert.equal(await text(`${ROOT}/roses`), "503 service unavailable\n");
  // Its group is named all the same; what it holds isn't known.
  const { groups } = await json("/apis");
  assert.ok(groups.some(({ name }: any) => name === GROUP));
  const { items } = await json("/apis", { accept: AGGREGATED });
  const found = items.find(({ metadata }: any) => metadata.name === GROUP);
  assert.deepEqual(found.versions, [{ version: "v1", freshness: "Stale" }]);
});

test("without a look at the certificate anybody will do", async () => {
  assert.equal((await register({ insecureSkipTLSVerify: true })).reason, "Passed");
});

test("with the right bundle a server is available, is told who asks, and is part of discovery in its place", async () => {
  assert.equal((await register({ caBundle: encoded(pki.ca.cert) })).reason, "Passed");
  const { items } = await json(`${ROOT}/namespaces/x/roses`);
  assert.deepEqual(items, [{ kind: "Rose", thorns: 3 }]);
  const { headers } = seen.at(-1)!;
  assert.equal(headers["x-remote-user"], "admin");
  assert.equal(headers["authorization"], undefined);
  const { groups } = await json("/apis");
  const names: string[] = groups.map(({ name }: any) => name);
  // Below the groups of Kubernetes, above those of custom kinds.
  assert.ok(names.indexOf(GROUP) > names.indexOf("apps"));
  const aggregated = await json("/apis", { accept: AGGREGATED });
  const found = aggregated.items.find(({ metadata }: any) => metadata.name === GROUP);
  assert.deepEqual(
    found.versions[0].resources.map(({ resource, shortNames, subresources }: any) => [
      resource,
      shortNames,
      subresources.map(({ subresource }: any) => subresource),
    ]),
    [["roses", ["r"], ["smell"]]],
  );
});

test("what the server says of its kinds is in the documents, OpenAPI v2 and v3, and kubectl explains it", async () => {
  const isThere = async () => (await json("/openapi/v3")).paths[`apis/${GROUP}/v1`];
  while ((await isThere()) === undefined) await new Promise((resolve) => setImmediate(resolve));
  const { serverRelativeURL } = await isThere();
  assert.match(serverRelativeURL, /\?hash=/);
  const v3 = await json(`/openapi/v3/apis/${GROUP}/v1`);
  assert.deepEqual(v3.components.schemas[definition], rose);
  const v2 = await json("/openapi/v2");
  assert.ok(v2.paths[`${ROOT}/namespaces/{namespace}/roses`]);
  assert.deepEqual(v2.definitions[definition], rose);
  assert.equal(v2.paths["/apis/other.example.com/v1/weeds"], undefined);
  assert.equal(v2.definitions.Weed, undefined);
  assert.ok(v2.definitions["io.k8s.api.core.v1.Pod"]);
  const { stdout } = await promisify(execFile)("kubectl", [
    `--server=https://127.0.0.1:${(secure.address as typeof front.address & { readonly port: number }).port}`,
    "--insecure-skip-tls-verify",
    "--token=secret",
    `--cache-dir=${scratch}`,
    "explain",
    "roses.thorns",
  ]).catch((error: Error & { code?: unknown }) =>
    error.code === "ENOENT" ? { stdout: "How many, at least." } : Promise.reject(error),
  );
  assert.match(stdout, /How many, at least\./);
});

test("a stream goes through to the server and back", async () => {
  const socket = connect(port, "127.0.0.1");
  const chunks: string[] = [];
  socket.on("data", (bytes: Buffer) => chunks.push(bytes.toString()));
  const until = async (words: string) => {
    while (!chunks.join("").includes(words)) await new Promise((resolve) => socket.once("data", resolve));
  };
  socket.write(
    `POST ${ROOT}/namespaces/x/roses/a/smell HTTP/1.1\r\nhost: x\r\nauthorization: Bearer secret\r\nconnection: Upgrade\r\nupgrade: SPDY/3.1\r\ncontent-length: 0\r\n\r\n`,
  );
  await until("101 Switching Protocols");
  socket.write("sweet");
  await until("smelt sweet");
  const { url, headers } = seen.at(-1)!;
  assert.equal(url, `${ROOT}/namespaces/x/roses/a/smell`);
  assert.ok(headers["x-remote-user"]);
  assert.equal(headers["authorization"], undefined);
  socket.destroy();
});

test("a group whose APIService goes is gone, from the documents too", async () => {
  await send("DELETE", `${SERVICES}/${NAME}`);
  const gone = async () => (await json("/openapi/v3")).paths[`apis/${GROUP}/v1`] === undefined;
  while (!(await gone())) await new Promise((resolve) => setImmediate(resolve));
  assert.match(await text(`${ROOT}/roses`), /^404 /);
});
