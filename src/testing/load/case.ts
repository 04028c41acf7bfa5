/** What a case of load is, and what all of them need: who asks, how pods are made, and how long things may take. */
import assert from "node:assert/strict";
import { askWell, connected, type Connection, drive, type Target } from "./https.ts";
import type { LoadServer } from "./server.ts";

export interface Sizes {
  readonly watchers: number;
  readonly writesPerSecond: number;
  readonly seconds: number;
  readonly listers: number;
  readonly pods: number;
  readonly customObjects: number;
  readonly objects: number;
}

export interface Surroundings {
  readonly server: LoadServer;
  /** A user without privileges, to whom queues and roles apply. */
  readonly user: Target;
  readonly sizes: Sizes;
  say(text: string): void;
  /** The load is on: from here on the prober counts, and what is used is noted. */
  begin(): Promise<void>;
  /** The load is over: what follows is checks. */
  end(): Promise<void>;
}

export interface Account {
  /** What was done, for the table. */
  readonly reached: string;
  /** What there had to be a second, and what there was. */
  readonly pace?: readonly { readonly what: string; readonly asked: number; readonly reached: number }[];
  /** What wasn't as it has to be. */
  readonly short: readonly string[];
}

export interface LoadCase {
  readonly name: string;
  readonly about: string;
  size(sizes: Sizes): string;
  /** What of the server's memory it may take in all, in MB. */
  readonly maxMb: (sizes: Sizes) => number;
  /** Of the server's program. */
  readonly words?: (sizes: Sizes) => readonly string[];
  readonly nodeArgs?: readonly string[];
  run(around: Surroundings): Promise<Account>;
}

export const json = (value: unknown): Buffer => Buffer.from(JSON.stringify(value));

export const PODS = "/api/v1/namespaces/default/pods";
export const pod = (name: string, nodeName = "none", annotations: Readonly<Record<string, string>> = {}) => ({
  apiVersion: "v1",
  kind: "Pod",
  metadata: { name, labels: { app: "load" }, annotations },
  spec: {
    schedulerName: "nobody",
    nodeName,
    containers: [{ name: "main", image: "example.com/app:1", env: [{ name: "A", value: "b" }] }],
  },
});

export const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** Makes objects as fast as they are taken, 64 at a time; so many a second there were. */
export async function create(
  target: Target,
  path: string,
  count: number,
  body: (i: number) => Uint8Array,
): Promise<number> {
  const connections = await connected(target, "HTTP/2", 8);
  const { firstError, latencies, seconds } = await drive(connections, 64, { requests: count }, (i) => ({
    method: "POST",
    path,
    body: body(i),
  }));
  for (const connection of connections) connection.close();
  assert.equal(firstError, "");
  return latencies.length / seconds;
}

export async function versionOf(connection: Connection, path: string): Promise<string> {
  return JSON.parse(String(await askWell(connection, { method: "GET", path: `${path}?limit=1` }))).metadata
    .resourceVersion;
}
