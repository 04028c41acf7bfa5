import assert from "node:assert/strict";
import { test } from "node:test";
import { Simulation } from "../../testing/sim/simulation.ts";
import { FlowControl } from "../flow-control/flow-control.ts";
import { WatchTracker } from "../flow-control/watch-tracker.ts";
import type { ApiRequest, ApiResponse, RawResponse } from "../request.ts";
import { requestInfo } from "../request-info.ts";
import { priorityAndFairness } from "./priority-and-fairness.ts";

/** One level with one seat and one queue of two. */
function setup() {
  const clock = new Simulation();
  const flow = new FlowControl(1, () => clock.monotonic());
  const spec = { nominalConcurrencyShares: 1, lendablePercent: 0, borrowingLimitPercent: 0 };
  const queuing = { queues: 1, handSize: 1, queueLengthLimit: 2 };
  const level: any = {
    metadata: { name: "one", uid: "level-uid" },
    spec: { type: "Limited", limited: { ...spec, limitResponse: { type: "Queue", queuing } } },
  };
  const none: any = {
    metadata: { name: "catch-all" },
    spec: { type: "Limited", limited: { ...spec, nominalConcurrencyShares: 0, limitResponse: { type: "Reject" } } },
  };
  const subjects = [{ kind: "Group", group: { name: "*" } }];
  const everything = { verbs: ["*"], apiGroups: ["*"], resources: ["*"], clusterScope: true, namespaces: ["*"] };
  const schema: any = {
    metadata: { name: "all", uid: "schema-uid" },
    spec: {
      matchingPrecedence: 5,
      priorityLevelConfiguration: { name: "one" },
      rules: [{ subjects, resourceRules: [everything] }],
    },
  };
  flow.digest([level, none], [schema]);
  const watches = new WatchTracker();
  const filter = priorityAndFairness({ clock, flow, watches, requestTimeoutMs: 60_000, stored: () => undefined });
  const ends: (() => void)[] = [];
  const ask = (url = "/api/v1/namespaces/a/pods/x", signal = new AbortController().signal) => {
    const [path, search] = url.split("?");
    const query = new URLSearchParams(search);
    const request = {
      info: requestInfo("GET", path!, query),
      query,
      exchange: {},
      user: { name: "bob", groups: [] },
      responseHeaders: new Map(),
      atEnd: [],
      signal,
    } as unknown as ApiRequest;
    const answer = filter(
      request,
      () =>
        new Promise<ApiResponse>((resolve) =>
          ends.push(() => resolve({ kind: request.info.verb === "list" ? "list" : "taken" } as ApiResponse)),
        ),
    ) as Promise<RawResponse>;
    return { request, answer };
  };
  return { clock, flow, watches, ask, ends };
}

test("an answer names the schema and the level, and a refusal says when to come back", async () => {
  const { ask, ends } = setup();
  const first = ask();
  const waiting = [ask(), ask()];
  const { request, answer } = ask();
  const refused = await answer;
  assert.equal(refused.status, 429);
  assert.equal(refused.body, "Too many requests, please try again later.\n");
  assert.deepEqual(refused.headers, {
    "content-type": "text/plain; charset=utf-8",
    "x-content-type-options": "nosniff",
    "retry-after": "1",
  });
  assert.deepEqual(Object.fromEntries(request.responseHeaders), {
    "x-kubernetes-pf-flowschema-uid": "schema-uid",
    "x-kubernetes-pf-prioritylevel-uid": "level-uid",
  });
  for (const one of [first, ...waiting]) {
    ends.shift()!();
    assert.equal((await one.answer).kind, "taken");
  }
});

test("a request waits in a queue for at most a quarter of its timeout", async () => {
  const { clock, ask } = setup();
  ask();
  for (const [url, ms] of [
    ["/api/v1/namespaces/a/pods/x", 15_000],
    ["/api/v1/namespaces/a/pods/x?timeout=8s", 2_000],
  ] as const) {
    const started = clock.monotonic();
    let status = 0;
    void ask(url).answer.then((answer) => (status = answer.status));
    await clock.until(() => status !== 0, started + 20_000);
    assert.deepEqual([status, clock.monotonic() - started], [429, ms]);
  }
});

test("a client that goes away leaves the queue", async () => {
  const { ask, flow } = setup();
  ask();
  const gone = new AbortController();
  const { answer } = ask(undefined, gone.signal);
  assert.equal(flow.levels.get("one")!.queues.waiting, 1);
  gone.abort();
  assert.equal((await answer).status, 429);
  assert.equal(flow.levels.get("one")!.queues.waiting, 0);
});

test("a watch gives its seat back when it has begun, and counts until it ends", async () => {
  const { ask, ends, flow, watches } = setup();
  const { request, answer } = ask("/api/v1/pods?watch=1&resourceVersion=5");
  assert.equal(flow.levels.get("one")!.queues.seatsInUse, 1);
  ends.shift()!();
  await answer;
  assert.equal(flow.levels.get("one")!.queues.seatsInUse, 0);
  const write = requestInfo("POST", "/api/v1/namespaces/a/pods", new URLSearchParams());
  assert.equal(watches.interestedIn(write), 1);
  for (const end of request.atEnd) end({ code: 200 });
  assert.equal(watches.interestedIn(write), 0);
});

test("a list keeps its seats until its last piece has left, or its client doesn't read", async () => {
  const { ask, ends, flow } = setup();
  const { queues } = flow.levels.get("one")!;
  const read = ask("/api/v1/pods");
  ends.shift()!();
  await read.answer;
  assert.equal(queues.seatsInUse, 1);
  for (const end of read.request.atEnd) end({ code: 200 });
  assert.equal(queues.seatsInUse, 0);
  const unread = ask("/api/v1/pods");
  ends.shift()!();
  await unread.answer;
  unread.request.onStall!();
  assert.equal(queues.seatsInUse, 0);
  for (const end of unread.request.atEnd) end({ code: 200 });
  assert.equal(queues.executing, 0);
});
