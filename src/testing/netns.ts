/** Network namespaces for tests: made here, entered with nsenter (`ip netns exec` would hide /sys/fs/cgroup), gone at the end. */
import { execFileSync } from "node:child_process";
import { hostIn as inNamespace } from "../cli/machines/lan.ts";
import type { Host } from "../world/host.ts";

/** Why namespaces can't be had here, or undefined. */
export function noNamespaces(): string | undefined {
  if (process.platform !== "linux") return "network namespaces need Linux";
  if (process.getuid?.() !== 0) return "network namespaces need root";
  try {
    execFileSync("sh", ["-c", "command -v ip && command -v nsenter && command -v iptables"], { stdio: "ignore" });
    return undefined;
  } catch {
    return "ip, nsenter or iptables is missing";
  }
}

export interface Namespace extends Disposable {
  readonly name: string;
  /** In front of any command. */
  readonly enter: readonly [string, string];
  run(command: string): string;
}

export function makeNamespace(name: string): Namespace {
  const sh = (command: string) =>
    execFileSync("sh", ["-ec", command], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });
  sh(`ip netns add ${name}`);
  sh(
    `nsenter --net=/run/netns/${name} sh -ec 'ip link set lo up; sysctl -qw net.ipv4.ip_forward=1 || true; sysctl -qw net.bridge.bridge-nf-call-iptables=1 || true'`,
  );
  return {
    name,
    enter: ["nsenter", `--net=/run/netns/${name}`],
    run: (command) =>
      execFileSync("nsenter", [`--net=/run/netns/${name}`, "sh", "-ec", command], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "pipe"],
      }),
    [Symbol.dispose]: () => void sh(`ip netns del ${name}`),
  };
}

/** A host whose programs run inside the namespace. */
export const hostIn = (namespace: Namespace, host: Host): Host => inNamespace(namespace.name, host);
