import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "../../api/generated/core.v1.ts";
import { containerOf, optionsOf } from "./pods.ts";

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

test("admission sees the query of a connection in the types of its options", () => {
  const query = (text: string) => new URLSearchParams(text);
  assert.deepEqual(optionsOf("attach", query("container=a&stdin=true&stdout=1&stderr=false&tty=0")), {
    kind: "PodAttachOptions",
    apiVersion: "v1",
    stdin: true,
    stdout: true,
    container: "a",
  });
  assert.deepEqual(optionsOf("exec", query("command=ls&command=-l&stdout=true")), {
    kind: "PodExecOptions",
    apiVersion: "v1",
    stdout: true,
    command: ["ls", "-l"],
  });
  assert.deepEqual(optionsOf("portforward", query("ports=80&ports=443")), {
    kind: "PodPortForwardOptions",
    apiVersion: "v1",
    ports: [80, 443],
  });
});
