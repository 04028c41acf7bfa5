/** Watches and lists that nobody reads, of large objects that change all the time, beside a watch that is read. */
import assert from "node:assert/strict";
import { type Account, json, pause, type LoadCase, PODS, pod, type Surroundings, versionOf } from "./case.ts";
import { figure } from "./figures.ts";
import { Heard } from "./heard.ts";
import { askWell, connected, type Connection } from "./https.ts";
import { writeAtPace } from "./paced-writes.ts";

const LARGE_PODS = 100;
const TEXT_BYTES = 50_000;
/** Of the writes a second that other cases have: these are large. */
const PART_OF_PACE = 0.2;
const DEAF_WATCHES = 20;
const DEAF_LISTS = 20;

async function run({ server, user, sizes, say, begin, end }: Surroundings): Promise<Account> {
  const { admin } = server.place;
  const writers = await connected(admin, "HTTP/2", 4);
  const [reader] = (await connected(admin, "HTTP/2", 1)) as [Connection];
  for (let i = 0; i < LARGE_PODS; i++)
    await askWell(reader, {
      method: "POST",
      path: PODS,
      body: json(pod(`pod-${i}`, "none", { text: "x".repeat(TEXT_BYTES) })),
    });
  const version = await versionOf(reader, PODS);
  const watch = `${PODS}?watch=true&resourceVersion=${version}`;
  const deaf: Connection[] = [];
  for (const [path, count] of [
    [watch, DEAF_WATCHES],
    [PODS, DEAF_LISTS],
  ] as const)
    for (const protocol of ["HTTP/2", "HTTP/1.1"] as const)
      for (const connection of await connected(user, protocol, count / 2)) {
        deaf.push(connection);
        connection.call({ method: "GET", path }, { onEnd() {} });
        await pause(5);
        connection.pause();
      }
  const heard = new Heard();
  let ended = "";
  reader.call(
    { method: "GET", path: watch },
    {
      onData: (buffer, start, to) => heard.onData(buffer, start, to),
      onEnd: (status) => (ended = `the watch that is read has ended with ${status}`),
    },
  );
  await pause(200);
  await begin();
  const pace = sizes.writesPerSecond * PART_OF_PACE;
  const before = server.rssMb();
  const written = await writeAtPace(writers, pace, sizes.seconds, (i) => ({
    method: "PATCH",
    path: `${PODS}/pod-${i % LARGE_PODS}`,
    type: "application/merge-patch+json",
    body: json({ metadata: { annotations: { n: String(i) } } }),
  }));
  const done = performance.now();
  const all = written.versions.filter(() => true);
  while (heard.count < all.length && ended === "" && performance.now() - done < 30_000) await pause(5);
  await end();
  assert.equal(ended, "");
  const wrong = heard.wrong(all);
  say(
    `${figure(written.perSecond)} changes/s of ${TEXT_BYTES / 1000} kB, p99 ${figure(written.p99)} ms from when each was due, beside ${deaf.length} that hear nothing; ${figure(before)} MB before, ${figure(server.rssMb())} MB after`,
  );
  for (const connection of [...deaf, ...writers, reader]) connection.close();
  return {
    reached: `${figure(written.perSecond)} writes/s of ${TEXT_BYTES / 1000} kB`,
    short: [
      ...(written.failed > 0 ? [`${written.failed} writes failed: ${written.firstFailure}`] : []),
      ...(wrong === undefined ? [] : [wrong]),
    ],
    pace: [{ what: "writes", asked: pace, reached: written.perSecond }],
  };
}

export const deafClients: LoadCase = {
  name: "deaf-clients",
  about: "clients that ask for watches and lists and never read: they are cut off, and nobody else is harmed",
  size: ({ writesPerSecond, seconds }) =>
    `${DEAF_WATCHES} deaf watches, ${DEAF_LISTS} deaf lists; ${figure(writesPerSecond * PART_OF_PACE)} writes/s of ${TEXT_BYTES / 1000} kB for ${seconds} s`,
  maxMb: () => 1200,
  run,
};
