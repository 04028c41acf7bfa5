import assert from "node:assert/strict";
import { test } from "node:test";
import { Metrics } from "../observe/metrics.ts";
import type { Clock } from "../world/world.ts";
import { configurationReloads } from "./configuration-metrics.ts";

test("the metrics of a configuration file tell its reloads and the content in force", async () => {
  const metrics = new Metrics();
  const reloads = configurationReloads("authorization", "apiserver-a", {
    metrics,
    clock: { now: () => 5000 } as Clock,
  });
  const lines = async () => (await metrics.render()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
  assert.deepEqual(await lines(), []);
  reloads.started("one");
  const about = 'apiserver_id_hash="sha256:';
  const [info = ""] = await lines();
  assert.match(
    info,
    /^apiserver_authorization_config_controller_last_config_info\{apiserver_id_hash="sha256:[0-9a-f]{64}",hash="sha256:7692c3ad3540bb803c020b3aee66cd8887123234ea0c6e7143c0add73ff431ed"\} 1$/,
  );
  reloads.failed();
  reloads.succeeded("two");
  const after = await lines();
  assert.equal(after.filter((line) => line.includes("automatic_reloads_total") && line.includes(about)).length, 2);
  assert.equal(after.filter((line) => line.includes("last_timestamp_seconds{status=")).length, 2);
  assert.equal(after.filter((line) => line.includes("last_config_info")).length, 1);
  assert.ok(!after.includes(info), "only the content in force is told");
});
