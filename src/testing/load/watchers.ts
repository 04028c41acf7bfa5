/**
 * A thousand watchers of pods while pods change. Twice: as a cluster has them, each kubelet watching its own node's pods and some controllers all of
 * them; and all of them watching all, where each write is a thousand events: that is more than two cores can move, and what is asked there is that
 * nothing gets lost and nobody starves.
 */
import { type Account, create, json, pause, type LoadCase, PODS, pod, type Surroundings, versionOf } from "./case.ts";
import { figure } from "./figures.ts";
import { Heard } from "./heard.ts";
import { connected, type Connection } from "./https.ts";
import { writeAtPace } from "./paced-writes.ts";

/** Who watches what: `part` is which share of the pods it hears of, undefined for all. */
interface Watch {
  readonly query: string;
  readonly part: number | undefined;
}

async function run(
  { server, sizes, say, begin, end }: Surroundings,
  pods: number,
  watches: readonly Watch[],
  connectionCount: number,
): Promise<Account> {
  const { admin } = server.place;
  const parts = pods;
  await create(admin, PODS, pods, (i) => json(pod(`pod-${i}`, `node-${i}`)));
  const writers = await connected(admin, "HTTP/2", 4);
  const version = await versionOf(writers[0]!, PODS);
  const connections: Connection[] = [];
  // Not all at once: handshakes are what a server can be kept busy with.
  while (connections.length < connectionCount)
    connections.push(...(await connected(admin, "HTTP/2", Math.min(20, connectionCount - connections.length))));
  let bytes = 0;
  let ended = "";
  const heard = watches.map(({ query }, i) => {
    const one = new Heard();
    connections[i % connections.length]!.call(
      { method: "GET", path: `${PODS}?watch=true&allowWatchBookmarks=true&resourceVersion=${version}${query}` },
      {
        onData(buffer, start, to) {
          bytes += to - start;
          one.onData(buffer, start, to);
        },
        onEnd: (status) => (ended ||= `watch ${i} has ended with ${status}`),
      },
    );
    return one;
  });
  await pause(300);
  await begin();
  const begun = performance.now();
  const written = await writeAtPace(writers, sizes.writesPerSecond, sizes.seconds, (i) => ({
    method: "PATCH",
    path: `${PODS}/pod-${i % pods}`,
    type: "application/merge-patch+json",
    body: json({ metadata: { annotations: { n: String(i) } } }),
  }));
  const done = performance.now();
  const all = written.versions.filter(() => true);
  const ofPart: number[][] = Array.from({ length: parts }, () => []);
  written.versions.forEach((one, i) => ofPart[i % parts]!.push(one));
  const due = watches.map(({ part }) => (part === undefined ? all : ofPart[part]!));
  const hear = () => heard.every(({ count }, i) => count >= due[i]!.length);
  const eventsHeard = () => heard.reduce((sum, { count }) => sum + count, 0);
  // As long as anything comes.
  for (let last = 0, at = done; !hear() && ended === "" && performance.now() - at < 20_000; await pause(5)) {
    const now = eventsHeard();
    if (now > last) at = performance.now();
    last = now;
  }
  const over = performance.now();
  await end();
  const events = eventsHeard();
  const eventsOfWrite = watches.reduce((sum, { part }) => sum + (part === undefined ? 1 : 1 / parts), 0);
  const seconds = (over - begun) / 1000;
  const wrong = heard.flatMap((one, i) => one.wrong(due[i]!) ?? []);
  say(
    `${figure(written.perSecond)} writes/s, p99 ${figure(written.p99)} ms from when each was due; ${figure(events / seconds)} events/s, ${figure(bytes / 1e6 / seconds)} MB/s, the last heard ${figure(over - done)} ms after the last answer`,
  );
  for (const connection of [...connections, ...writers]) connection.close();
  return {
    reached: `${figure(written.perSecond)} writes/s, ${figure(events / seconds)} events/s`,
    short: [
      ...(ended === "" ? [] : [ended]),
      ...(written.failed > 0 ? [`${written.failed} writes failed: ${written.firstFailure}`] : []),
      ...(wrong.length > 0 ? [`${wrong.length} watches aren't right: ${wrong[0]}`] : []),
    ],
    pace: [
      { what: "writes", asked: sizes.writesPerSecond, reached: written.perSecond },
      { what: "events heard", asked: sizes.writesPerSecond * eventsOfWrite, reached: events / seconds },
    ],
  };
}

/** What watches all pods in a cluster: the scheduler, some controllers, some operators. */
const CONTROLLERS = 10;

export const kubeletWatchers: LoadCase = {
  name: "watchers",
  about: "kubelets that watch their own pods, on a connection each, and ten watchers of all pods, while pods change",
  size: ({ watchers, writesPerSecond, seconds }) =>
    `${figure(watchers)} + ${CONTROLLERS} watchers, ${figure(writesPerSecond)} writes/s for ${seconds} s`,
  maxMb: () => 600,
  run: (around) => {
    const { watchers } = around.sizes;
    const kubelets = Array.from({ length: watchers }, (_, part) => ({
      query: `&fieldSelector=spec.nodeName%3Dnode-${part}`,
      part,
    }));
    const others = Array.from({ length: CONTROLLERS }, () => ({ query: "", part: undefined }));
    return run(around, watchers, [...kubelets, ...others], watchers + CONTROLLERS);
  },
};

export const watchersOfAll: LoadCase = {
  name: "watchers-of-all",
  about: "watchers of all pods, fifty to a connection, while pods change: each hears of every change, in order",
  size: ({ watchers, writesPerSecond, seconds }) =>
    `${figure(watchers)} watchers, ${figure(writesPerSecond)} writes/s for ${seconds} s`,
  maxMb: () => 900,
  run: (around) => {
    const { watchers } = around.sizes;
    const watches = Array.from({ length: watchers }, () => ({ query: "", part: undefined }));
    return run(around, 100, watches, Math.ceil(watchers / 50));
  },
};
