import assert from "node:assert/strict";
import { test } from "node:test";
import type { WatchResponse } from "../../protocols/etcd/generated.ts";
import { WatchVerifier } from "./watch-verifier.ts";

const answer = (partial: Partial<WatchResponse>, ...revisions: number[]): WatchResponse => ({
  header: { cluster_id: 1n, member_id: 1n, revision: revisions.at(-1) ?? 1, raft_term: 1 },
  watch_id: 0n,
  created: false,
  canceled: false,
  compact_revision: 0,
  cancel_reason: "",
  fragment: false,
  events: revisions.map((mod_revision) => ({
    type: "PUT" as const,
    kv: {
      key: new Uint8Array(1),
      value: new Uint8Array(0),
      create_revision: 1,
      mod_revision,
      version: 1,
      lease: 0n,
    },
  })),
  ...partial,
});

test("answers that are in order pass", () => {
  const verifier = new WatchVerifier();
  for (const one of [
    answer({ created: true }),
    answer({}, 2, 2, 3),
    answer({ fragment: true }, 4),
    answer({}, 4),
    answer({ watch_id: -1n }),
    answer({ watch_id: -1n, created: true, canceled: true }),
    answer({ canceled: true }),
    answer({ created: true }),
  ])
    verifier.check(one);
});

test("what can't be is told", () => {
  for (const [what, ...answers] of [
    [/created and canceled/, answer({ created: true, canceled: true })],
    [/before it is created/, answer({}, 2)],
    [/created twice/, answer({ created: true }), answer({ created: true })],
    [/revision 3 after 3/, answer({ created: true }), answer({}, 3), answer({}, 3)],
    [/revision 2 after 3/, answer({ created: true }), answer({}, 3), answer({}, 2)],
    [
      /from the future/,
      answer({ created: true }),
      answer({ header: { cluster_id: 1n, member_id: 1n, revision: 2, raft_term: 1 } }, 3),
    ],
  ] as const) {
    const verifier = new WatchVerifier();
    assert.throws(() => answers.forEach((one) => verifier.check(one)), what);
  }
});
