/** The jumps from the kernel's chains into ours: which there must be, and which are missing. Upstream: pkg/proxy/iptables (iptablesJumpChains) */

/** table, from, to, match. Each is prepended in this order, so the last of a chain ends up first. */
export const JUMPS: readonly (readonly [string, string, string, string])[] = [
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

/** A table as iptables-save writes it: all chains, and the rules of the kernel's own. */
export interface Table {
  readonly chains: ReadonlySet<string>;
  readonly rules: readonly string[];
}
export type Tables = ReadonlyMap<string, Table>;

const BUILT_IN = /^-A (PREROUTING|INPUT|FORWARD|OUTPUT|POSTROUTING) /;

export function parseSave(text: string): Tables {
  const tables = new Map<string, { readonly chains: Set<string>; readonly rules: string[] }>();
  let table: { readonly chains: Set<string>; readonly rules: string[] } | undefined;
  for (const line of text.split("\n")) {
    if (line.startsWith("*")) tables.set(line.slice(1).trim(), (table = { chains: new Set(), rules: [] }));
    else if (line.startsWith(":")) table?.chains.add(line.slice(1, line.indexOf(" ")));
    else if (BUILT_IN.test(line)) table?.rules.push(line.trimEnd());
  }
  return tables;
}

/** Input for `iptables-restore --noflush` that makes what is missing; empty where nothing is. A chain that is there is not named: that would empty it. */
export function missingJumps(
  tables: Tables,
  { canary, firewall }: { readonly canary: string; readonly firewall: boolean },
): string {
  let text = "";
  for (const name of ["mangle", "nat", "filter"]) {
    const { chains, rules } = tables.get(name) ?? { chains: new Set<string>(), rules: [] };
    const jumps = JUMPS.filter(([table, , to]) => table === name && (to !== "KUBE-FIREWALL" || firewall));
    const makes = new Set([canary, ...jumps.map(([, , to]) => to)].filter((chain) => !chains.has(chain)));
    const inserts = jumps.filter(
      ([, from, to, match]) =>
        !rules.some(
          (rule) =>
            rule.startsWith(`-A ${from} `) && rule.endsWith(`-j ${to}`) && rule.includes(match.split("|")[1] ?? ""),
        ),
    );
    if (makes.size + inserts.length === 0) continue;
    text += [
      `*${name}`,
      ...[...makes].map((chain) => `:${chain} - [0:0]`),
      ...inserts.map(([, from, to, match]) => ["-I", from, ...words(match).map(quoted), "-j", to].join(" ")),
      "COMMIT",
      "",
    ].join("\n");
  }
  return text;
}

export function words(match: string): readonly string[] {
  const [options = "", comment] = match.split("|");
  return [...options.split(" ").filter((word) => word !== ""), ...(comment === undefined ? [] : [comment])];
}

const quoted = (word: string): string => (word.includes(" ") ? `"${word}"` : word);
