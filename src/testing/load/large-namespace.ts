/**
 * A namespace with very many objects goes, by the namespace controller, in the server's process. The objects are in etcd when the server starts, as
 * they are after a restore: what is put under load is their deletion.
 */
import assert from "node:assert/strict";
import { type Account, json, pause, type LoadCase, type Surroundings } from "./case.ts";
import { figure } from "./figures.ts";
import { ask, askWell, connected, type Connection } from "./https.ts";

const NAMESPACE = "/api/v1/namespaces/million";

async function run({ server, sizes, say, begin, end }: Surroundings): Promise<Account> {
  const { admin } = server.place;
  const [connection] = (await connected(admin, "HTTP/2", 1)) as [Connection];
  await askWell(connection, {
    method: "POST",
    path: "/api/v1/namespaces",
    body: json({ apiVersion: "v1", kind: "Namespace", metadata: { name: "million" } }),
  });
  const first = JSON.parse(
    String(await askWell(connection, { method: "GET", path: `${NAMESPACE}/configmaps?limit=1` })),
  );
  assert.equal(first.metadata.remainingItemCount, sizes.objects - 1);
  const filled = server.rssMb();
  await begin();
  const begun = performance.now();
  const cpu = server.cpu();
  await askWell(connection, { method: "DELETE", path: NAMESPACE });
  for (;;) {
    const { status } = await ask(connection, { method: "GET", path: NAMESPACE });
    if (status === 404) break;
    assert.equal(status, 200);
    await pause(Math.min(250, sizes.objects / 100));
  }
  const seconds = (performance.now() - begun) / 1000;
  await end();
  const left = JSON.parse(String(await askWell(connection, { method: "GET", path: `${NAMESPACE}/configmaps` })));
  assert.equal(left.items.length, 0);
  say(
    `gone after ${figure(seconds)} s, ${figure(sizes.objects / seconds)} a second, ${figure(((server.cpu() - cpu) * 1e6) / sizes.objects)} µs of CPU each; ${figure(filled)} MB before, ${figure(server.rssMb())} MB after`,
  );
  connection.close();
  return { reached: `${figure(sizes.objects / seconds)} deletes/s, gone after ${figure(seconds)} s`, short: [] };
}

export const largeNamespace: LoadCase = {
  name: "large-namespace",
  about: "a namespace of very many objects is deleted",
  size: ({ objects }) => `${figure(objects)} config maps`,
  maxMb: ({ objects }) => 600 + objects * 0.0015,
  words: ({ objects }) => ["namespaces", `laid-down=${objects}`],
  nodeArgs: ["--max-old-space-size=8192"],
  run,
};
