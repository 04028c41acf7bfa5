/** Ten thousand objects of a definition with CEL rules, made and then changed, as fast as the server takes them. */
import assert from "node:assert/strict";
import { type Account, create, json, pause, type LoadCase, type Surroundings } from "./case.ts";
import { figure } from "./figures.ts";
import { ask, askWell, connected, type Connection, drive } from "./https.ts";
import { widgetDefinition } from "./widgets.ts";

const GROUP = "load.example.com";
const DEFINITION = widgetDefinition(GROUP, { rule: "oldSelf.name == self.name", message: "a name stays" });
const WIDGETS = `/apis/${GROUP}/v1/namespaces/default/widgets`;
const widget = (i: number, replicas = 3) => ({
  apiVersion: `${GROUP}/v1`,
  kind: "Widget",
  metadata: { name: `widget-${i}` },
  spec: {
    replicas,
    name: `w${i}`,
    parts: [
      { name: "a", size: 1 },
      { name: "b", size: 2 },
    ],
  },
});

async function run({ server, sizes, say, begin, end }: Surroundings): Promise<Account> {
  const { admin } = server.place;
  const [connection] = (await connected(admin, "HTTP/2", 1)) as [Connection];
  await askWell(connection, {
    method: "POST",
    path: "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
    body: json(DEFINITION),
  });
  for (let tries = 0; (await ask(connection, { method: "GET", path: WIDGETS })).status !== 200; tries++) {
    assert.ok(tries < 500, "the definition isn't served");
    await pause(10);
  }
  await begin();
  const cpu = server.cpu();
  const rate = await create(admin, WIDGETS, sizes.customObjects, (i) => json(widget(i)));
  const cost = ((server.cpu() - cpu) * 1e6) / sizes.customObjects;
  const refused = await ask(connection, { method: "POST", path: WIDGETS, body: json(widget(sizes.customObjects, 11)) });
  assert.equal(refused.status, 422);
  assert.match(refused.body.toString(), /no more replicas than max/);
  const connections = await connected(admin, "HTTP/2", 8);
  const changed = server.cpu();
  const changes = await drive(connections, 64, { requests: sizes.customObjects }, (i) => ({
    method: "PATCH",
    path: `${WIDGETS}/widget-${i}`,
    type: "application/merge-patch+json",
    body: json({ spec: { replicas: 4 } }),
  }));
  assert.equal(changes.firstError, "");
  await end();
  const changeCost = ((server.cpu() - changed) * 1e6) / sizes.customObjects;
  const listed = JSON.parse(String(await askWell(connection, { method: "GET", path: WIDGETS })));
  assert.equal(listed.items.length, sizes.customObjects);
  assert.ok(listed.items.every((item: any) => item.spec.replicas === 4 && item.spec.max === 10));
  say(
    `${figure(rate)} creates/s, ${figure(cost)} µs of CPU each; ${figure(changes.latencies.length / changes.seconds)} patches/s, ${figure(changeCost)} µs each`,
  );
  for (const one of [...connections, connection]) one.close();
  return {
    reached: `${figure(rate)} creates/s, ${figure(changes.latencies.length / changes.seconds)} patches/s`,
    short: [],
  };
}

export const customObjects: LoadCase = {
  name: "custom-objects",
  about: "objects of a definition with CEL rules, made and changed",
  size: ({ customObjects: count }) => `${figure(count)} objects made and patched, 64 at a time`,
  maxMb: () => 600,
  run,
};
