/** The architecture, as a test: which folder may import which, and who may touch the machine. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { dirname, join, relative } from "node:path";
import { test } from "node:test";

/** Lowest first. A folder may import itself and the folders named beside it. This table is the architecture. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  base: [],
  world: ["base"],
  observe: ["base", "world"],
  raft: ["base"],
  machinery: ["base", "world", "observe"],
  wire: ["base", "world", "observe", "machinery"],
  protocols: ["base", "world", "machinery", "wire"],
  api: ["base", "machinery"],
  client: ["base", "world", "observe", "machinery", "wire", "api"],
  // The components. None of them imports another: they meet in protocols, api and client.
  etcd: ["base", "world", "observe", "machinery", "wire", "protocols", "raft"],
  apiserver: ["base", "world", "observe", "machinery", "wire", "protocols", "api", "client"],
  controllers: ["base", "world", "observe", "machinery", "api", "client"],
  scheduler: ["base", "world", "observe", "machinery", "api", "client"],
  kubelet: ["base", "world", "observe", "machinery", "wire", "protocols", "api", "client"],
  proxy: ["base", "world", "observe", "machinery", "api", "client"],
  dns: ["base", "world", "observe", "machinery", "api", "client"],
  cli: ["*"], // Puts components together.
  testing: ["*"], // Nothing but tests imports it.
};

/** What only `world/node`, `cli` and `testing` may touch, and what everyone else uses instead. */
const ESCAPES: readonly (readonly [RegExp, string])[] = [
  [/\bDate\.now\(|new Date\(\)|performance\.now\(|process\.hrtime/, "world.clock"],
  [
    /\bsetTimeout\(|\bsetInterval\(|\bsetImmediate\(|AbortSignal\.timeout\(|node:timers/,
    "clock.after or sleep(clock, ms, signal)",
  ],
  [/Math\.random\(|randomUUID\(|randomBytes\(/, "world.random"],
  [
    /from "node:(fs|net|http|https|http2|tls|dns|dgram|child_process|worker_threads|os)/,
    "world.fs, world.net or world.host",
  ],
  [
    /crypto\.subtle|promisify\(scrypt/,
    "the synchronous node:crypto calls: thread-pool work finishes in an order we do not choose",
  ],
  [/new WeakRef\(|FinalizationRegistry/, "explicit dispose: garbage collection has no order"],
  [/process\.(env|exit|stdout|stderr|on)\b|console\./, "configuration passed in, or a Logger"],
];

const files = globSync("src/**/*.ts").filter((file) => !file.endsWith(".test.ts"));

test("folders import only what the table allows", () => {
  assert.ok(files.length > 20, "the glob found no source files");
  const broken: string[] = [];
  for (const file of files) {
    const from = file.split("/")[1]!;
    const allowed = MAY_IMPORT[from];
    assert.ok(allowed, `${file}: add the folder "${from}" to the table`);
    for (const [, specifier] of readFileSync(file, "utf8").matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)) {
      const to = relative("src", join(dirname(file), specifier!)).split("/")[0]!;
      if (to !== from && !allowed.includes(to) && !allowed.includes("*")) broken.push(`${file} imports ${to}`);
    }
  }
  assert.deepEqual(broken, []);
});

test("only world/node, cli and testing touch time, chance, files or sockets", () => {
  const broken: string[] = [];
  for (const file of files.filter((file) => !/^src\/(world\/node|cli|testing)\//.test(file))) {
    readFileSync(file, "utf8")
      .split("\n")
      .forEach((line, i) => {
        if (/^\s*(\/\/|\*|\/\*)/.test(line)) return;
        for (const [pattern, instead] of ESCAPES)
          if (pattern.test(line)) broken.push(`${file}:${i + 1}: use ${instead}`);
      });
  }
  assert.deepEqual(broken, []);
});
