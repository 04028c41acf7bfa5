/**
 * `npm run suite` runs the API server's tests on etcds that are one: on ours in this process, on ours in this process with watches that come late, on
 * ours over gRPC and on Debian's, in turn. `npm test` has them on a stand-in. `npm run suite -- grpc` runs one of them, as do `process` and `late`, and
 * so does the path of another etcd. `--short` keeps to the tests of storage.
 */
import { spawnSync } from "node:child_process";
import { globSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { EtcdOfSuite } from "../src/testing/etcd-of-suite.ts";

const { values, positionals } = parseArgs({ options: { short: { type: "boolean" } }, allowPositionals: true });
const root = join(import.meta.dirname, "..");
const SHORT = [
  "apiserver",
  "reads",
  "bootstrap/several-servers",
  "encryption/encryption",
  "registry/specials/allocation",
];
/** Those of whole components that are given a server. */
const BEYOND = ["rules", "match-conditions", "admission-policies", "scheduler", "controllers"];
const files = values.short
  ? SHORT.map((name) => `src/apiserver/${name}.test.ts`)
  : [
      ...globSync("src/apiserver/**/*.test.ts", { cwd: root }),
      ...BEYOND.map((name) => `test/integration/${name}.test.ts`),
    ];

let isWell = true;
const etcds: readonly EtcdOfSuite[] =
  positionals.length > 0 ? positionals : ["process", "late", "grpc", "/usr/bin/etcd"];
for (const etcd of etcds) {
  console.log(`on ${etcd}`);
  const { status } = spawnSync(
    process.execPath,
    [
      "--disable-warning=ExperimentalWarning",
      "--import=./src/testing/etcd-of-suite.ts",
      "--test",
      "--test-isolation=none",
      "--test-force-exit",
      "--test-timeout=120000",
      "--test-reporter=dot",
      ...files,
    ],
    { cwd: root, stdio: "inherit", env: { ...process.env, NODE_ENV: "test", T8S_SUITE_ETCD: etcd } },
  );
  isWell &&= status === 0;
}
process.exitCode = isWell ? 0 : 1;
