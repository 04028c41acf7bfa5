/** A hundred clients that list ten thousand pods again and again. A client that is rejected retries when the server says, as real clients do. */
import { type Account, create, json, pause, type LoadCase, PODS, pod, type Surroundings } from "./case.ts";
import { figure, quantile } from "./figures.ts";
import { connected } from "./https.ts";

async function run({ server, user, sizes, say, begin, end }: Surroundings): Promise<Account> {
  await create(server.place.admin, PODS, sizes.pods, (i) => json(pod(`pod-${i}`)));
  const connections = await connected(user, "HTTP/2", sizes.listers);
  await begin();
  const cpu = server.cpu();
  let lists = 0;
  let refused = 0;
  let bytes = 0;
  const wrong: string[] = [];
  const until = performance.now() + sizes.seconds * 1000;
  const latencies: number[] = [];
  await Promise.all(
    connections.map(async (connection) => {
      while (performance.now() < until) {
        const begun = performance.now();
        let items = 0;
        const status = await new Promise<number>((resolve) =>
          connection.call(
            { method: "GET", path: PODS },
            {
              onData(buffer, start, to) {
                bytes += to - start;
                // Each item has one; a mark that is cut in two is missed now and then.
                for (let at = buffer.indexOf(UID, start); at >= 0 && at < to; at = buffer.indexOf(UID, at + 1)) items++;
              },
              onEnd: resolve,
            },
          ),
        );
        if (status === 429) {
          refused++;
          await pause(1000);
          continue;
        }
        if (status !== 200 || items > sizes.pods || items < sizes.pods * 0.99 - 1)
          wrong.push(`a list of ${items} items with status ${status}`);
        lists++;
        latencies.push(performance.now() - begun);
      }
    }),
  );
  await end();
  const seconds = sizes.seconds + (performance.now() - until) / 1000;
  const each = ((server.cpu() - cpu) * 1000) / lists;
  say(
    `${lists} lists, ${figure(lists / seconds)} a second, ${figure(bytes / 1e6 / seconds)} MB/s, ${figure(each)} ms of the server's CPU each; they took ${figure(quantile(latencies, 0.5))} ms at the median, ${figure(quantile(latencies, 1))} ms at most; ${refused} were sent away for a while`,
  );
  for (const connection of connections) connection.close();
  return {
    reached: `${figure(lists / seconds)} lists/s, ${figure(bytes / 1e6 / seconds)} MB/s`,
    short: wrong.length === 0 ? [] : [`${wrong.length} answers aren't right: ${wrong[0]}`],
  };
}
const UID = Buffer.from('"uid":"');

export const listers: LoadCase = {
  name: "listers",
  about: "clients that list all pods again and again",
  size: ({ listers: clients, pods, seconds }) => `${figure(clients)} clients, ${figure(pods)} pods, for ${seconds} s`,
  maxMb: () => 900,
  run,
};
