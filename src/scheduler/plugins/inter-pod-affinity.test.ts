import assert from "node:assert/strict";
import { test } from "node:test";
import { Lab, node, pod, type LabOptions } from "../lab.ts";
import { interPodAffinity } from "./inter-pod-affinity.ts";

const ZONE = "topology.kubernetes.io/zone";
const HOST = "kubernetes.io/hostname";
const term = (app: string, topologyKey = ZONE, rest: object = {}) => ({
  topologyKey,
  labelSelector: { matchLabels: { app } },
  ...rest,
});
const wants = (...terms: object[]) =>
  ({ affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } } }) as never;
const fears = (...terms: object[]) =>
  ({ affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: terms } } }) as never;
const likes = (weight: number, podAffinityTerm: object) =>
  ({
    affinity: { podAffinity: { preferredDuringSchedulingIgnoredDuringExecution: [{ weight, podAffinityTerm }] } },
  }) as never;

const NO = "!node(s) didn't match pod affinity rules";
const ANTI = "node(s) didn't match pod anti-affinity rules";
const EXISTING = "node(s) didn't satisfy existing pods anti-affinity rules";
const nodes = [node("a1", { zone: "a" }), node("a2", { zone: "a" }), node("b1", { zone: "b" }), node("none")];
const lab = (objects: ConstructorParameters<typeof Lab>[0] = [], options: LabOptions = {}) =>
  new Lab([...nodes, ...objects], { plugins: [interPodAffinity], ...options });

test("a pod goes where the pods are that it wants", () => {
  const db = pod("db", { labels: { app: "db" }, node: "a1" });
  assert.deepEqual(lab([db]).filter(pod("p", { spec: wants(term("db")) })), {
    a1: "fits",
    a2: "fits",
    b1: NO,
    none: NO,
  });
  assert.deepEqual(lab([db]).filter(pod("p", { spec: wants(term("db", HOST)) })), {
    a1: "fits",
    a2: NO,
    b1: NO,
    none: NO,
  });
});

test("the first pod of a group that wants its own kind may go anywhere with the label", () => {
  const self = pod("p", { labels: { app: "x" }, spec: wants(term("x")) });
  assert.deepEqual(lab().filter(self), { a1: "fits", a2: "fits", b1: "fits", none: NO });
  assert.equal(lab([pod("x", { labels: { app: "x" }, node: "b1" })]).filter(self)["a1"], NO);
});

test("with several terms only pods that match all of them count", () => {
  const both = wants(term("db"), { topologyKey: ZONE, labelSelector: { matchLabels: { tier: "1" } } });
  const half = pod("half", { labels: { app: "db" }, node: "a1" });
  const whole = pod("whole", { labels: { app: "db", tier: "1" }, node: "b1" });
  assert.deepEqual(lab([half, whole]).filter(pod("p", { spec: both })), { a1: NO, a2: NO, b1: "fits", none: NO });
});

test("a pod stays away from the pods that it can't stand, and from those that can't stand it", () => {
  const db = pod("db", { labels: { app: "db" }, node: "a1" });
  assert.deepEqual(lab([db]).filter(pod("p", { spec: fears(term("db")) })), {
    a1: ANTI,
    a2: ANTI,
    b1: "fits",
    none: "fits",
  });
  const hermit = pod("hermit", { node: "b1", spec: { ...(fears(term("x")) as object) } });
  assert.deepEqual(lab([hermit]).filter(pod("p", { labels: { app: "x" } })), {
    a1: "fits",
    a2: "fits",
    b1: EXISTING,
    none: "fits",
  });
});

test("terms look at the pod's own namespace unless they say otherwise", () => {
  const db = pod("db", { labels: { app: "db" }, node: "a1", namespace: "other" });
  const listers: LabOptions["listers"] = {
    namespace: (name) => ({ metadata: { name, labels: { team: name === "other" ? "red" : "blue" } } }) as never,
  };
  const at = (rest: object) => lab([db], { listers }).filter(pod("p", { spec: fears(term("db", ZONE, rest)) }))["a1"];
  assert.equal(at({}), "fits");
  assert.equal(at({ namespaces: ["other"] }), ANTI);
  assert.equal(at({ namespaceSelector: {} }), ANTI);
  assert.equal(at({ namespaceSelector: { matchLabels: { team: "red" } } }), ANTI);
  assert.equal(at({ namespaceSelector: { matchLabels: { team: "blue" } } }), "fits");
});

test("preferences of the pod and of those around it add up", () => {
  const db = pod("db", { labels: { app: "db" }, node: "a1" });
  const fan = pod("fan", { labels: { app: "fan" }, node: "b1", spec: likes(5, term("x")) });
  const target = pod("p", { labels: { app: "x" }, spec: likes(10, term("db")) });
  assert.deepEqual(lab([db, fan]).score(target), { a1: 100, a2: 100, b1: 50, none: 0 });
  assert.equal(lab().score(pod("p", { spec: likes(10, term("db")) }))?.["a1"], 0);
  assert.equal(lab([db]).score(pod("p")), undefined);
});

test("a pod that is gone is forgotten", () => {
  const subject = lab([pod("hermit", { node: "b1", spec: { ...(fears(term("x")) as object) } })]);
  subject.cache.removePod("uid-hermit");
  assert.equal(subject.filter(pod("p", { labels: { app: "x" } }))["b1"], "fits");
});
