/**
 * A cluster of separate processes for tests: each component is its own executable from `bin/`, and they meet over real TLS on free ports of the loopback
 * address, with the certificates and kubeconfigs that an administrator would make. Everything is killed and removed at the end.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Pki, ensurePki } from "../cli/pki.ts";
import { createClient } from "../client/create-client.ts";
import type { Client } from "../client/client.ts";
import { httpsTransport } from "../client/https.ts";
import { formatKubeconfig, singleContext } from "../client/kubeconfig.ts";
import { machineWorld } from "../cli/world.ts";
import { freePorts } from "./free-ports.ts";

const BIN = join(import.meta.dirname, "../../bin");

export const PORTS = [
  "etcd",
  "kube-apiserver",
  "kube-controller-manager",
  "kube-scheduler",
  "kubelet",
  "healthz",
  "spare",
] as const;
export type PortName = (typeof PORTS)[number];

/** A process, and what it said. */
export class Program {
  readonly name: string;
  readonly child: ChildProcess;
  readonly exited: Promise<number | NodeJS.Signals>;
  text = "";

  constructor(name: string, command: string, args: readonly string[], cwd: string) {
    this.name = name;
    this.child = spawn(command, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
    for (const stream of [this.child.stdout!, this.child.stderr!])
      stream.setEncoding("utf8").on("data", (data: string) => {
        this.text += data;
      });
    this.exited = new Promise((resolve, reject) => {
      this.child.on("error", reject);
      this.child.on("close", (code, signal) => resolve(code ?? signal!));
    });
    this.exited.catch(() => {});
  }

  async stop(signal: NodeJS.Signals = "SIGTERM"): Promise<number | NodeJS.Signals> {
    this.child.kill(signal);
    return await this.exited;
  }
}

export class ComponentProcesses implements AsyncDisposable {
  readonly dir: string;
  readonly ports: Readonly<Record<PortName, number>>;
  readonly pki: Pki;
  /** The administrator. */
  readonly client: Client;
  readonly server: string;
  private readonly clients: string | undefined;
  /** What stands before every command: nothing, or what enters a network namespace. */
  private readonly enter: readonly string[];
  private readonly programs = new Set<Program>();

  private constructor(
    dir: string,
    ports: Readonly<Record<PortName, number>>,
    pki: Pki,
    clients: string | undefined,
    enter: readonly string[],
  ) {
    this.enter = enter;
    this.dir = dir;
    this.ports = ports;
    this.pki = pki;
    this.clients = clients;
    this.server = `https://127.0.0.1:${ports["kube-apiserver"]}`;
    const { cert, key } = pki.admin;
    this.client = createClient(
      httpsTransport(machineWorld(), { server: this.server, ca: pki.ca.cert, cert, key, userAgent: "test/v1" }),
    );
  }

  /** `clients` is the folder with kubectl. In a network namespace the node has the address `nodeAddress`, and only kubectl reaches the cluster. */
  static async create(
    clients?: string,
    {
      enter = [],
      nodeAddress = "127.0.0.1",
    }: { readonly enter?: readonly string[]; readonly nodeAddress?: string } = {},
  ): Promise<ComponentProcesses> {
    const dir = mkdtempSync(join(tmpdir(), "t8s-components-"));
    const pki = await ensurePki(machineWorld(), join(dir, "pki"), ["etcd"], ["10.96.0.1"]);
    const made = new ComponentProcesses(dir, await portsOfAll(), pki, clients, enter);
    const node = await pki.node("node-1", [nodeAddress]);
    const users = {
      admin: pki.admin,
      "controller-manager": pki.controllerManager,
      scheduler: pki.scheduler,
      kubelet: node.client,
      proxy: pki.proxy,
    };
    for (const [name, user] of Object.entries(users))
      made.write(
        `${name}.kubeconfig`,
        formatKubeconfig(singleContext(name, { server: made.server, ca: pki.ca.cert }, user)),
      );
    return made;
  }

  path(name: string): string {
    return join(this.dir, name);
  }
  write(name: string, text: string): string {
    writeFileSync(this.path(name), text);
    return this.path(name);
  }

  /** An executable of `bin/`, or any other by its path. */
  start(name: string, args: readonly string[], command = join(BIN, name)): Program {
    const [first, ...rest] = [...this.enter, command, ...args];
    const program = new Program(name, first!, rest, this.dir);
    this.programs.add(program);
    return program;
  }

  etcd(...more: readonly string[]): Program {
    const url = `https://127.0.0.1:${this.ports.etcd}`;
    return this.start("etcd", [
      `--data-dir=${this.path("etcd")}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      "--listen-peer-urls=http://127.0.0.1:0",
      `--cert-file=${this.path("pki/apiserver.crt")}`,
      `--key-file=${this.path("pki/apiserver.key")}`,
      `--trusted-ca-file=${this.path("pki/ca.crt")}`,
      "--client-cert-auth",
      ...more,
    ]);
  }

  apiserver(etcd = `https://127.0.0.1:${this.ports.etcd}`): Program {
    const pki = this.path("pki");
    return this.start("kube-apiserver", [
      `--secure-port=${this.ports["kube-apiserver"]}`,
      "--bind-address=127.0.0.1",
      `--etcd-servers=${etcd}`,
      `--etcd-cafile=${pki}/ca.crt`,
      `--etcd-certfile=${pki}/apiserver-kubelet-client.crt`,
      `--etcd-keyfile=${pki}/apiserver-kubelet-client.key`,
      `--client-ca-file=${pki}/ca.crt`,
      `--tls-cert-file=${pki}/apiserver.crt`,
      `--tls-private-key-file=${pki}/apiserver.key`,
      `--kubelet-certificate-authority=${pki}/ca.crt`,
      `--kubelet-client-certificate=${pki}/apiserver-kubelet-client.crt`,
      `--kubelet-client-key=${pki}/apiserver-kubelet-client.key`,
      "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
      `--service-account-key-file=${pki}/sa.pub`,
      `--service-account-signing-key-file=${pki}/sa.key`,
      "--authorization-mode=Node,RBAC",
      "--enable-admission-plugins=NodeRestriction",
      "--service-cluster-ip-range=10.96.0.0/16",
    ]);
  }

  controllerManager(...more: readonly string[]): Program {
    const pki = this.path("pki");
    return this.start("kube-controller-manager", [
      ...this.delegated("controller-manager"),
      `--secure-port=${this.ports["kube-controller-manager"]}`,
      "--use-service-account-credentials",
      `--root-ca-file=${pki}/ca.crt`,
      `--service-account-private-key-file=${pki}/sa.key`,
      `--cluster-signing-cert-file=${pki}/ca.crt`,
      `--cluster-signing-key-file=${pki}/ca.key`,
      "--allocate-node-cidrs",
      "--cluster-cidr=10.244.0.0/16",
      "--service-cluster-ip-range=10.96.0.0/16",
      ...QUICK_ELECTION,
      ...more,
    ]);
  }

  scheduler(...more: readonly string[]): Program {
    return this.start("kube-scheduler", [
      ...this.delegated("scheduler"),
      `--secure-port=${this.ports["kube-scheduler"]}`,
      ...QUICK_ELECTION,
      ...more,
    ]);
  }

  /** `configuration` is laid over the file's. */
  kubelet(configuration: object, ...more: readonly string[]): Program {
    const config = {
      apiVersion: "kubelet.config.k8s.io/v1beta1",
      kind: "KubeletConfiguration",
      authentication: { x509: { clientCAFile: this.path("pki/ca.crt") } },
      port: this.ports.kubelet,
      healthzPort: this.ports.healthz,
      clusterDomain: "cluster.local",
      clusterDNS: ["10.96.0.10"],
      // How full the disk of a test's machine is decides nothing.
      evictionHard: { "memory.available": "1Mi" },
      imageGCHighThresholdPercent: 100,
      ...configuration,
    };
    return this.start("kubelet", [
      `--config=${this.write("kubelet.yaml", JSON.stringify(config))}`,
      `--kubeconfig=${this.path("kubelet.kubeconfig")}`,
      "--hostname-override=node-1",
      "--node-ip=127.0.0.1",
      `--root-dir=${this.path("kubelet")}`,
      `--tls-cert-file=${this.path("pki/kubelet-node-1.crt")}`,
      `--tls-private-key-file=${this.path("pki/kubelet-node-1.key")}`,
      ...more,
    ]);
  }

  private delegated(user: string): readonly string[] {
    const kubeconfig = this.path(`${user}.kubeconfig`);
    return [
      `--kubeconfig=${kubeconfig}`,
      `--authentication-kubeconfig=${kubeconfig}`,
      `--authorization-kubeconfig=${kubeconfig}`,
      `--client-ca-file=${this.path("pki/ca.crt")}`,
      "--bind-address=127.0.0.1",
    ];
  }

  /** What `kubectl` prints, or throws with what it complains about. */
  async kubectl(words: string): Promise<string> {
    const [first, ...rest] = [
      ...this.enter,
      join(this.clients!, "kubectl"),
      `--kubeconfig=${this.path("admin.kubeconfig")}`,
      ...words.split(" "),
    ];
    return await new Promise((resolve, reject) => {
      execFile(first!, rest, { timeout: 240_000, maxBuffer: 64 << 20 }, (error, stdout, stderr) =>
        error === null ? resolve(stdout) : reject(new Error(`kubectl ${words}: ${stderr || error.message}`)),
      );
    });
  }

  /** Status and body of a GET on one of the ports, as the administrator or as nobody. */
  async get(port: PortName, path: string, as: "admin" | "nobody" = "nobody"): Promise<readonly [number, string]> {
    const { request } = await import("node:https");
    const { cert, key } = this.pki.admin;
    return await new Promise((resolve, reject) => {
      request(
        {
          host: "127.0.0.1",
          port: this.ports[port],
          path,
          rejectUnauthorized: false,
          agent: false,
          ...(as === "admin" && { cert, key }),
        },
        (response) => {
          let text = "";
          response
            .setEncoding("utf8")
            .on("data", (data: string) => (text += data))
            .on("end", () => resolve([response.statusCode!, text]));
        },
      )
        .on("error", reject)
        .end();
    });
  }

  ready(port: PortName, path = "/readyz"): Promise<void> {
    return this.until(async () => (await this.get(port, path, "admin"))[0] === 200, `${port} answers ${path}`);
  }

  /** Waits for a condition; what it throws counts as not yet. */
  async until(condition: () => boolean | Promise<boolean>, what: string, timeoutMs = 120_000): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    let last: unknown;
    for (;;) {
      try {
        if (await condition()) return;
      } catch (error) {
        last = error;
      }
      if (Date.now() > deadline)
        throw new Error(`not within ${timeoutMs / 1000} s: ${what}\n${this.logs()}`, { cause: last });
      await sleep(30);
    }
  }

  logs(): string {
    return [...this.programs].map(({ name, text }) => `== ${name}\n${text.slice(-2000)}`).join("\n");
  }

  /** In the reverse order of their start, each in its own way. */
  async stopAll(): Promise<void> {
    for (const program of [...this.programs].reverse()) await program.stop();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.client.transport.close();
    await Promise.all([...this.programs].map((program) => program.stop("SIGKILL")));
    rmSync(this.dir, { recursive: true, force: true });
  }
}

/** Seconds in place of a quarter of a minute: the test takes leaders away. */
const QUICK_ELECTION = [
  "--leader-elect-lease-duration=3s",
  "--leader-elect-renew-deadline=2s",
  "--leader-elect-retry-period=500ms",
];

async function portsOfAll(): Promise<Readonly<Record<PortName, number>>> {
  const ports = await freePorts(PORTS.length);
  return Object.fromEntries(PORTS.map((name, i) => [name, ports[i]!])) as Record<PortName, number>;
}
