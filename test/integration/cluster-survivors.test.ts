/** The control plane is killed in the middle of creates, ten times: no acknowledged object is lost or torn, and no container notices. */
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { BUSYBOX, noCluster, TestCluster } from "../../src/testing/cluster.ts";
import { realClients } from "../../tools/clients.ts";

const clients = realClients();
const ROUNDS = 10;
const CREATES = 1000;

const sumOf = (text: string) => createHash("sha256").update(text).digest("hex");

/** Config maps that carry the sum of their content, for one `kubectl create`. */
function configMaps(round: number): string {
  return Array.from({ length: CREATES }, (_, i) => {
    const text = randomBytes(300).toString("hex");
    const metadata = { name: `round-${round}-${i}`, labels: { made: "here" } };
    return JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata, data: { text, sum: sumOf(text) } });
  }).join("\n---\n");
}

describe("containers of a control plane that is killed", { skip: noCluster(clients) }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = new TestCluster("survivors", clients!);
    await cluster.up();
    await cluster.load();
    await cluster.kubectl([
      "create",
      "deployment",
      "steady",
      `--image=${BUSYBOX}`,
      "--replicas=3",
      "--",
      "sleep",
      "3600",
    ]);
    await cluster.kubectl("rollout status deployment/steady --timeout=180s");
  });
  after(() => cluster[Symbol.asyncDispose]());

  /** Pod, container id, start and restarts of each container: what a restart would change. */
  const containers = async (): Promise<readonly string[]> => {
    const { items } = await cluster.get("pods -l app=steady");
    return items
      .map(({ metadata, status }: any) => {
        const [{ containerID, restartCount, state }] = status.containerStatuses;
        return `${metadata.name} ${containerID} ${state.running?.startedAt} ${restartCount}`;
      })
      .sort();
  };

  test(`kill -9 in the middle of ${CREATES} creates, ${ROUNDS} times`, { timeout: 600_000 }, async () => {
    const steady = await containers();
    assert.equal(steady.length, 3);
    const acknowledged = new Set<string>();
    let interrupted = 0;
    for (let round = 0; round < ROUNDS; round++) {
      const creating = cluster.start("kubectl", [
        "create",
        "-f",
        cluster.file(`round-${round}.yaml`, configMaps(round)),
      ]);
      const confirmed = () => [...creating.text().matchAll(/^configmap\/(\S+) created$/gm)].map(([, name]) => name!);
      await cluster.until(async () => confirmed().length >= 5 + round * 10, "some were created");
      await cluster.end("SIGKILL");
      await creating.exited;
      if (confirmed().length < CREATES) interrupted++;
      for (const name of confirmed()) acknowledged.add(name);

      await cluster.up();
      const { items } = await cluster.get("configmaps -l made=here");
      for (const { metadata, data } of items) assert.equal(sumOf(data.text), data.sum, `${metadata.name} is whole`);
      const found = new Set(items.map(({ metadata }: any) => metadata.name));
      assert.deepEqual(
        [...acknowledged].filter((name) => !found.has(name)),
        [],
        `nothing is missing after round ${round}`,
      );
      assert.deepEqual(await containers(), steady, `containers are as they were after round ${round}`);
    }
    assert.equal(interrupted, ROUNDS, "every kill came in the middle");
  });
});
