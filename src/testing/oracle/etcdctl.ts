/** Upstream's command line tool on two servers: a line of words, what it says, and what of that is of the server alone. */
import { spawn } from "node:child_process";
import type { EtcdProcess } from "../etcd-processes.ts";

export interface Line {
  /** The words after `etcdctl`; those with blanks are in single quotes. */
  readonly words: string;
  readonly input?: string;
  /** Ends it with SIGINT when its output matches. */
  readonly until?: RegExp;
  /** What is done while it runs. */
  readonly meanwhile?: readonly string[];
}

/** However busy the machine is. */
const PATIENT = ["--command-timeout=60s", "--dial-timeout=60s"];
const LIMIT_MS = 120_000;

/** Until the server counts so many. */
async function watchers({ endpoint }: EtcdProcess, count: number): Promise<void> {
  for (let told = ""; ;) {
    told = await (await fetch(`${endpoint}/metrics`)).text();
    if (Number(/^etcd_debugging_mvcc_watcher_total (\d+)/m.exec(told)?.[1] ?? 0) === count) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** What a user sees: standard output, the error without its log lines, how it ended. */
export async function etcdctl(server: EtcdProcess, line: Line, dir: string): Promise<string> {
  if (line.meanwhile !== undefined) await watchers(server, 0);
  const args = [...line.words.matchAll(/'([^']*)'|\S+/g)].map(([word, quoted]) => quoted ?? word);
  const child = spawn("/usr/bin/etcdctl", [`--endpoints=${server.endpoint}`, ...PATIENT, ...args], {
    env: { PATH: process.env["PATH"], ETCDCTL_API: "3" },
    stdio: ["pipe", "pipe", "pipe"],
    cwd: dir,
  });
  let out = "";
  let errors = "";
  const ended = new Promise<string>((resolve) =>
    child.once("close", (code, signal) => resolve(code === 0 ? "" : `exit ${String(signal ?? code)}`)),
  );
  const matched = new Promise<void>((resolve) =>
    child.stdout.on("data", (chunk: Buffer) => {
      out += chunk.toString("latin1"); // Some forms are binary.
      if (line.until?.test(out)) resolve();
    }),
  );
  child.stderr.on("data", (chunk: Buffer) => void (errors += chunk.toString()));
  child.stdin.on("error", () => {});
  const limit = setTimeout(() => child.kill("SIGKILL"), LIMIT_MS);
  if (line.until === undefined) child.stdin.end(line.input ?? "");
  else {
    if (line.input !== undefined) child.stdin.write(line.input);
    for (const words of line.meanwhile ?? []) {
      // It takes a while until it watches, which it doesn't say.
      await Promise.race([watchers(server, 1), ended]);
      await etcdctl(server, { words }, dir);
    }
    await Promise.race([matched, ended]);
    child.kill("SIGINT");
  }
  const how = await ended;
  clearTimeout(limit);
  const said = errors.split("\n").filter((text) => /^(Error|watch|unexpected|.*unhealthy|usage|Incorrect)/i.test(text));
  return [out.trimEnd(), ...said, how].filter(Boolean).join("\n");
}

/** Ids, ports, sizes, times and versions become words; what they were stays out. */
export function masked(text: string, server: EtcdProcess): string {
  return (
    withoutIds(text)
      .replaceAll(server.endpoint, "CLIENT-URL")
      .replaceAll(server.endpoint.replace("http://", ""), "CLIENT")
      .replaceAll(server.peerUrl, "PEER-URL")
      .replace(/("?(?:cluster_id|member_id|ClusterID|MemberID|ID|id|Lease|leader|Leader)"?\s*:\s*)\d{6,}/g, "$1N")
      .replace(
        /("?(?:raft_term|RaftTerm|raftTerm|raftIndex|RaftIndex|raftAppliedIndex|RaftAppliedIndex)"?\s*:\s*)\d+/g,
        "$1N",
      )
      .replace(/("?(?:dbSize|DbSize|DBSize|dbSizeInUse|DbSizeInUse|remaining_bytes)"?\s*:\s*)\d+/g, "$1N")
      // An id is as wide as sixteen digits, be it shorter or not.
      .replace(/(?<=added to cluster|removed from cluster|updated in cluster) +(?=[0-9a-f]{8,16}\b)/g, " ")
      .replace(/(?<=\bMember) +(?=[0-9a-f]{8,16}\b)/g, " ")
      .replace(/\b[0-9a-f]{12,16}\b/g, "HEX")
      // A table is as wide as its widest id, and an id has fifteen digits once in sixteen times.
      .replace(/^\+[-+]+\+$/gm, (rule) => rule.replaceAll(/-+/g, "-"))
      .replace(/^\|.*\|$/gm, (row) => row.replaceAll(/ +(?=\|)|(?<=\|) +/g, ""))
      .replace(/(took"?(?: =|:)? ?"?)[\d.]+[^\d.\s"]*s/g, "$1TIME")
      .replace(/remaining\(\d+s\)/g, "remaining(N)")
      // What is left of a lease is less by the second; what it was granted for stands beside it.
      .replace(/("ttl":|"TTL" : )\d+(?=,"granted-ttl"|\n"GrantedTTL")/g, "$1N")
  );
}

/** An answer in protobuf: the two ids in its header are of nine bytes or ten, and so is its length. */
function withoutIds(text: string): string {
  const bytes = Buffer.from(text, "latin1");
  if (bytes[0] !== 10) return text;
  let at = 2;
  for (const tag of [8, 16]) if (bytes[at] === tag) for (at++; bytes[at++]! & 0x80;);
  return `HEADER${text.slice(at)}`;
}
