/**
 * The architecture, as a test: which folder may import which, who may touch the machine, that registries are whole, that nothing lies about
 * unused, and that the guides name files that exist.
 */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync } from "node:fs";
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
  [/Math\.random\(|randomUUID\(|randomBytes\(|randomFill|getRandomValues\(/, "world.random"],
  [/localeCompare\(|\.toLocale/, "< and >: order and text must not depend on the machine's language"],
  [
    /from "node:(fs|net|http|https|http2|tls|dns|dgram|child_process|worker_threads|os)/,
    "world.fs, world.net or world.host",
  ],
  [
    /crypto\.subtle|promisify\(|\b(scrypt|pbkdf2|hkdf|generateKeyPair|generateKey)\(|create(Gzip|Gunzip|Deflate|Inflate)\(/,
    "the synchronous calls of node:crypto and node:zlib: thread-pool work finishes in an order we do not choose",
  ],
  [/new WeakRef\(|FinalizationRegistry/, "explicit dispose: garbage collection has no order"],
  [
    /process\.(env|exit|stdout|stderr|on|uptime|cpuUsage|memoryUsage)\b|console\./,
    "configuration passed in, or a Logger",
  ],
];

/** Families whose members are listed in one place: the registry, where its members are, and how one is known. */
const REGISTRIES: readonly (readonly [registry: string, members: string, declares: RegExp])[] = [
  ["src/api/index.ts", "src/api/*/*/*/resource.ts", /defineResource[<(]/],
  ["src/apiserver/admission/plugins/index.ts", "src/apiserver/admission/plugins/*.ts", /defineAdmission\(/],
  ["src/apiserver/filters/index.ts", "src/apiserver/filters/*.ts", /\bFilter\b/],
  ["src/cli/commands/index.ts", "src/cli/commands/*.ts", /defineCommand\(/],
  ["src/controllers/index.ts", "src/controllers/*/controller.ts", /defineController\(/],
  ["src/kubelet/volumes/index.ts", "src/kubelet/volumes/*.ts", /: VolumeKind = /],
  ["src/proxy/backends/index.ts", "src/proxy/backends/*/apply.ts", /: Backend\b/],
  ["src/scheduler/plugins/index.ts", "src/scheduler/plugins/*.ts", /definePlugin[<(]/],
];

/** Written and tested, and not in use: what is missing before they are. */
const WRITTEN_AHEAD: Readonly<Record<string, string>> = {};

const files = globSync("src/**/*.ts").filter((file) => !file.endsWith(".test.ts"));
const texts = new Map(files.map((file) => [file, readFileSync(file, "utf8")]));

/** The files that a file imports, also those it loads later. */
function importsOf(file: string, text: string): readonly string[] {
  return [...text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)"/g)].map(([, path]) => join(dirname(file), path!));
}

/** All files that can be reached from `roots`. */
function reachable(roots: readonly string[]): ReadonlySet<string> {
  const reached = new Set<string>();
  const queue = [...roots];
  for (let file = queue.pop(); file !== undefined; file = queue.pop()) {
    if (reached.has(file) || !existsSync(file)) continue; // A generator names files in what it writes.
    reached.add(file);
    queue.push(...importsOf(file, texts.get(file) ?? readFileSync(file, "utf8")));
  }
  return reached;
}

test("folders import only what the table allows", () => {
  assert.ok(files.length > 20, "the glob found no source files");
  const broken: string[] = [];
  for (const file of files) {
    const from = file.split("/")[1]!;
    const allowed = MAY_IMPORT[from];
    assert.ok(allowed, `${file}: add the folder "${from}" to the table`);
    for (const imported of importsOf(file, texts.get(file)!)) {
      const to = relative("src", imported).split("/")[0]!;
      if (to !== from && !allowed.includes(to) && !allowed.includes("*")) broken.push(`${file} imports ${to}`);
    }
  }
  assert.deepEqual(broken, []);
});

test("only world/node, cli and testing touch time, chance, files or sockets", () => {
  const broken: string[] = [];
  for (const file of files.filter((file) => !/^src\/(world\/node|cli|testing)\//.test(file))) {
    texts
      .get(file)!
      .split("\n")
      .forEach((line, i) => {
        if (/^\s*(\/\/|\*|\/\*)/.test(line)) return;
        for (const [pattern, instead] of ESCAPES)
          if (pattern.test(line)) broken.push(`${file}:${i + 1}: use ${instead}`);
      });
  }
  assert.deepEqual(broken, []);
});

test("no module has mutable state, except in world/node, cli and testing", () => {
  const broken: string[] = [];
  for (const file of files.filter((file) => !/^src\/(world\/node|cli|testing)\//.test(file))) {
    for (const [line] of texts
      .get(file)!
      .matchAll(/^(export )?(let |const \w+ = (new (Map|Set|WeakMap|WeakSet)\b[^;]*\(\)|\[\]);).*/gm))
      broken.push(`${file}: ${line}: put it into an object that someone makes, or declare it readonly`);
  }
  assert.deepEqual(broken, []);
});

test("a registry lists every member of its family", () => {
  for (const [registry, members, declares] of REGISTRIES) {
    const listed = importsOf(registry, texts.get(registry)!);
    const family = globSync(members).filter((file) => file !== registry && declares.test(texts.get(file) ?? ""));
    assert.ok(family.length > 0, `no file of ${members} looks like a member: mend the table`);
    assert.deepEqual(
      family.filter((file) => !listed.includes(file)),
      [],
      `${registry} doesn't list these`,
    );
  }
});

test("every folder has a file that opens with what it is for", () => {
  const folders = new Map<string, boolean>();
  for (const [file, text] of texts) {
    const folder = dirname(file);
    folders.set(folder, folders.get(folder) === true || text.startsWith("/**") || text.startsWith("// Generated"));
  }
  assert.deepEqual(
    [...folders].filter(([, opens]) => !opens).map(([folder]) => folder),
    [],
  );
});

test("every file is used by the command line, a tool or a benchmark", () => {
  const used = reachable([
    "src/cli/main.ts",
    "src/cli/library.ts",
    "src/testing/index.ts",
    ...globSync("{tools,bench}/**/*.ts"),
    ...Object.keys(WRITTEN_AHEAD),
  ]);
  const tested = reachable(globSync(["src/**/*.test.ts", "test/**/*.ts"]));
  const isForTests = (file: string) => /^src\/(testing|apiserver\/testing)\//.test(file) && tested.has(file);
  assert.deepEqual(
    files.filter((file) => !used.has(file) && !isForTests(file)),
    [],
    "import these, delete them, or say in WRITTEN_AHEAD what they wait for",
  );
});

test("the guides name files that exist", () => {
  const tree = [...globSync("{src,test,tools,bench,bin}/**")];
  const exists = (path: string) => tree.some((entry) => entry === path || entry.endsWith(`/${path}`));
  const broken: string[] = [];
  for (const guide of ["README.md", "ARCHITECTURE.md", "CONTRIBUTING.md", ...globSync("docs/{,*/}README.md")]) {
    const text = readFileSync(guide, "utf8");
    for (const [, target] of text.matchAll(/\]\(([^)#:]+)\)/g))
      if (!existsSync(join(dirname(guide), target!))) broken.push(`${guide}: ${target}`);
    for (const [, path] of text.matchAll(/`((?:[\w.<>*-]+\/)+[\w.<>*-]*)`/g)) {
      const plain = path!.replace(/\/$/, "");
      const found = /[<*]/.test(plain)
        ? globSync(`{.,src/**}/${plain.replace(/<\w+>/g, "*")}`).length > 0
        : exists(plain);
      if (!found) broken.push(`${guide}: ${path}`);
    }
  }
  assert.deepEqual(broken, []);
});
