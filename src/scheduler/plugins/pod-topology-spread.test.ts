import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { Pod } from "../../api/generated/core.v1.ts";
import { Lab, node, pod } from "../lab.ts";
import { podTopologySpread } from "./pod-topology-spread.ts";

const ZONE = "topology.kubernetes.io/zone";
const app = { app: "x" };
const SKEWED = "node(s) didn't match pod topology spread constraints";
const constraint = (rest: object = {}) => ({
  topologyKey: ZONE,
  maxSkew: 1,
  whenUnsatisfiable: "DoNotSchedule",
  labelSelector: { matchLabels: app },
  ...rest,
});
const target = (...constraints: object[]) =>
  pod("p", { labels: app, spec: { topologySpreadConstraints: constraints as never } });
const zones = [node("a", { zone: "a" }), node("b", { zone: "b" }), node("c", { zone: "c" })];
const spread = [
  pod("1", { labels: app, node: "a" }),
  pod("2", { labels: app, node: "a" }),
  pod("3", { labels: app, node: "b" }),
  pod("4", { labels: app, node: "c" }),
];
const lab = (objects: ConstructorParameters<typeof Lab>[0]) => new Lab(objects, { plugins: [podTopologySpread] });

test("a domain that would get too far ahead is refused", () => {
  assert.deepEqual(lab([...zones, ...spread]).filter(target(constraint())), { a: SKEWED, b: "fits", c: "fits" });
});

test("fewer domains than wanted count as an empty one", () => {
  assert.deepEqual(lab([...zones, ...spread]).filter(target(constraint({ minDomains: 4 }))), {
    a: SKEWED,
    b: SKEWED,
    c: SKEWED,
  });
});

test("a node without the label is refused for good", () => {
  assert.equal(
    lab([...zones, node("d")]).filter(target(constraint()))["d"],
    "!node(s) didn't match pod topology spread constraints (missing required label)",
  );
});

test("terminating pods, other namespaces and other labels don't count", () => {
  const others = [
    pod("5", { labels: app, node: "b", deleting: true }),
    pod("6", { labels: app, node: "b", namespace: "other" }),
    pod("7", { labels: { app: "y" }, node: "b" }),
  ];
  assert.deepEqual(lab([...zones, ...spread, ...others]).filter(target(constraint())), {
    a: SKEWED,
    b: "fits",
    c: "fits",
  });
});

test("nodes that the pod's node selector rules out make no domain", () => {
  const only = (name: string) => ({ nodeSelector: { "kubernetes.io/hostname": name } });
  const one = pod("p", { labels: app, spec: { ...only("a"), topologySpreadConstraints: [constraint()] as never } });
  assert.equal(lab([...zones, ...spread]).filter(one)["a"], "fits");
  const ignoring = pod("p", {
    labels: app,
    spec: { ...only("a"), topologySpreadConstraints: [constraint({ nodeAffinityPolicy: "Ignore" })] as never },
  });
  assert.equal(lab([...zones, ...spread]).filter(ignoring)["a"], SKEWED);
});

test("soft constraints prefer the emptier domain", () => {
  const objects = [
    node("a", { zone: "a" }),
    node("b", { zone: "b" }),
    pod("1", { labels: app, node: "a" }),
    pod("2", { labels: app, node: "a" }),
  ];
  assert.deepEqual(lab(objects).score(target(constraint({ whenUnsatisfiable: "ScheduleAnyway" }))), { a: 0, b: 100 });
});

test("a pod of a replica set is spread by default, one of nobody isn't", () => {
  const owned = (name: string, at?: string): Pod => {
    const one = pod(name, { labels: app, node: at });
    const ownerReferences = [{ apiVersion: "apps/v1", kind: "ReplicaSet", name: "rs", uid: "u", controller: true }];
    return { ...one, metadata: { ...one.metadata, ownerReferences } };
  };
  const listers = { replicaSet: () => ({ spec: { selector: { matchLabels: app } } }) as never };
  const objects = [node("a"), node("b"), owned("1", "a"), owned("2", "a")];
  const withOwner = new Lab(objects, { plugins: [podTopologySpread], listers });
  assert.deepEqual(withOwner.score(owned("p")), { a: 40, b: 100 });
  assert.equal(withOwner.score(pod("p", { labels: app })), undefined);
});

test("the tallies agree with counting all pods, whatever comes and goes", () => {
  const names = ["n0", "n1", "n2", "n3", "n4"];
  const step = fc.oneof(
    fc.record({
      do: fc.constant("put" as const),
      pod: fc.nat(9),
      node: fc.nat(4),
      app: fc.constantFrom("x", "y"),
      deleting: fc.boolean(),
    }),
    fc.record({ do: fc.constant("remove" as const), pod: fc.nat(9) }),
    fc.record({ do: fc.constant("move" as const), node: fc.nat(4), zone: fc.constantFrom("a", "b", "c", undefined) }),
    fc.record({ do: fc.constant("drop" as const), node: fc.nat(4) }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const subject = lab(names.map((name, i) => node(name, { zone: ["a", "b", "c"][i % 3] })));
      subject.filter(target(constraint())); // The tally exists from the start.
      const nodes = new Map(names.map((name, i) => [name, node(name, { zone: ["a", "b", "c"][i % 3] })]));
      const placed = new Map<string, Pod>();
      for (const one of steps) {
        if (one.do === "put") {
          const added = pod(`q${one.pod}`, { labels: { app: one.app }, node: names[one.node], deleting: one.deleting });
          placed.set(added.metadata.uid, added);
          subject.cache.setPod(added);
        } else if (one.do === "remove") {
          placed.delete(`uid-q${one.pod}`);
          subject.cache.removePod(`uid-q${one.pod}`);
        } else if (one.do === "move") {
          const moved = node(names[one.node]!, { zone: one.zone });
          nodes.set(moved.metadata.name, moved);
          subject.cache.addNode(moved);
        } else {
          nodes.delete(names[one.node]!);
          subject.cache.removeNode(names[one.node]!);
        }
      }
      const counts = new Map<string, number>();
      for (const { metadata } of nodes.values()) {
        const zone = metadata.labels![ZONE];
        if (zone !== undefined) counts.set(zone, counts.get(zone) ?? 0);
      }
      for (const { metadata, spec } of placed.values()) {
        const zone = nodes.get(spec.nodeName!)?.metadata.labels![ZONE];
        if (zone === undefined || metadata.labels!["app"] !== "x" || metadata.deletionTimestamp !== undefined) continue;
        counts.set(zone, counts.get(zone)! + 1);
      }
      const least = Math.min(...counts.values());
      const expected = Object.fromEntries(
        [...nodes].map(([name, { metadata }]) => {
          const zone = metadata.labels![ZONE];
          if (zone === undefined)
            return [name, "!node(s) didn't match pod topology spread constraints (missing required label)"];
          return [name, counts.get(zone)! + 1 - least > 1 ? SKEWED : "fits"];
        }),
      );
      assert.deepEqual(subject.filter(target(constraint())), expected);
    }),
    { numRuns: 200 },
  );
});
