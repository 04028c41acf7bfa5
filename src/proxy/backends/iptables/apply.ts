/** Applies rendered rules: one `iptables-restore` a sync, partial where only some services changed. Upstream: pkg/proxy/iptables, pkg/util/iptables */
import type { Logger } from "../../../observe/log.ts";
import type { World } from "../../../world/world.ts";
import type { Backend, Model } from "../backend.ts";
import { OWNED_PREFIXES } from "./names.ts";
import { isLargeCluster, type RenderOptions, renderRestore, renderService, type ServiceRules } from "./render.ts";

/** table, from, to, match. Each is prepended in this order, so the last of a chain ends up first. */
const JUMPS: readonly (readonly [string, string, string, string])[] = [
  [
    "filter",
    "INPUT",
    "KUBE-EXTERNAL-SERVICES",
    "-m conntrack --ctstate NEW -m comment --comment|kubernetes externally-visible service portals",
  ],
  [
    "filter",
    "FORWARD",
    "KUBE-EXTERNAL-SERVICES",
    "-m conntrack --ctstate NEW -m comment --comment|kubernetes externally-visible service portals",
  ],
  ["filter", "INPUT", "KUBE-NODEPORTS", "-m comment --comment|kubernetes health check service ports"],
  ["filter", "FORWARD", "KUBE-SERVICES", "-m conntrack --ctstate NEW -m comment --comment|kubernetes service portals"],
  ["filter", "OUTPUT", "KUBE-SERVICES", "-m conntrack --ctstate NEW -m comment --comment|kubernetes service portals"],
  ["filter", "FORWARD", "KUBE-FORWARD", "-m comment --comment|kubernetes forwarding rules"],
  [
    "filter",
    "INPUT",
    "KUBE-PROXY-FIREWALL",
    "-m conntrack --ctstate NEW -m comment --comment|kubernetes load balancer firewall",
  ],
  [
    "filter",
    "OUTPUT",
    "KUBE-PROXY-FIREWALL",
    "-m conntrack --ctstate NEW -m comment --comment|kubernetes load balancer firewall",
  ],
  [
    "filter",
    "FORWARD",
    "KUBE-PROXY-FIREWALL",
    "-m conntrack --ctstate NEW -m comment --comment|kubernetes load balancer firewall",
  ],
  ["nat", "OUTPUT", "KUBE-SERVICES", "-m comment --comment|kubernetes service portals"],
  ["nat", "PREROUTING", "KUBE-SERVICES", "-m comment --comment|kubernetes service portals"],
  ["nat", "POSTROUTING", "KUBE-POSTROUTING", "-m comment --comment|kubernetes postrouting rules"],
  ["filter", "INPUT", "KUBE-FIREWALL", ""],
  ["filter", "OUTPUT", "KUBE-FIREWALL", ""],
];
const CANARY = "KUBE-PROXY-CANARY";
const OWN_CHAINS: Readonly<Record<string, readonly string[]>> = {
  filter: ["KUBE-SERVICES", "KUBE-EXTERNAL-SERVICES", "KUBE-FORWARD", "KUBE-NODEPORTS", "KUBE-PROXY-FIREWALL", CANARY],
  nat: ["KUBE-SERVICES", "KUBE-NODEPORTS", "KUBE-POSTROUTING", "KUBE-MARK-MASQ", CANARY],
  mangle: [CANARY],
};

export function iptablesBackend(
  { host, fs }: Pick<World, "host" | "fs">,
  options: RenderOptions,
  log: Logger,
): Backend {
  const program = options.family === 6 ? "ip6tables" : "iptables";
  const rendered = new Map<string, ServiceRules>();
  const last = new Map<string, Model extends ReadonlyMap<string, infer V> ? V : never>();
  let applied: ReadonlySet<string> = new Set();

  async function run(command: string, args: readonly string[], stdin?: string): Promise<string> {
    const { code, stdout, stderr } = await host.exec(command, args, stdin === undefined ? {} : { stdin });
    if (code !== 0)
      throw new Error(`${command} ${args.join(" ")} exited with ${code}: ${Buffer.from(stderr).toString().trim()}`);
    return Buffer.from(stdout).toString();
  }
  const succeeds = async (args: readonly string[]) => (await host.exec(program, ["-w", "5", ...args])).code === 0;

  /** Node ports answer on 127.0.0.1 too: the kernel routes a loopback source out only when it is told that it may. */
  async function routeLocalnet(): Promise<void> {
    const path = "/proc/sys/net/ipv4/conf/all/route_localnet";
    if (options.family !== 4 || !options.localhostNodePorts || (await fs.stat(path)) === undefined) return;
    if (
      Buffer.from(await fs.readFile(path))
        .toString()
        .trim() !== "1"
    )
      await fs.writeFile(path, "1");
  }

  async function ensureJumps(): Promise<void> {
    for (const table of ["mangle", "nat", "filter"]) {
      if (!(await succeeds(["-t", table, "-n", "-L", CANARY, "1"])))
        await run(program, ["-w", "5", "-t", table, "-N", CANARY]);
    }
    for (const [table, from, to, match] of JUMPS) {
      if (to === "KUBE-FIREWALL" && !(options.family === 4 && options.localhostNodePorts)) continue;
      const rule = [...words(match), "-j", to];
      if (!(await succeeds(["-t", table, "-n", "-L", to, "1"]))) await run(program, ["-w", "5", "-t", table, "-N", to]);
      if (!(await succeeds(["-t", table, "-C", from, ...rule])))
        await run(program, ["-w", "5", "-t", table, "-I", from, ...rule]);
    }
  }

  /** Chains of ours in the nat table, as the kernel has them. */
  async function existing(): Promise<readonly string[]> {
    const text = await run(`${program}-save`, ["-t", "nat"]);
    return [...text.matchAll(/^:(\S+)/gm)]
      .map(([, chain]) => chain!)
      .filter((chain) => OWNED_PREFIXES.some((prefix) => chain.startsWith(prefix)));
  }

  return {
    name: "iptables",
    async sync(model, changed) {
      if (changed === undefined) {
        await routeLocalnet();
        await ensureJumps();
      }
      let endpoints = 0;
      for (const ports of model.values()) for (const port of ports) endpoints += port.all.length;
      for (const key of rendered.keys()) if (!model.has(key)) rendered.delete(key);
      for (const [key, ports] of model) {
        if (changed !== undefined && last.get(key) === ports && rendered.has(key)) continue;
        rendered.set(key, renderService(ports, options, isLargeCluster(endpoints)));
        last.set(key, ports);
      }
      const active = new Set([...rendered.values()].flatMap(({ chains }) => [...chains.keys()]));
      // A full sync asks the kernel what is there; a partial one knows what it wrote last.
      const stale = [...(changed === undefined ? await existing() : applied)].filter((chain) => !active.has(chain));
      const input = renderRestore(rendered, changed, stale, options);
      await run(`${program}-restore`, ["-w", "5", "--noflush", "--counters"], input.text);
      applied = input.active;
      log.v(2).info("Synced rules", {
        services: model.size,
        changed: changed?.size ?? "all",
        stale: stale.length,
        bytes: input.text.length,
      });
    },
    intact: () => succeeds(["-t", "mangle", "-n", "-L", CANARY, "1"]),
    async cleanup() {
      for (const [table, from, to, match] of JUMPS) {
        while (await succeeds(["-t", table, "-D", from, ...words(match), "-j", to]));
      }
      for (const [table, chains] of Object.entries(OWN_CHAINS)) {
        const saved = await host.exec(`${program}-save`, ["-t", table]);
        if (saved.code !== 0) continue;
        const present = new Set(
          [
            ...Buffer.from(saved.stdout)
              .toString()
              .matchAll(/^:(\S+)/gm),
          ].map(([, chain]) => chain!),
        );
        const ours = [...present].filter(
          (chain) =>
            chains.includes(chain) ||
            (table === "nat" && OWNED_PREFIXES.some((prefix) => chain.startsWith(prefix))) ||
            (table === "filter" && chain === "KUBE-FIREWALL"),
        );
        if (ours.length === 0) continue;
        const lines = [
          `*${table}`,
          ...ours.map((chain) => `:${chain} - [0:0]`),
          ...ours.map((chain) => `-X ${chain}`),
          "COMMIT",
          "",
        ];
        await run(`${program}-restore`, ["-w", "5", "--noflush"], lines.join("\n"));
      }
      applied = new Set();
    },
  };
}

function words(match: string): readonly string[] {
  const [options = "", comment] = match.split("|");
  return [...options.split(" ").filter((word) => word !== ""), ...(comment === undefined ? [] : [comment])];
}
