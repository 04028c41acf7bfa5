/**
 * Where processes are cut off from each other, filled up and killed without anything of it staying behind: a sandbox of namespaces (network, mounts, processes)
 * that the kernel takes down, with all that is in it, when its first process ends, however it ends. Inside, each machine has a network namespace of its
 * own on one bridge; the sandbox itself is where clients are.
 */
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { assert } from "../../base/assert.ts";
import { noNamespaces } from "../netns.ts";

/** Why there can be no sandbox here, or undefined. */
export function noSandbox(): string | undefined {
  const why = noNamespaces();
  if (why !== undefined) return why;
  try {
    execFileSync("sh", ["-c", "command -v nft && command -v unshare && unshare -nmp --fork true"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "nft is missing, or namespaces can't be made here";
  }
}

/** Runs a command inside a new sandbox. Its standard input stays open as long as this process is there. */
export function inSandbox(command: readonly string[]): ChildProcess {
  const words = ["--mount", "--net", "--pid", "--fork", "--kill-child=SIGKILL", "--mount-proc", "--", ...command];
  // Not of this process's group: a Ctrl-C is for us to pass on.
  return spawn("unshare", words, { stdio: ["pipe", "inherit", "inherit"], detached: true });
}

const NETWORK = "10.77.0";
const sh = (command: string) => {
  execFileSync("sh", ["-ec", command], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
};

/** To be called first of all inside. */
export function prepareSandbox(): void {
  assert(process.pid === 1, "not the first process of a sandbox");
  sh(`mkdir -p /run/netns; mount -t tmpfs none /run/netns; ip link set lo up
    ip link add br0 type bridge; ip addr add ${NETWORK}.254/24 dev br0; ip link set br0 up`);
}

export class Machine {
  readonly name: string;
  readonly address: string;
  readonly enter: readonly [string, string];

  constructor(name: string, number: number) {
    this.name = name;
    this.address = `${NETWORK}.${number}`;
    const space = `soak-${name}`;
    this.enter = ["nsenter", `--net=/run/netns/${space}`];
    sh(`ip netns add ${space}
      ip link add veth${number} type veth peer name eth0 netns ${space}
      ip link set veth${number} master br0 up
      ip -n ${space} link set lo up; ip -n ${space} addr add ${this.address}/24 dev eth0; ip -n ${space} link set eth0 up`);
    this.run(
      "nft 'add table inet soak; add chain inet soak in { type filter hook input priority 0; }; add chain inet soak out { type filter hook output priority 0; }'",
    );
  }

  run(command: string): void {
    sh(`${this.enter.join(" ")} sh -ec ${JSON.stringify(command).replaceAll("$", "\\$")}`);
  }

  /** Hears nothing more of another. */
  deaf(to: Machine): void {
    this.run(`nft add rule inet soak in ip saddr ${to.address} drop`);
  }

  /** Some of the packets in both directions are lost. */
  lossy(percent: number): void {
    for (const chain of ["in", "out"])
      this.run(`nft add rule inet soak ${chain} meta iifname != "lo" numgen random mod 100 \\< ${percent} drop`);
  }

  /** Packets leave one after the other, as through a thin wire: late, and the later the more there are. */
  slow(kbit: number): void {
    this.run(`tc qdisc replace dev eth0 root tbf rate ${kbit}kbit burst 4000 latency 800ms`);
  }

  heal(): void {
    this.run(
      "nft flush chain inet soak in; nft flush chain inet soak out; tc qdisc del dev eth0 root 2>/dev/null || true",
    );
  }
}

/** A small disk of its own. */
export function mountSmallDisk(path: string, megabytes: number): void {
  sh(`mkdir -p ${path}; mount -t tmpfs -o size=${megabytes}m none ${path}`);
}
/** For its first process, when nobody is left to clear up after it: all others end, and lets go of disks under `dir`. */
export function stopAllHere(dir: string): void {
  assert(process.pid === 1, "not the first process of a sandbox");
  try {
    process.kill(-1, "SIGKILL");
  } catch {
    // There is none.
  }
  sh(`umount -l ${dir}/* 2>/dev/null || true`);
}

/** Nothing more fits on it until `freeDisk`. */
export function fillDisk(path: string): void {
  sh(`cat /dev/zero > ${path}/ballast 2>/dev/null || true`);
}
export function freeDisk(path: string): void {
  sh(`rm -f ${path}/ballast`);
}
