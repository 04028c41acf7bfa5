/**
 * What an API server is put under, each case by its name: who asks what, what must be true of the answers, and how the rest of the world fares
 * meanwhile. Sizes are arguments: `npm run load` takes them in full, the tests in small.
 */
import assert from "node:assert/strict";
import { ask, askWell, connected, type Connection, drive, type Request, type Target } from "./https.ts";
import { figure } from "./figures.ts";
import type { LoadServer } from "./server.ts";

export interface Sizes {
  readonly watchers: number;
  readonly writesPerSecond: number;
  readonly seconds: number;
  readonly listers: number;
  readonly pods: number;
  readonly customObjects: number;
  readonly objects: number;
}

export const FULL: Sizes = {
  watchers: 1000,
  writesPerSecond: 500,
  seconds: 15,
  listers: 100,
  pods: 10_000,
  customObjects: 10_000,
  objects: 1_000_000,
};

export interface Surroundings {
  readonly server: LoadServer;
  /** Somebody without privileges: queues and roles are for him. */
  readonly user: Target;
  readonly sizes: Sizes;
  say(text: string): void;
  /** From here on the prober counts. */
  begin(): Promise<void>;
}

export interface LoadCase {
  readonly name: string;
  readonly about: string;
  /** What of the server's memory it may take in all, in MB. */
  readonly maxMb: (sizes: Sizes) => number;
  readonly words?: readonly string[];
  readonly nodeArgs?: readonly string[];
  run(around: Surroundings): Promise<void>;
}

const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const PODS = "/api/v1/namespaces/default/pods";
const pod = (name: string, annotations: Readonly<Record<string, string>> = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { app: "load" }, annotations },
  spec: {
    schedulerName: "nobody",
    nodeName: "none",
    containers: [{ name: "main", image: "example.com/app:1", env: [{ name: "A", value: "b" }] }],
  },
});

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));

async function create(target: Target, path: string, count: number, body: (i: number) => Uint8Array): Promise<number> {
  const connections = await connected(target, "HTTP/2", 8);
  const { firstError, latencies, seconds } = await drive(connections, 64, { requests: count }, (i) => ({
    method: "POST",
    path,
    body: body(i),
  }));
  for (const connection of connections) connection.close();
  assert.equal(firstError, "");
  return latencies.length / seconds;
}

async function versionOf(connection: Connection, path: string): Promise<string> {
  return JSON.parse(String(await askWell(connection, { method: "GET", path: `${path}?limit=1` }))).metadata
    .resourceVersion;
}

/** Asks at an even pace, whatever the answers take; tells how late the last was asked. */
async function atPace(perSecond: number, count: number, act: (i: number) => void): Promise<number> {
  const begun = performance.now();
  for (let i = 0; i < count;) {
    const due = Math.min(count, Math.floor(((performance.now() - begun) / 1000) * perSecond) + 1);
    while (i < due) act(i++);
    await pause(1);
  }
  return performance.now() - begun - (count / perSecond) * 1000;
}

/** A watch whose events carry a number each in their annotation `n`: they must come one after the other, and none may lack. */
class Counted {
  next = 0;
  failure: string | undefined;
  #rest: Buffer | undefined;
  readonly #done: (watcher: Counted) => void;
  readonly #count: number;

  constructor(count: number, done: (watcher: Counted) => void) {
    this.#count = count;
    this.#done = done;
  }

  onData(buffer: Buffer, start: number, end: number): void {
    let data = buffer;
    let [at, to] = [start, end];
    if (this.#rest !== undefined) {
      data = Buffer.concat([this.#rest, buffer.subarray(start, end)]);
      [at, to] = [0, data.length];
      this.#rest = undefined;
    }
    for (;;) {
      // An event ends with its line.
      const line = data.indexOf(0x0a, at);
      if (line < 0 || line >= to) break;
      this.#event(data, at, line);
      at = line + 1;
    }
    if (at < to) this.#rest = Buffer.from(data.subarray(at, to));
  }

  #event(data: Buffer, start: number, end: number): void {
    const found = data.indexOf(MARK, start);
    if (found < 0 || found > end) return;
    let number = 0;
    for (let at = found + MARK.length; data[at]! >= 0x30 && data[at]! <= 0x39; at++)
      number = number * 10 + data[at]! - 0x30;
    if (number !== this.next) this.failure ??= `event ${number} came where ${this.next} was due`;
    this.next = number + 1;
    if (this.next === this.#count) this.#done(this);
  }
}
const MARK = Buffer.from('"n":"');

/** Changes of pods at an even pace, numbered; to be heard of by watchers. */
async function numbered(
  writer: Connection,
  pods: number,
  perSecond: number,
  count: number,
): Promise<{ readonly late: number; readonly errors: number }> {
  let errors = 0;
  let open = 0;
  // One after the other for each connection's order: the numbers are the order in which they are stored.
  let last: Promise<unknown> = Promise.resolve();
  const late = await atPace(perSecond, count, (i) => {
    open++;
    const request: Request = {
      method: "PATCH",
      path: `${PODS}/pod-${i % pods}`,
      type: "application/merge-patch+json",
      body: json({ metadata: { annotations: { n: String(i) } } }),
    };
    last = last.then(async () => {
      const { status } = await ask(writer, request);
      if (status !== 200) errors++;
      open--;
    });
  });
  await last;
  assert.equal(open, 0);
  return { late, errors };
}

/** Many watchers of everything; how late each hears of the last event is theirs to bear, that each hears of all is not. */
async function watchers({ server, sizes, say, begin }: Surroundings): Promise<void> {
  const admin = server.place.admin;
  const [writer] = (await connected(admin, "HTTP/2", 1)) as [Connection];
  await create(admin, PODS, 100, (i) => json(pod(`pod-${i}`)));
  const version = await versionOf(writer, PODS);
  const connections = await connected(admin, "HTTP/2", Math.ceil(sizes.watchers / 50));
  const count = sizes.writesPerSecond * sizes.seconds;
  let heard = 0;
  let bytes = 0;
  const all = Promise.withResolvers<void>();
  const watching = Array.from({ length: sizes.watchers }, (_, i) => {
    const watcher = new Counted(count, () => {
      if (++heard === sizes.watchers) all.resolve();
    });
    connections[i % connections.length]!.call(
      { method: "GET", path: `${PODS}?watch=true&allowWatchBookmarks=true&resourceVersion=${version}` },
      {
        onData(buffer, start, end) {
          bytes += end - start;
          watcher.onData(buffer, start, end);
        },
        onEnd: (status) => all.reject(new Error(`a watch has ended with ${status}`)),
      },
    );
    return watcher;
  });
  await pause(1000);
  await begin();
  const cpu = server.cpu();
  const own = process.cpuUsage();
  const begun = performance.now();
  const { late, errors } = await numbered(writer, 100, sizes.writesPerSecond, count);
  const written = performance.now();
  await all.promise;
  const end = performance.now();
  const { user, system } = process.cpuUsage(own);
  const events = count * sizes.watchers;
  say(
    `${figure(count / ((written - begun) / 1000))} writes/s (${figure(Math.max(0, late))} ms late at the end), ${figure(events / ((end - begun) / 1000))} events/s, ${figure(bytes / 1e6 / ((end - begun) / 1000))} MB/s; the last was heard ${figure(end - written)} ms after the last write; ${figure(((server.cpu() - cpu) * 1e6) / events)} µs of the server's CPU for each, the watchers themselves kept ${figure((user + system) / 1000 / (end - begun))} cores busy`,
  );
  for (const connection of [...connections, writer]) connection.close();
  assert.equal(errors, 0, "writes failed");
  assert.deepEqual(watching.flatMap(({ failure }) => failure ?? []).slice(0, 3), []);
}

async function listers({ server, user, sizes, say, begin }: Surroundings): Promise<void> {
  await create(server.place.admin, PODS, sizes.pods, (i) => json(pod(`pod-${i}`)));
  const connections = await connected(user, "HTTP/2", sizes.listers);
  await begin();
  const cpu = server.cpu();
  const names = new Set<number>();
  let lists = 0;
  const end = performance.now() + sizes.seconds * 1000;
  const latencies: number[] = [];
  await Promise.all(
    connections.map(async (connection) => {
      while (performance.now() < end) {
        const begun = performance.now();
        let items = 0;
        let status = 0;
        await new Promise<void>((resolve) =>
          connection.call(
            { method: "GET", path: PODS },
            {
              onData(buffer, start, to) {
                // Each item has one; a mark that is cut in two is missed now and then.
                for (let at = buffer.indexOf(UID, start); at >= 0 && at < to; at = buffer.indexOf(UID, at + 1)) items++;
              },
              onEnd(answer) {
                status = answer;
                resolve();
              },
            },
          ),
        );
        assert.equal(status, 200);
        assert.ok(items <= sizes.pods && items >= sizes.pods * 0.99 - 1, `${items} items`);
        names.add(items);
        lists++;
        latencies.push(performance.now() - begun);
      }
    }),
  );
  say(
    `${lists} lists by ${sizes.listers} clients, ${figure(latencies.reduce((a, b) => a + b, 0) / lists)} ms each on average, ${figure(((server.cpu() - cpu) * 1000) / lists)} ms of the server's CPU`,
  );
  for (const connection of connections) connection.close();
}
const UID = Buffer.from('"uid":"');

const DEFINITION = {
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: "widgets.load.example.com" },
  spec: {
    group: "load.example.com",
    scope: "Namespaced",
    names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                required: ["replicas", "name"],
                properties: {
                  replicas: { type: "integer", minimum: 0 },
                  max: { type: "integer", default: 10 },
                  name: { type: "string", maxLength: 63 },
                  parts: {
                    type: "array",
                    maxItems: 10,
                    items: {
                      type: "object",
                      properties: { name: { type: "string", maxLength: 63 }, size: { type: "integer" } },
                    },
                  },
                },
                "x-kubernetes-validations": [
                  { rule: "self.replicas <= self.max", message: "no more replicas than max" },
                  { rule: "self.name.startsWith('w')" },
                  { rule: "!has(self.parts) || self.parts.all(part, part.size > 0)" },
                  { rule: "oldSelf.name == self.name", message: "a name stays" },
                ],
              },
            },
          },
        },
      },
    ],
  },
};
const WIDGETS = "/apis/load.example.com/v1/namespaces/default/widgets";
const widget = (i: number, replicas = 3) => ({
  apiVersion: "load.example.com/v1",
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

async function customObjects({ server, sizes, say, begin }: Surroundings): Promise<void> {
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
  const changeCost = ((server.cpu() - changed) * 1e6) / sizes.customObjects;
  const listed = JSON.parse(String(await askWell(connection, { method: "GET", path: WIDGETS })));
  assert.equal(listed.items.length, sizes.customObjects);
  assert.ok(listed.items.every((item: any) => item.spec.replicas === 4 && item.spec.max === 10));
  say(
    `${figure(rate)} creates/s, ${figure(cost)} µs of CPU each; ${figure(changes.latencies.length / changes.seconds)} patches/s, ${figure(changeCost)} µs each`,
  );
  for (const one of [...connections, connection]) one.close();
}

/** Watches that nobody reads, of large objects that change all the time, beside one that is read. */
async function deafClients({ server, sizes, say, begin }: Surroundings): Promise<void> {
  const { admin } = server.place;
  const [writer, reader] = (await connected(admin, "HTTP/2", 2)) as [Connection, Connection];
  const large = { ...pod("pod-0"), metadata: { ...pod("pod-0").metadata, annotations: { text: "x".repeat(50_000) } } };
  for (let i = 0; i < 10; i++)
    await askWell(writer, {
      method: "POST",
      path: PODS,
      body: json({ ...large, metadata: { ...large.metadata, name: `pod-${i}` } }),
    });
  const version = await versionOf(writer, PODS);
  const count = sizes.writesPerSecond * sizes.seconds;
  const path = `${PODS}?watch=true&resourceVersion=${version}`;
  const deaf = [...(await connected(admin, "HTTP/2", 10)), ...(await connected(admin, "HTTP/1.1", 10))];
  for (const connection of deaf) {
    connection.call({ method: "GET", path }, { onEnd() {} });
    await pause(5);
    connection.pause();
  }
  const all = Promise.withResolvers<void>();
  const watcher = new Counted(count, () => all.resolve());
  reader.call(
    { method: "GET", path },
    {
      onData: (buffer, start, end) => watcher.onData(buffer, start, end),
      onEnd: () => all.reject(new Error("the watch that is read has ended")),
    },
  );
  await pause(200);
  await begin();
  const before = server.rssMb();
  const { late, errors } = await numbered(writer, 10, sizes.writesPerSecond, count);
  await all.promise;
  assert.equal(errors, 0);
  assert.equal(watcher.failure, undefined);
  say(
    `${count} changes of 50 kB beside ${deaf.length} that hear nothing: ${figure(before)} MB before, ${figure(server.rssMb())} MB after, ${figure(Math.max(0, late))} ms late at the end`,
  );
  for (const connection of [...deaf, writer, reader]) connection.close();
}

const NAMESPACE = "/api/v1/namespaces/million";

/** A namespace with very many objects goes: by the namespace controller, in this process. */
async function largeNamespace({ server, sizes, say, begin }: Surroundings): Promise<void> {
  const { admin } = server.place;
  const [connection] = (await connected(admin, "HTTP/2", 1)) as [Connection];
  await askWell(connection, {
    method: "POST",
    path: "/api/v1/namespaces",
    body: json({ apiVersion: "v1", kind: "Namespace", metadata: { name: "million" } }),
  });
  await begin();
  const rate = await create(admin, `${NAMESPACE}/configmaps`, sizes.objects, (i) =>
    json({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: `object-${i}` }, data: { key: "value" } }),
  );
  const filled = server.rssMb();
  say(`${figure(sizes.objects)} objects made, ${figure(rate)} a second, ${figure(filled)} MB`);
  const begun = performance.now();
  const cpu = server.cpu();
  await askWell(connection, { method: "DELETE", path: NAMESPACE });
  let most = filled;
  for (;;) {
    const { status } = await ask(connection, { method: "GET", path: NAMESPACE });
    most = Math.max(most, server.rssMb());
    if (status === 404) break;
    assert.equal(status, 200);
    await pause(Math.min(250, sizes.objects / 100));
  }
  const seconds = (performance.now() - begun) / 1000;
  say(
    `gone after ${figure(seconds)} s, ${figure(sizes.objects / seconds)} a second, ${figure(((server.cpu() - cpu) * 1e6) / sizes.objects)} µs of CPU each, ${figure(most)} MB at most`,
  );
  connection.close();
}

export const CASES: readonly LoadCase[] = [
  {
    name: "watchers",
    about: "watchers of all pods while pods change: each hears of every change, in order",
    maxMb: () => 900,
    run: watchers,
  },
  {
    name: "listers",
    about: "clients that list all pods again and again",
    maxMb: () => 1200,
    run: listers,
  },
  {
    name: "custom-objects",
    about: "objects of a definition with CEL rules, made and changed",
    maxMb: () => 900,
    run: customObjects,
  },
  {
    name: "deaf-clients",
    about: "clients that watch and never read: they are cut off, and nobody else is harmed",
    maxMb: () => 1500,
    run: deafClients,
  },
  {
    name: "large-namespace",
    about: "a namespace of very many objects is deleted",
    maxMb: ({ objects }) => 600 + objects * 0.006,
    words: ["namespaces"],
    nodeArgs: ["--max-old-space-size=8192"],
    run: largeNamespace,
  },
];
