import assert from "node:assert/strict";
import { test } from "node:test";
import { ComponentGroup } from "../../base/component-group.ts";
import { silent } from "../../observe/log.ts";
import { Metrics } from "../../observe/metrics.ts";
import { simulatedWorld } from "../../testing/sim/world.ts";
import { createEtcd } from "../server.ts";

test("health fails with an alarm, and passes it over where that is asked for", async () => {
  const world = simulatedWorld(1);
  const base = "http://127.0.0.1:2379";
  let done = false;
  const work = (async () => {
    await using group = new ComponentGroup();
    await group.start(
      createEtcd(
        { dataDir: "/data", listenClientUrls: [base], enablePprof: true },
        { ...world, log: silent, metrics: new Metrics(), commandLine: ["etcd", "--name=a"] },
      ),
    );
    const http = world.net.httpClient({ base });
    const ask = async (path: string, method = "GET", body?: string): Promise<[number, string]> => {
      const response = await http.request({ method, path, ...(body !== undefined && { body }) });
      let text = "";
      for await (const chunk of response.body) text += Buffer.from(chunk).toString();
      return [response.status, text];
    };
    const alarm = async (action: string, name: string) =>
      ask("/v3/maintenance/alarm", "POST", JSON.stringify({ action, alarm: name, memberID: "1" }));

    assert.deepEqual(await ask("/health"), [200, '{"health":"true","reason":""}']);
    await alarm("ACTIVATE", "NOSPACE");
    assert.deepEqual(await ask("/health"), [503, '{"health":"false","reason":"ALARM NOSPACE"}\n']);
    assert.equal((await ask("/health?exclude=NOSPACE"))[0], 200);
    assert.equal((await ask("/readyz"))[0], 200, "a full store can be read");
    await alarm("DEACTIVATE", "NOSPACE");

    await alarm("ACTIVATE", "CORRUPT");
    assert.equal((await ask("/health?exclude=NOSPACE"))[0], 503);
    assert.deepEqual(await ask("/readyz"), [
      503,
      "[-]data_corruption failed: alarm activated: CORRUPT\n[+]serializable_read ok\n[+]linearizable_read ok\n[+]non_learner ok\n\n",
    ]);
    assert.deepEqual(await ask("/readyz?exclude=data_corruption&exclude=nosuch"), [200, "ok\n"]);
    assert.deepEqual(await ask("/readyz/linearizable_read?verbose"), [200, "[+]linearizable_read ok\nok\n"]);
    assert.equal((await ask("/livez"))[0], 200);
    assert.equal((await ask("/livez/linearizable_read"))[0], 404);
    assert.equal((await ask("/livez", "PUT"))[0], 405);

    const vars = JSON.parse((await ask("/debug/vars"))[1]);
    assert.deepEqual(vars.cmdline, ["etcd", "--name=a"]);
    assert.equal(vars["raft.status"].raftState, "StateLeader");
    assert.match((await ask("/debug/pprof/"))[1], /--cpu-prof/);
  })().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 600_000);
  await work;
});
