import assert from "node:assert/strict";
import { test } from "node:test";
import type { EtcdProcess } from "../etcd-processes.ts";
import { masked } from "./etcdctl.ts";

const server = { endpoint: "http://127.0.0.1:1", peerUrl: "http://127.0.0.1:2" } as EtcdProcess;

const table = (id: string): string => {
  const rule = `+${"-".repeat(id.length + 2)}+---------+`;
  return [rule, `| ${"ID".padStart(id.length / 2)} | STATUS  |`, rule, `| ${id} | started |`, rule, ""].join("\n");
};

test("tables of ids of fifteen digits and of sixteen are the same, and others' are not", () => {
  const narrow = masked(table("1234567890abcde"), server);
  assert.equal(narrow, masked(table("1234567890abcdef"), server));
  assert.notEqual(narrow, masked(table("1234567890abcdef").replace("started", "stopped"), server));
  assert.notEqual(narrow, masked(table("1234567890abcdef").replaceAll(/\|[^|]*\|$/gm, "|"), server));
});
