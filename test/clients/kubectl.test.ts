/**
 * What kubectl 1.37 prints against a bare API server, command by command, is what it prints against upstream's: `genuine.txt` was recorded with a
 * kube-apiserver 1.36.2. `T8S_KUBE_APISERVER=/path/to/kube-apiserver` records it anew.
 */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { realClients } from "../../tools/clients.ts";
import { freePorts } from "../../src/testing/free-ports.ts";

const FOLDER = join(import.meta.dirname, "kubectl");
const BIN = join(import.meta.dirname, "../../bin");
const RECORDED = join(FOLDER, "genuine.txt");
const genuine = process.env["T8S_KUBE_APISERVER"];
const clients = realClients(undefined, "1.37");

test(
  "kubectl prints what it prints against upstream's API server",
  { skip: clients === undefined && "kubectl 1.37 could not be fetched" },
  async () => {
    const scratch = mkdtempSync(join(tmpdir(), "t8s-kubectl-"));
    const running: ChildProcess[] = [];
    const start = (program: string, ...args: string[]) => {
      const child = spawn(program, args, { stdio: "ignore", env: { ...process.env, HOME: scratch } });
      running.push(child);
    };
    try {
      const [client = 0, peer = 0, port = 0] = await freePorts(3);
      cpSync(join(FOLDER, "files"), join(scratch, "files"), { recursive: true });
      writeFileSync(join(scratch, "tokens.csv"), "secret,admin,admin,system:masters\n");
      execFileSync("openssl", ["genrsa", "-out", join(scratch, "sa.key"), "2048"], { stdio: "ignore" });
      const etcd = `http://127.0.0.1:${client}`;
      const peers = `http://127.0.0.1:${peer}`;
      start(
        join(BIN, "etcd"),
        `--data-dir=${join(scratch, "etcd")}`,
        `--listen-client-urls=${etcd}`,
        `--advertise-client-urls=${etcd}`,
        `--listen-peer-urls=${peers}`,
        `--initial-advertise-peer-urls=${peers}`,
        `--initial-cluster=default=${peers}`,
      );
      start(
        genuine ?? join(BIN, "kube-apiserver"),
        `--etcd-servers=${etcd}`,
        `--cert-dir=${join(scratch, "certs")}`,
        `--secure-port=${port}`,
        "--bind-address=127.0.0.1",
        `--token-auth-file=${join(scratch, "tokens.csv")}`,
        "--authorization-mode=RBAC",
        "--service-account-issuer=https://kubernetes.default.svc",
        `--service-account-signing-key-file=${join(scratch, "sa.key")}`,
        `--service-account-key-file=${join(scratch, "sa.key")}`,
        "--disable-admission-plugins=ServiceAccount",
        "--service-cluster-ip-range=10.96.0.0/16",
        "--allow-privileged",
      );
      const kubectl = (line: string) => run(join(clients!, "kubectl"), line, port, scratch);
      const deadline = Date.now() + 180_000;
      while (!(await kubectl("get ns kube-node-lease")).startsWith("exit code 0")) {
        assert.ok(Date.now() < deadline, "the API server never came up");
        await sleep(200);
      }
      const commands = readFileSync(join(FOLDER, "commands.txt"), "utf8")
        .split("\n")
        .filter((line) => line !== "");
      const sections: string[] = [];
      for (const command of commands) sections.push(`=== ${command}\n${await kubectl(command)}`);
      if (genuine !== undefined) return writeFileSync(RECORDED, sections.join(""));
      const expected = readFileSync(RECORDED, "utf8").split(/^(?==== )/m);
      assert.equal(sections.length, expected.length, "the record is of other commands");
      const wrong = sections.flatMap((section, i) =>
        section === expected[i] ? [] : [`${section}--- upstream's\n${expected[i]}`],
      );
      assert.equal(wrong.join("\n"), "");
    } finally {
      for (const child of running.toReversed()) {
        const ended = new Promise((resolve) => child.once("exit", resolve));
        if (child.exitCode === null && child.kill("SIGTERM")) await ended;
      }
      rmSync(scratch, { recursive: true, force: true });
    }
  },
);

/** `_` is a space in a word. An editor makes four replicas of two. */
function run(program: string, line: string, port: number, scratch: string): Promise<string> {
  const editor = "sed -i s/replicas:.2/replicas:\\ 4/";
  mkdirSync(join(scratch, "tmp"), { recursive: true });
  const env = {
    PATH: process.env["PATH"],
    HOME: scratch,
    TMPDIR: join(scratch, "tmp"),
    KUBECTL_APPLYSET: "true",
    KUBE_EDITOR: editor,
    KUBECONFIG: join(scratch, "kubeconfig"),
  };
  const options = ["--server", `https://127.0.0.1:${port}`, "--token", "secret", "--insecure-skip-tls-verify"];
  const words = line.split(" ").map((word) => word.replaceAll("_", " "));
  return new Promise((resolve) => {
    const cwd = join(scratch, "files");
    const child = execFile(program, [...options, ...words], { cwd, env, timeout: 240_000 }, (error, out, err) =>
      resolve(
        `exit code ${error === null ? 0 : String(error.code)}\n${withoutProse(line, normal(out + err, port, scratch))}`,
      ),
    );
    child.stdin!.end();
  });
}

/** Built-in kinds say nothing of themselves here, upstream's do; what fields they have is the same. */
function withoutProse(line: string, text: string): string {
  return line.startsWith("explain ") && !line.includes("widget")
    ? text.replace(/^DESCRIPTION:\n[^]*?(?=^FIELDS:|(?![^]))/m, "")
    : text;
}

/** Without what differs from one run to the next. */
function normal(text: string, port: number, scratch: string): string {
  const lines = text
    .replaceAll(scratch, "SCRATCH")
    .replaceAll(String(port), "PORT")
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, "UID")
    .replace(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z/g, "TIME")
    .replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\.\d+ [+-]\d{4}/g, "TIME")
    .replace(/\w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}/g, "DATE")
    .replace(/(resource ?version"?: *"?)\d+/gi, "$1RV")
    .replace(/eyJ[\w-]+\.[\w-]+\.[\w-]+/g, "TOKEN")
    .replace(/<invalid>|\b(\d+m)?\d+s\b/g, "AGE")
    .replace(/v1\.36\.2(\+t8s\.0)?/g, "VERSION")
    .replace(/10\.96\.\d+\.\d+/g, "CLUSTERIP")
    .replace(/\b3[0-2]\d{3}\b/g, "NODEPORT")
    .replace(/(LIVE|MERGED)-\d+/g, "$1")
    .replace(/ +/g, " ")
    .replace(/-{4,}/g, "----")
    .replace(/ $/gm, "");
  return lines.endsWith("\n") || lines === "" ? lines : `${lines}\n`;
}
