import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "../../api/generated/core.v1.ts";
import { containerOf } from "./pods.ts";

const pod = (spec: object) => ({ metadata: { name: "p" }, spec }) as unknown as Pod;
const named = (...names: string[]) => names.map((name) => ({ name }));

test("the container of a stream is the one asked for, or the only one", () => {
  const several = pod({
    initContainers: named("i"),
    containers: named("a", "b"),
    ephemeralContainers: named("e"),
  });
  assert.equal(containerOf(pod({ containers: named("a") }), ""), "a");
  assert.equal(containerOf(several, "i"), "i");
  assert.throws(() => containerOf(several, "x"), { message: "container x is not valid for pod p" });
  assert.throws(() => containerOf(several, ""), {
    message: "a container name must be specified for pod p, choose one of: [i a b e]",
  });
  assert.throws(() => containerOf(pod({ containers: [] }), ""), {
    message: "a container name must be specified for pod p",
  });
});
