/** Creates and removes the network of the machines. Both may find it half done, after a kill or a failed start. */
import type { Component } from "../../base/component-group.ts";
import { deferred } from "../../base/deferred.ts";
import type { World } from "../../world/world.ts";
import { bridgeCommands, jumps, type Lan, lanRules, type Machine, machineCommands } from "./plan.ts";

type Acts = Pick<World, "host" | "fs">;

export const namespacePath = (namespace: string): string => `/run/netns/${namespace}`;

/** In front of a command. (`ip netns exec` would hide the cgroups.) */
export const enter = (namespace: string): readonly [string, ...string[]] => [
  "nsenter",
  `--net=${namespacePath(namespace)}`,
];

/** The machine's own view of a host: its programs run in the namespace. */
export function hostIn(namespace: string, host: World["host"]): World["host"] {
  const [program, ...args] = enter(namespace);
  return {
    ...host,
    spawn: (command, rest, options) => host.spawn(program, [...args, command, ...rest], options),
    exec: (command, rest, options) => host.exec(program, [...args, command, ...rest], options),
  };
}

async function makeLan({ host, fs }: Acts, lan: Lan): Promise<void> {
  const forward = "/proc/sys/net/ipv4/ip_forward";
  if (
    Buffer.from(await fs.readFile(forward))
      .toString()
      .trim() !== "1"
  )
    await fs.writeFile(forward, "1");
  await host.exec("ip", ["link", "add", lan.bridge, "type", "bridge"]); // There already after a kill.
  await batch(host, bridgeCommands(lan));
  await succeed(host, "iptables-restore", ["-w", "5", "--noflush"], lanRules(lan));
  for (const [table, from, to] of jumps(lan)) {
    const jump = [from, "-j", to];
    if ((await host.exec("iptables", ["-w", "5", "-t", table, "-C", ...jump])).code !== 0)
      await succeed(host, "iptables", ["-w", "5", "-t", table, "-I", ...jump]);
  }
  for (const machine of lan.machines) await plugIn({ host, fs }, lan, machine);
}

export const lanComponent = (lan: Lan, world: Acts): Component => ({
  name: "lan",
  async run(signal, ready) {
    const stopped = deferred();
    signal.addEventListener("abort", () => stopped.resolve(), { once: true });
    try {
      await makeLan(world, lan);
      ready();
      if (!signal.aborted) await stopped.promise;
    } finally {
      await removeLan(world, lan);
    }
  },
});

async function plugIn({ host, fs }: Acts, lan: Lan, machine: Machine): Promise<void> {
  const { namespace, link } = machine;
  if ((await fs.stat(namespacePath(namespace))) === undefined) await succeed(host, "ip", ["netns", "add", namespace]);
  if ((await host.exec("ip", ["link", "show", "dev", link])).code !== 0)
    await batch(host, [`link add ${link} type veth peer name eth0 netns ${namespace}`]);
  await batch(host, [`link set ${link} master ${lan.bridge} up`]);
  await batch(hostIn(namespace, host), machineCommands(machine, lan));
}

/** Nothing may run in the namespaces any more. */
export async function removeLan({ host, fs }: Acts, lan: Lan): Promise<void> {
  for (const { namespace, link } of lan.machines) {
    await host.exec("ip", ["link", "del", link]);
    if ((await fs.stat(namespacePath(namespace))) !== undefined) await host.exec("ip", ["netns", "del", namespace]);
  }
  for (const [table, from, to] of jumps(lan)) {
    while ((await host.exec("iptables", ["-w", "5", "-t", table, "-D", from, "-j", to])).code === 0);
    await host.exec("iptables", ["-w", "5", "-t", table, "-F", to]);
    await host.exec("iptables", ["-w", "5", "-t", table, "-X", to]);
  }
  await host.exec("ip", ["link", "del", lan.bridge]);
}

const batch = (host: World["host"], lines: readonly string[]): Promise<void> =>
  succeed(host, "ip", ["-batch", "-"], `${lines.join("\n")}\n`);

async function succeed(host: World["host"], command: string, args: readonly string[], stdin?: string): Promise<void> {
  const { code, stderr } = await host.exec(command, args, stdin === undefined ? {} : { stdin });
  if (code !== 0)
    throw new Error(`${command} ${args.join(" ")} exited with ${code}: ${Buffer.from(stderr).toString().trim()}`);
}
