import assert from "node:assert/strict";
import { test } from "node:test";
import { counter, Distribution, histogram, Metrics } from "./metrics.ts";

test("bounds of buckets are written as Go writes them, since queries name them", async () => {
  const metrics = new Metrics();
  const metric = histogram("h", { help: "H", buckets: [1e-8, 0.0001, 0.5, 1, 86400, 2592000] });
  metrics.from(() => [{ metric, value: new Distribution(metric.buckets!) }]);
  const bounds = [...(await metrics.render()).matchAll(/le="([^"]+)"/g)].map(([, bound]) => bound);
  assert.deepEqual(bounds, ["1e-08", "0.0001", "0.5", "1", "86400", "2.592e+06", "+Inf"]);
});

test("a metric that isn't Kubernetes' own has no stability in its help", async () => {
  const metrics = new Metrics();
  metrics.from(() => [
    { metric: counter("a_total", { help: "A" }), value: 1 },
    { metric: counter("b_total", { help: "B", stability: "" }), value: 1 },
  ]);
  const text = await metrics.render();
  assert.match(text, /^# HELP a_total \[ALPHA\] A$/m);
  assert.match(text, /^# HELP b_total B$/m);
});
