/**
 * Applies rendered rules with one `iptables-restore` for each sync, a partial one if only some services changed.
 * Upstream: pkg/proxy/iptables, pkg/util/iptables
 */
import type { Logger } from "../../../observe/log.ts";
import type { World } from "../../../world/world.ts";
import type { Backend, Model } from "../backend.ts";
import { JUMPS, missingJumps, parseSave, type Tables, words } from "./jumps.ts";
import { OWNED_PREFIXES } from "./names.ts";
import { isLargeCluster, type RenderOptions, renderRestore, renderService, type ServiceRules } from "./render.ts";

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

  /** One read and, where something is missing, one write: a start must not wait for a program per rule. Returns what the kernel had. */
  async function ensureJumps(): Promise<Tables> {
    const tables = parseSave(await run(`${program}-save`, []));
    const missing = missingJumps(tables, {
      canary: CANARY,
      firewall: options.family === 4 && options.localhostNodePorts,
    });
    if (missing !== "") await run(`${program}-restore`, ["-w", "5", "--noflush", "--counters"], missing);
    return tables;
  }

  return {
    name: "iptables",
    async sync(model, changed) {
      let present: Iterable<string> = applied;
      if (changed === undefined) {
        await routeLocalnet();
        const { chains = [] } = (await ensureJumps()).get("nat") ?? {};
        present = [...chains].filter((chain) => OWNED_PREFIXES.some((prefix) => chain.startsWith(prefix)));
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
      const stale = [...present].filter((chain) => !active.has(chain));
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
