import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../testing/sim/random.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import { failpointHandler } from "./failpoint-server.ts";
import { FAILPOINTS, FailpointSwitch, parseTerms, type FailpointActs } from "./failpoints.ts";

function recorded(): { readonly did: string[]; readonly points: FailpointSwitch } {
  const did: string[] = [];
  const acts: FailpointActs = {
    random: new SeededRandom(1),
    panic(message) {
      throw new Error(message);
    },
    block: (ms) => void did.push(`block ${ms}`),
    print: (text) => void did.push(text.trim()),
  };
  return { did, points: new FailpointSwitch(acts) };
}

test("there are upstream's 48 points, sorted, each once", () => {
  assert.equal(FAILPOINTS.length, 48);
  assert.deepEqual(FAILPOINTS, [...new Set(FAILPOINTS)].sort());
});

test("terms are read as gofail reads them", () => {
  const term = (text: string) => parseTerms(text)[0]!;
  assert.deepEqual(term('2*sleep("1s")'), { act: "sleep", value: "1s", chance: undefined, count: 2 });
  assert.deepEqual(term("5.0%panic"), { act: "panic", value: undefined, chance: 5, count: undefined });
  assert.deepEqual(term('50%1*return("x")'), { act: "return", value: "x", chance: 50, count: 1 });
  assert.deepEqual(
    parseTerms("1*print->off").map(({ act }) => act),
    ["print", "off"],
  );
  for (const bad of ["", "panik", "sleep", "sleep(x)", 'sleep("soon")', "x*panic", "return(y)"])
    assert.throws(() => parseTerms(bad), /could not parse terms/, bad);
});

test("a point does the first of its terms that is due, so often, and then the next", () => {
  const { did, points } = recorded();
  points.set("walBeforeSync", '2*sleep(100)->1*sleep("1s")->1*print->return("end")');
  const strike = () => points.points.walBeforeSync?.strike();
  assert.deepEqual(
    [strike(), strike(), strike(), strike(), strike()],
    [undefined, undefined, undefined, undefined, "end"],
  );
  assert.deepEqual(did, ["block 100", "block 100", "block 1000", "failpoint print: walBeforeSync"]);
  assert.equal(points.get("walBeforeSync")!.strikes, 5);
  points.set("walBeforeSync", "panic");
  assert.throws(strike, /^Error: failpoint panic: \{\}$/);
  points.clear("walBeforeSync");
  assert.equal(points.points.walBeforeSync, undefined);
});

test("a chance is a chance", () => {
  const { points } = recorded();
  points.set("beforeCommit", "25.0%return");
  for (let i = 0; i < 1000; i++) points.points.beforeCommit!.strike();
  const { strikes } = points.get("beforeCommit")!;
  assert.ok(strikes > 200 && strikes < 300, `${strikes} of 1000`);
});

test("points are set from the environment's list and over HTTP, and unknown ones are refused", async () => {
  const world = simulatedWorld(1);
  const { points } = recorded();
  points.setAll("raftBeforeSave=panic; raftAfterSave=sleep(5)");
  assert.equal(points.get("raftAfterSave")!.text, "sleep(5)");
  assert.throws(() => points.setAll("nosuch=panic"), /failpoint does not exist/);
  await using _listener = await world.net.serveHttp({ host: "127.0.0.1", port: 80 }, failpointHandler(points));
  const http = world.net.httpClient({ base: "http://127.0.0.1:80" });
  let answered: [number, string][] = [];
  const work = (async () => {
    for (const [method, path, body] of [
      ["PUT", "/beforeCommit", 'sleep("1s")'],
      ["GET", "/beforeCommit"],
      ["GET", "/beforeCommit/count"],
      ["DELETE", "/beforeCommit"],
      ["GET", "/beforeCommit"],
      ["PUT", "/nosuch", "panic"],
      ["PUT", "/beforeCommit", "dance"],
      ["GET", "/"],
    ] as const) {
      const response = await http.request({ method, path, ...(body !== undefined && { body }) });
      const chunks: Uint8Array[] = [];
      for await (const chunk of response.body) chunks.push(chunk);
      answered.push([response.status, Buffer.concat(chunks).toString()]);
    }
  })();
  let done = false;
  work.finally(() => (done = true)).catch(() => {});
  await world.clock.until(() => done, 60_000);
  await work;
  const list = answered.pop()![1];
  assert.deepEqual(answered, [
    [204, ""],
    [200, 'sleep("1s")\n'],
    [200, "0"],
    [204, ""],
    [404, "failed to GET: failpoint: failpoint is disabled\n"],
    [400, "fail to set failpoint: failpoint: failpoint does not exist\n"],
    [400, "fail to set failpoint: failpoint: could not parse terms\n"],
  ]);
  assert.equal(list.split("\n").length, 49);
  assert.match(list, /^raftBeforeSave=panic$/m);
  assert.match(list, /^walAfterSync=$/m);
});
