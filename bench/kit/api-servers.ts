/** API servers to measure, each in a process of its own: ours with etcd within, ours on an etcd apart, and a genuine one on the same etcd. */
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import type { Target } from "../../src/testing/load/https.ts";
import { cpuOf, makePlace, spawnServer, whenReady } from "../../src/testing/load/server.ts";
import { placeAt, startEtcd } from "./etcd-servers.ts";
import { memory } from "./machine.ts";

export type ApiKind = "t8s" | "t8s, etcd apart" | "kube-apiserver";

/** A genuine kube-apiserver to compare with. */
export const PEER = process.env["BENCH_KUBE_APISERVER"];
const FOLDER = process.env["BENCH_DIR"] ?? "/var/tmp";
const ROOT = join(import.meta.dirname, "../..");

export interface RunningApi {
  readonly kind: ApiKind;
  readonly pid: number;
  readonly target: Target;
  /** Somebody who has every right by RBAC, and no privilege in the queues. */
  readonly user: Target;
  /** From the start of the process to the first time that it says it is ready. */
  readonly readyMs: number;
  /** CPU seconds of the server's process. */
  cpu(): number;
  rssMb(): number;
  stop(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function startApi(kind: ApiKind, port: number): Promise<RunningApi> {
  const place = await makePlace(port, FOLDER);
  const etcd = kind === "t8s" ? undefined : await startEtcd(etcdKind(), placeAt(port + 1));
  const user = await place.user("bench");
  const begun = performance.now();
  const child =
    kind === "t8s"
      ? spawnServer(place, { nodeArgs: nodeArgs(), log: Boolean(process.env["BENCH_LOG"]) })
      : apart(kind, place.folder, port, etcd!.port);
  const ended = once(child, "exit");
  await whenReady(child, place.admin);
  const readyMs = performance.now() - begun;
  const pid = child.pid!;
  let stopped: Promise<void> | undefined;
  const stop = () =>
    (stopped ??= (async () => {
      child.kill("SIGTERM");
      const late = setTimeout(() => child.kill("SIGKILL"), 5000);
      await ended;
      clearTimeout(late);
      await etcd?.[Symbol.asyncDispose]();
      place.remove();
    })());
  return {
    kind,
    pid,
    target: place.admin,
    user,
    readyMs,
    cpu: () => cpuOf(pid),
    rssMb: () => memory(pid).rssMb,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

const etcdKind = () => (process.env["BENCH_ETCD"] === "etcd" ? "etcd" : "t8s");

const stdio = () => ["pipe", "ignore", process.env["BENCH_LOG"] ? "inherit" : "ignore"] as const;

/** `BENCH_PROFILE=FOLDER`: where the server's time goes. It is written when the server ends. */
function nodeArgs(): readonly string[] {
  const folder = process.env["BENCH_PROFILE"];
  const more = (process.env["BENCH_NODE_OPTIONS"] ?? "").split(" ").filter((word) => word !== "");
  return [...more, ...(folder ? ["--cpu-prof", "--cpu-prof-dir", folder] : [])];
}

function apart(kind: ApiKind, folder: string, port: number, etcdPort: number): ChildProcess {
  const pki = (name: string) => join(folder, "pki", name);
  const flags = [
    `--etcd-servers=http://127.0.0.1:${etcdPort}`,
    "--bind-address=127.0.0.1",
    "--advertise-address=127.0.0.1",
    `--secure-port=${port}`,
    `--tls-cert-file=${pki("apiserver.crt")}`,
    `--tls-private-key-file=${pki("apiserver.key")}`,
    `--client-ca-file=${pki("ca.crt")}`,
    "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
    `--service-account-key-file=${pki("sa.pub")}`,
    `--service-account-signing-key-file=${pki("sa.key")}`,
    "--service-cluster-ip-range=10.96.0.0/16",
    "--authorization-mode=Node,RBAC",
    "--disable-admission-plugins=ServiceAccount",
    `--cert-dir=${folder}`,
  ];
  if (kind === "kube-apiserver") return spawn(PEER!, flags, { stdio: [...stdio()] });
  if (!process.env["BENCH_PROFILE"]) return spawn(join(ROOT, "bin/kube-apiserver"), flags, { stdio: [...stdio()] });
  return spawn(
    process.execPath,
    [...process.execArgv, ...nodeArgs(), join(ROOT, "src/cli/main.ts"), "kube-apiserver", ...flags],
    {
      stdio: [...stdio()],
    },
  );
}
