import assert from "node:assert/strict";
import { test } from "node:test";
import type { Job } from "../../api/generated/batch.v1.ts";
import type { ClusterRole } from "../../api/generated/rbac.v1.ts";
import { msUntilExpiry } from "../ttl-after-finished/controller.ts";
import { aggregate } from "./controller.ts";

const role = (name: string, labels: Record<string, string>, verbs: string[], more: object = {}) =>
  ({
    metadata: { name, labels },
    rules: [{ apiGroups: [""], resources: ["pods"], verbs }],
    ...more,
  }) as unknown as ClusterRole;

test("an aggregated role has the rules of those it selects, by name, each once, and never its own", () => {
  const edit = role("edit", { to: "edit" }, ["stale"], {
    aggregationRule: { clusterRoleSelectors: [{ matchLabels: { to: "edit" } }, { matchLabels: { also: "x" } }] },
  });
  const all = [
    edit,
    role("b", { to: "edit" }, ["b"]),
    role("a", { to: "edit", also: "x" }, ["a"]),
    role("c", {}, ["c"]),
  ];
  assert.deepEqual(
    aggregate(edit, all).map(({ verbs }) => verbs),
    [["a"], ["b"]],
  );
});

test("a finished job lives as long as it was given", () => {
  const job = (ttl: number | undefined, type = "Complete") =>
    ({
      metadata: {},
      spec: { ttlSecondsAfterFinished: ttl },
      status: { conditions: [{ type, status: "True", lastTransitionTime: "2030-01-01T00:00:00Z" }] },
    }) as unknown as Job;
  const now = Date.parse("2030-01-01T00:00:10Z");
  assert.deepEqual(
    [
      msUntilExpiry(job(30), now),
      msUntilExpiry(job(5, "Failed"), now),
      msUntilExpiry(job(undefined), now),
      msUntilExpiry(job(5, "Suspended"), now),
    ],
    [20_000, 0, undefined, undefined],
  );
});
