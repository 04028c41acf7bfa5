import assert from "node:assert/strict";
import { test } from "node:test";
import type { UserInfo } from "../authn/user.ts";
import builtIn from "../bootstrap/flow-control.json" with { type: "json" };
import { requestInfo } from "../request-info.ts";
import { allocate } from "./allocation.ts";
import { tabulate } from "./dump.ts";
import { estimateWork } from "./estimate.ts";
import { FlowControl } from "./flow-control.ts";
import { conditionOf, repair } from "./keep.ts";
import { formatNanoTime } from "./nano-time.ts";
import { ONE_SEAT } from "./queue-set.ts";
import { RetryAfter } from "./retry-after.ts";
import { WatchTracker } from "./watch-tracker.ts";

const LEVELS = builtIn.priorityLevelConfigurations as any[];
const SCHEMAS = builtIn.flowSchemas as any[];

function flowControl(): { readonly flow: FlowControl; pass(ms: number): void } {
  let now = 0;
  const flow = new FlowControl(600, () => now);
  flow.digest(LEVELS, SCHEMAS);
  return { flow, pass: (ms) => void (now += ms) };
}
const user = (name: string, ...groups: string[]): UserInfo => ({ name, groups: [...groups, "system:authenticated"] });
const account = (namespace: string) =>
  user(`system:serviceaccount:${namespace}:a`, "system:serviceaccounts", `system:serviceaccounts:${namespace}`);

test("a request belongs to the schema that upstream's built-in ones give it", () => {
  const { flow } = flowControl();
  const node = user("system:node:n1", "system:nodes");
  const pods = "/api/v1/namespaces/default/pods";
  const lease = "/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/a";
  for (const [who, method, url, schema, level] of [
    [user("admin", "system:masters"), "GET", pods, "exempt", "exempt"],
    [user("bob"), "GET", "/healthz", "probes", "exempt"],
    [user("bob"), "GET", "/readyz/etcd", "probes", "exempt"],
    [user("bob"), "POST", "/healthz", "global-default", "global-default"],
    [{ name: "system:anonymous", groups: ["system:unauthenticated"] }, "GET", "/livez", "probes", "exempt"],
    [user("system:kube-scheduler"), "PUT", lease, "system-leader-election", "leader-election"],
    [account("kube-system"), "PUT", lease, "system-leader-election", "leader-election"],
    [account("other"), "PUT", lease, "service-accounts", "workload-low"],
    [node, "PATCH", "/api/v1/nodes/n1/status", "system-node-high", "node-high"],
    [node, "GET", pods, "system-nodes", "system"],
    [user("system:kube-controller-manager"), "GET", pods, "kube-controller-manager", "workload-high"],
    [user("system:kube-scheduler"), "GET", pods, "kube-scheduler", "workload-high"],
    [account("kube-system"), "GET", pods, "kube-system-service-accounts", "workload-high"],
    [account("default"), "GET", pods, "service-accounts", "workload-low"],
    [user("bob"), "GET", pods, "global-default", "global-default"],
    [{ name: "nobody", groups: [] }, "GET", pods, "catch-all", "catch-all"],
  ] as const) {
    const found = flow.classify(requestInfo(method, url, new URLSearchParams()), who);
    assert.deepEqual([found.name, found.level.name], [schema, level], `${who.name} ${method} ${url}`);
  }
});

test("600 seats are shared as upstream shares them", () => {
  const { flow } = flowControl();
  const nominal = Object.fromEntries([...flow.levels].map(([name, level]) => [name, level.nominal]));
  assert.deepEqual(nominal, {
    exempt: 0,
    "catch-all": 13,
    system: 74,
    "node-high": 98,
    "leader-election": 25,
    "workload-high": 98,
    "workload-low": 245,
    "global-default": 49,
  });
  const level = flow.levels.get("workload-low")!;
  assert.deepEqual([level.lower, level.upper, level.maxSeats], [245 - 221, 845, 37]);
  assert.equal(flow.levels.get("global-default")!.maxSeats, 8);
});

test("a level borrows what others don't use, and gives it back when they do", () => {
  const { flow, pass } = flowControl();
  const busy = flow.levels.get("global-default")!;
  const bob = user("bob");
  const get = requestInfo("GET", "/api/v1/pods/a", new URLSearchParams());
  const schema = flow.classify(get, bob);
  const tickets = Array.from({ length: 200 }, () =>
    busy.queues.start(0, schema.flowOf(get, bob), ONE_SEAT, undefined)!,
  );
  for (let period = 0; period < 3; period++) {
    pass(10_000);
    flow.adjust();
  }
  assert.ok(busy.queues.limit >= 200, `${busy.queues.limit} seats for 200 requests`);
  assert.ok(tickets.every(({ state }) => state === "executing"));
  const others = flow.levels.get("workload-low")!;
  assert.ok(others.queues.limit >= others.lower);
  for (const ticket of tickets) busy.queues.finish(ticket, 30_000);
  for (let period = 0; period < 200; period++) {
    pass(10_000);
    flow.adjust();
  }
  assert.ok(busy.queues.limit < 120, `${busy.queues.limit} seats for no requests`);
});

test("seats are shared by demand within the bounds", () => {
  const table: [number, [target: number, lower: number, upper: number][], number[] | undefined][] = [
    [
      10,
      [
        [5, 0, 10],
        [5, 0, 10],
      ],
      [5, 5],
    ],
    [
      10,
      [
        [1, 0, 10],
        [4, 0, 10],
      ],
      [2, 8],
    ],
    [
      10,
      [
        [9, 4, 6],
        [1, 1, 10],
      ],
      [6, 4],
    ],
    [
      10,
      [
        [2, 2, 3],
        [2, 1, 3],
        [100, 0, 100],
      ],
      [2, 1, 7],
    ],
    [
      10,
      [
        [5, 5, 6],
        [5, 5, 9],
      ],
      [5, 5],
    ],
    [
      5,
      [
        [5, 5, 6],
        [5, 5, 9],
      ],
      undefined,
    ],
    [
      50,
      [
        [5, 5, 6],
        [5, 5, 9],
      ],
      undefined,
    ],
    [0, [[0, 0, 6]], [0]],
    [
      4,
      [
        [0, 0, 6],
        [0, 0, 6],
      ],
      [2, 2],
    ],
  ];
  for (const [sum, claims, expected] of table) {
    const shared = allocate(
      sum,
      claims.map(([target, lower, upper]) => ({ target, lower, upper })),
    );
    assert.deepEqual(
      shared?.seats.map((seats) => Math.round(seats)),
      expected,
      JSON.stringify([sum, claims]),
    );
  }
});

test("a schema without its level is passed over, and says so", () => {
  const { flow } = flowControl();
  const lost = {
    ...SCHEMAS.find(({ metadata }) => metadata.name === "global-default"),
    metadata: { name: "lost" },
    spec: { ...SCHEMAS.find(({ metadata }) => metadata.name === "global-default").spec, matchingPrecedence: 50 },
  };
  lost.spec.priorityLevelConfiguration = { name: "nowhere" };
  const references = flow.digest(LEVELS, [...SCHEMAS, lost]);
  const get = requestInfo("GET", "/api/v1/pods", new URLSearchParams());
  assert.equal(flow.classify(get, user("bob")).name, "global-default");
  const reference = references.find(({ schema }) => schema.metadata.name === "lost")!;
  assert.deepEqual(conditionOf(reference, Date.UTC(2030, 0, 1)), {
    type: "Dangling",
    status: "True",
    reason: "NotFound",
    message:
      'This FlowSchema references the PriorityLevelConfiguration object named "nowhere" but there is no such object',
    lastTransitionTime: "2030-01-01T00:00:00Z",
  });
});

test("without any object the mandatory ones are in force", () => {
  const flow = new FlowControl(600, () => 0);
  assert.deepEqual([...flow.levels.keys()].sort(), ["catch-all", "exempt"]);
  const get = requestInfo("GET", "/api/v1/pods", new URLSearchParams());
  assert.equal(flow.classify(get, user("bob")).name, "catch-all");
  assert.equal(flow.classify(get, user("bob", "system:masters")).name, "exempt");
});

test("a level that is deleted works on until its requests are over", () => {
  const { flow } = flowControl();
  const level = flow.levels.get("workload-low")!;
  const get = requestInfo("GET", "/api/v1/pods/a", new URLSearchParams());
  const who = account("default");
  const ticket = level.queues.start(0, flow.classify(get, who).flowOf(get, who), ONE_SEAT, undefined)!;
  const without = LEVELS.filter(({ metadata }) => metadata.name !== "workload-low");
  flow.digest(without, SCHEMAS);
  assert.equal(flow.levels.get("workload-low")!.quiescing, true);
  assert.equal(flow.classify(get, who).name, "global-default");
  let idle = 0;
  flow.onIdle = () => idle++;
  level.queues.finish(ticket, 1);
  flow.ended(level);
  assert.equal(idle, 1);
  flow.digest(without, SCHEMAS);
  assert.equal(flow.levels.has("workload-low"), false);
});

test("built-in objects are put right where nobody took them over", () => {
  const wanted = LEVELS.find(({ metadata }) => metadata.name === "system");
  const annotation = "apf.kubernetes.io/autoupdate-spec";
  const current = (generation: number, told: string | undefined, shares: number) => ({
    metadata: { name: "system", generation, ...(told !== undefined && { annotations: { [annotation]: told } }) },
    spec: { ...wanted.spec, limited: { ...wanted.spec.limited, nominalConcurrencyShares: shares } },
  });
  for (const [generation, told, shares, sharesAfter, toldAfter] of [
    [1, "true", 30, undefined, undefined],
    [3, "true", 31, 30, "true"],
    [1, undefined, 31, 30, "true"],
    [2, undefined, 31, 31, "false"],
    [2, "false", 31, undefined, undefined],
    [2, "what", 31, 31, "false"],
  ] as const) {
    const repaired = repair(current(generation, told, shares), wanted, false);
    assert.deepEqual(
      [repaired?.spec.limited.nominalConcurrencyShares, repaired?.metadata.annotations[annotation]],
      [sharesAfter, toldAfter],
      `${generation} ${told} ${shares}`,
    );
  }
  assert.equal(
    repair(current(2, "false", 31), wanted, true).spec.limited.nominalConcurrencyShares,
    30,
    "a mandatory object is nobody's to change",
  );
});

test("a request takes the seats that upstream guesses", () => {
  const stored = { objects: 10_000, averageBytes: 2_000 };
  for (const [method, url, watchers, maxSeats, expected] of [
    ["GET", "/api/v1/namespaces/d/pods/a", 0, 0, [1, 0, 0]],
    ["GET", "/healthz", 0, 0, [1, 0, 0]],
    ["GET", "/api/v1/pods", 0, 0, [10, 0, 0]],
    ["GET", "/api/v1/pods", 0, 8, [8, 0, 0]],
    ["GET", "/api/v1/pods?limit=100", 0, 0, [2, 0, 0]],
    ["GET", "/api/v1/pods?limit=500&continue=x", 0, 0, [10, 0, 0]],
    ["GET", "/api/v1/pods?limit=500&continue=x&labelSelector=a", 0, 0, [100, 0, 0]],
    ["GET", "/api/v1/pods?resourceVersionMatch=Exact&resourceVersion=5", 0, 0, [100, 0, 0]],
    ["GET", "/api/v1/pods?fieldSelector=metadata.name=a", 0, 0, [1, 0, 0]],
    ["GET", "/api/v1/pods?limit=many", 0, 0, [100, 0, 0]],
    ["GET", "/api/v1/pods?watch=1", 0, 0, [10, 0, 0]],
    ["GET", "/api/v1/pods?watch=1&resourceVersion=7", 0, 0, [1, 0, 0]],
    ["GET", "/api/v1/pods?watch=1&resourceVersion=7&sendInitialEvents=true", 0, 0, [10, 0, 0]],
    ["POST", "/api/v1/namespaces/d/pods", 9, 0, [1, 0, 0]],
    ["POST", "/api/v1/namespaces/d/pods", 25, 0, [1, 3, 5]],
    ["DELETE", "/api/v1/namespaces/d/pods/a", 1_000, 0, [1, 10, 50]],
    ["DELETE", "/api/v1/namespaces/d/pods/a", 1_000, 5, [1, 5, 100]],
    ["POST", "/api/v1/namespaces/d/serviceaccounts/a/token", 100, 0, [1, 0, 0]],
  ] as const) {
    const [path, search] = url.split("?");
    const query = new URLSearchParams(search);
    const work = estimateWork({
      info: requestInfo(method, path!, query),
      query,
      maxSeats,
      stored: () => stored,
      watchers: () => watchers,
    });
    assert.deepEqual([work.initialSeats, work.finalSeats, work.additionalLatencyMs], expected, `${method} ${url}`);
  }
});

test("watches count where a change would reach them", () => {
  const tracker = new WatchTracker();
  const info = (method: string, url: string) => {
    const [path, search] = url.split("?");
    return requestInfo(method, path!, new URLSearchParams(search));
  };
  const add = (url: string) => tracker.add(info("GET", `${url}${url.includes("?") ? "&" : "?"}watch=1`));
  const forget = [
    add("/api/v1/pods"),
    add("/api/v1/namespaces/a/pods"),
    add("/api/v1/namespaces/a/pods?fieldSelector=metadata.name=x"),
    add("/api/v1/pods?fieldSelector=spec.nodeName=n1"),
    add("/api/v1/namespaces/a/configmaps"),
  ];
  for (const [method, url, count] of [
    ["PUT", "/api/v1/namespaces/a/pods/x", 3],
    ["PUT", "/api/v1/namespaces/a/pods/y", 2],
    ["PUT", "/api/v1/namespaces/b/pods/x", 1],
    ["POST", "/api/v1/namespaces/a/configmaps", 1],
    ["POST", "/apis/apps/v1/namespaces/a/deployments", 0],
  ] as const)
    assert.equal(tracker.interestedIn(info(method, url)), count, url);
  for (const one of forget) one();
  assert.equal(tracker.interestedIn(info("PUT", "/api/v1/namespaces/a/pods/x")), 0);
});

test("who is sent away is told to come back later, the more are", () => {
  const retry = new RetryAfter();
  const seen: number[] = [];
  for (let second = 0; second < 6; second++) {
    for (let i = 0; i < 20; i++) retry.drop(second * 1000 + i);
    seen.push(retry.seconds);
  }
  assert.deepEqual(seen, [1, 2, 2, 4, 4, 4]);
  for (let second = 60; second < 180; second += 30) retry.drop(second * 1000);
  assert.equal(retry.seconds, 1);
});

test("tables and times are written as Go writes them", () => {
  assert.equal(
    tabulate([
      ["Name", "Count"],
      ["catch-all", "0"],
    ]),
    "Name,      Count\ncatch-all, 0\n",
  );
  assert.equal(formatNanoTime(Date.UTC(2030, 0, 1) + 0.25), "2030-01-01T00:00:00.00025Z");
  assert.equal(formatNanoTime(Date.UTC(2030, 0, 1)), "2030-01-01T00:00:00Z");
});
