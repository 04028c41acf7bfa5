/**
 * Every command of Debian's etcdctl in API 3, on Debian's etcd and on ours: the same lines in the same order, what a user sees compared. API 2 is in
 * `etcd-v2.test.ts`, users and roles at length in `etcd-auth.test.ts`. Skips where the machine has no etcd.
 */
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { EtcdProcesses, type EtcdProcess } from "../../src/testing/etcd-processes.ts";
import { etcdctl, masked, type Line } from "../../src/testing/oracle/etcdctl.ts";

const skip = existsSync("/usr/bin/etcd") && existsSync("/usr/bin/etcdctl") ? false : "no etcd on this machine";

const FORMS = ["simple", "json", "fields", "protobuf"] as const;
const inForms = (words: string): readonly string[] => FORMS.map((form) => `${words} -w ${form}`);

/** In order, on one store. What follows `<<<` is its input. */
const LINES: readonly (string | Line)[] = [
  "version",
  // put
  "put a 1",
  "put a 2 --prev-kv",
  "put b <<< from input",
  "put c",
  "put '' x",
  "put d 'two words'",
  "put -- -dash 1",
  "put a --ignore-value",
  "put missing --ignore-value",
  "put a x --ignore-value",
  "put a 3 --ignore-lease",
  "put a 3 --lease=zz",
  "put a 3 --lease=1234",
  "put binary '\u0001\u00ff'",
  ...inForms("put b 2 --prev-kv"),
  // get
  "get a",
  "get missing",
  "get",
  "get ''",
  "get a c d",
  "get a d",
  "get a --prefix",
  "get '' --prefix",
  "get '' --from-key",
  "get b --from-key",
  "get b --from-key --prefix",
  "get '' --prefix --limit=2",
  "get '' --prefix --rev=3",
  "get '' --prefix --rev=99",
  "get '' --prefix --keys-only",
  "get '' --prefix --count-only",
  "get '' --prefix --count-only -w fields",
  "get a --print-value-only",
  "get a --print-value-only -w json",
  "get '' --prefix --hex",
  "get a --consistency=s",
  "get a --consistency=l",
  "get a --consistency=x",
  ...["CREATE", "KEY", "MODIFY", "VALUE", "VERSION", "nonsense"].flatMap((by) => [
    `get '' --prefix --keys-only --sort-by=${by}`,
    `get '' --prefix --keys-only --sort-by=${by} --order=DESCEND`,
    `get '' --prefix --keys-only --sort-by=${by} --order=ASCEND`,
  ]),
  "get a --order=nonsense",
  ...inForms("get '' --prefix"),
  ...inForms("get a --limit 1"),
  "get a -w table",
  "get a -w nonsense",
  // del
  "del missing",
  "del d --prev-kv",
  "del binary -- x y",
  "del b c --prev-kv",
  "del c --from-key --prev-kv",
  "put p1 1",
  "put p2 2",
  "del p --prefix",
  ...FORMS.flatMap((form) => ["put gone 1", `del gone --prev-kv -w ${form}`]),
  // txn
  'txn <<< value("a") = "2"\\n\\nput t 1\\nget t\\n\\nput t 2\\n\\n',
  'txn <<< value("a") = "none"\\n\\nput t 1\\n\\nput t 2\\nget t\\ndel t\\n\\n',
  'txn <<< mod("a") > "0"\\ncreate("a") < "99"\\nversion("a") != "0"\\nlease("a") = "0"\\n\\nget a\\n\\n\\n',
  'txn -i <<< mod("a") > "0"\\n\\nget a\\n\\n\\n',
  "txn <<< nonsense\\n\\n\\n\\n",
  'txn <<< mod("a") > "x"\\n\\n\\n\\n',
  "txn <<< \\nput x 1\\nput x 2\\n\\n\\n",
  "txn <<< \\n\\n\\n",
  "txn extra",
  ...FORMS.map((form) => `txn -w ${form} <<< \\nput t 1\\nget t\\ndel t\\n\\n\\n`),
  // lease
  "lease grant nonsense",
  "lease grant",
  "lease grant 99999999999",
  "lease list",
  "lease grant 600 -w simple",
  "lease list",
  "lease revoke 1234",
  "lease revoke zz",
  "lease revoke",
  "lease timetolive 1234",
  "lease timetolive 1234 --keys",
  "lease timetolive 1234 -w fields",
  "lease keep-alive 1234",
  "lease keep-alive 1234 --once",
  "lease nonsense",
  "lease grant 0", // It is gone after two seconds: no list may follow.
  // watch
  { words: "watch a", until: /5\n$/, meanwhile: ["put a 5"] },
  { words: "watch a --prev-kv", until: /DELETE\n[^]*DELETE\n[^]*\n$|DELETE\na\n5\na\n/, meanwhile: ["del a"] },
  { words: "watch w --prefix --rev=1", until: /w2\ny\n$/, meanwhile: ["put w1 x", "put w2 y"] },
  { words: "watch w1 w3 --rev=1", until: /w2\ny\n$/ },
  { words: "watch w --prefix --rev=1 -w json", until: /"value":"eQ==".*\n/ },
  { words: "watch w --prefix --rev=1 -w fields", until: /"y"\n[^]*"Lease" : 0\n/ },
  {
    words: "watch w1 --rev=1 -- sh -c 'echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE'",
    until: /"PUT" "w1" "x"\n/,
  },
  { words: "watch -i", input: "watch w1 --rev 1\nwatch nonsense extra more\n", until: /w1\nx\n/ },
  { words: "watch -i", input: "watch w --prefix --rev 1 -- echo seen\n", until: /seen\n[^]*seen\n/ },
  "watch",
  "watch b a",
  // compaction, alarm, defrag
  "compaction 99999",
  "compaction 0",
  "compaction nonsense",
  "compaction",
  "compaction 10",
  "compaction 10",
  "compaction 12 --physical",
  "get a --rev=9",
  "watch w1 --rev=2",
  "alarm list",
  "alarm disarm",
  "alarm nonsense",
  "defrag",
  // endpoint
  "endpoint health",
  "endpoint health -w json",
  "endpoint hashkv",
  "endpoint hashkv --rev=99999",
  ...inForms("endpoint hashkv"),
  "endpoint hashkv -w table",
  "endpoint nonsense",
  // member
  "member list",
  ...inForms("member list").filter((words) => !words.endsWith("protobuf")), // It has the ids, which are not of one length.
  "member list -w table",
  "member add",
  "member add other",
  "member add other --peer-urls=nonsense",
  "member remove 1234",
  "member remove zz",
  "member update 1234 --peer-urls=http://127.0.0.1:1",
  "member update 1234",
  "member promote 1234",
  "member add learner --learner --peer-urls=http://127.0.0.1:1",
  "member list -w table",
  "member add second --learner --peer-urls=http://127.0.0.1:2",
  // lock and elect
  "lock l echo inside",
  "lock l sh -c 'exit 3'",
  "lock",
  { words: "lock l", until: /^l\/[0-9a-f]+\n/ },
  { words: "elect e me", until: /^e\/[0-9a-f]+\nme\n/ },
  { words: "elect e me --ttl=5", until: /^e\/[0-9a-f]+\nme\n/ },
  "elect e",
  "elect",
  // snapshots
  "snapshot save saved.db",
  "snapshot save",
  "snapshot status missing.db",
  "snapshot restore saved.db --data-dir restored",
  "snapshot restore saved.db --data-dir restored",
  // others
  "move-leader 1234",
  "move-leader",
  "make-mirror",
  "check datascale --load=nonsense",
  "check perf --load=nonsense",
  "nonsense",
  "help",
  "put --help",
  // leases by their ids, which are in the rows from here on, and so in their hashes
  ...inForms("lease grant 600").map((words) => words.replace("protobuf", "fields")),
  "put leased 1 --lease=LEASE",
  "put leased 2 --ignore-lease",
  "get leased -w fields",
  "lease timetolive LEASE",
  "lease timetolive LEASE --keys",
  "lease timetolive LEASE --keys -w json",
  "lease timetolive LEASE --keys -w fields",
  "lease keep-alive LEASE --once",
  "lease keep-alive LEASE --once -w json",
  { words: "lease keep-alive LEASE", until: /keepalived with TTL/ },
  "lease revoke LEASE",
  "lease revoke LEASE",
  "get leased",
  // auth
  "auth status",
  "auth enable",
  "user add root:pw",
  "user add ann --interactive=false <<< pw\\n",
  "user add none --no-password",
  "user list",
  "user get root --detail",
  "role add r",
  "role grant-permission r readwrite k --prefix",
  "role get r",
  ...inForms("role get r"),
  ...inForms("user list"),
  "role revoke-permission r k --prefix",
  "role grant-permission r read k z",
  "role list",
  "user grant-role root root",
  "user grant-role ann r",
  "user get ann",
  ...inForms("user get ann"),
  "auth enable",
  "get k",
  "get k --user ann:pw",
  "put k 1 --user ann:pw",
  "get k --user ann:wrong",
  "get k --user ann --password pw",
  "user passwd ann --interactive=false --user root:pw <<< new\\n",
  "get k --user ann:new",
  "user revoke-role ann r --user root:pw",
  "get k --user ann:new",
  "role delete r --user root:pw",
  "user delete ann --user root:pw",
  "auth disable --user root:pw",
];

const lineOf = (line: string | Line): Line => {
  if (typeof line !== "string") return line;
  const [words, input] = line.split(" <<< ") as [string, string?];
  return input === undefined ? { words } : { words, input: input.replaceAll("\\n", "\n") };
};

/** Members come in the order of their ids. */
function inOrder(words: string, text: string): string {
  if (words.startsWith("member list")) return text.split("\n").sort().join("\n");
  return text.replace(/(ETCD_INITIAL_CLUSTER=")(.*)"/g, (_, name, members: string) => name + members.split(",").sort());
}

test("etcdctl says the same of both, command for command", { skip }, async () => {
  // Of one name, so that tables are as wide.
  await using theirProcesses = await EtcdProcesses.create();
  await using ourProcesses = await EtcdProcesses.create();
  for (const processes of [theirProcesses, ourProcesses]) await processes.reserve(["node"]);
  const options = { flags: ["--bcrypt-cost=4"] };
  const [theirs, ours] = await Promise.all([
    theirProcesses.start("/usr/bin/etcd", "node", options),
    ourProcesses.start("ours", "node", options),
  ]);
  const dirs = await Promise.all(["theirs", "ours"].map((name) => mkdtemp(join(tmpdir(), `etcdctl-${name}-`))));
  const wrong: string[] = [];
  // The lease that was granted last, in hexadecimal.
  const leases = ["", ""];
  for (const each of LINES) {
    const line = lineOf(each);
    const on = (server: EtcdProcess, i: number) =>
      etcdctl(server, { ...line, words: line.words.replace("LEASE", leases[i]!) }, dirs[i]!);
    const [expected, actual] = await Promise.all([on(theirs, 0), on(ours, 1)]);
    for (const [i, said] of [expected, actual].entries())
      leases[i] = /^lease (\w+) granted/.exec(said)?.[1] ?? leases[i]!;
    const want = inOrder(line.words, masked(expected, theirs));
    const got = inOrder(line.words, masked(actual, ours));
    if (want !== got) wrong.push(`$ ${line.words}\n--- upstream\n${want}\n--- ours\n${got}\n`);
  }
  for (const dir of dirs) await rm(dir, { recursive: true });
  assert.equal(wrong.join("\n"), "");
});
