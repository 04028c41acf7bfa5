/**
 * Parses `--initial-cluster`, names and their peer URLs, with upstream's checks and error messages.
 * Upstream: client/pkg/types/urlsmap.go, server/config/config.go
 */
import type { Member } from "../../protocols/etcd/generated.ts";
import { memberId } from "./identity.ts";

/** The URLs of a name are sorted. */
export type InitialCluster = ReadonlyMap<string, readonly string[]>;

/** Checks URLs and brings them into order. */
export function parseUrls(texts: readonly string[]): readonly string[] {
  if (texts.length === 0) throw new Error("no valid URLs given");
  return texts
    .map((text) => text.trim())
    .map((text) => {
      const scheme = /^([a-zA-Z][a-zA-Z0-9+.-]*):/.exec(text)?.[1]?.toLowerCase();
      if (scheme === "unix" || scheme === "unixs") return text;
      if (scheme !== "http" && scheme !== "https")
        throw new Error(`URL scheme must be http, https, unix, or unixs: ${text}`);
      const [, host = "", path = ""] = /^[^:]+:\/\/([^/?#]*)([^?#]*)/.exec(text) ?? [];
      if (!/^(\[[^\]]*\]|[^:[\]]*):[^:]*$/.test(host))
        throw new Error(`URL address does not have the form "host:port": ${text}`);
      if (path !== "") throw new Error(`URL must not contain a path: ${text}`);
      if (!URL.canParse(text)) throw new Error(`parse "${text}": invalid URL`);
      return text;
    })
    .sort();
}

/** `a=http://1.1.1.1:2380,a=http://1.1.1.1:7001,b=http://1.1.1.2:2380` */
export function parseInitialCluster(text: string): InitialCluster {
  const urls = new Map<string, string[]>();
  for (const pair of text.split(",")) {
    if (pair === "") continue;
    const cut = pair.indexOf("=");
    const name = cut < 0 ? pair : pair.slice(0, cut);
    const known = urls.get(name);
    const url = cut < 0 ? "" : pair.slice(cut + 1);
    if (known === undefined) urls.set(name, [url]);
    else known.push(url);
  }
  return new Map([...urls].map(([name, list]) => [name, parseUrls(list)]));
}

export function formatInitialCluster(cluster: InitialCluster): string {
  return [...cluster]
    .flatMap(([name, urls]) => urls.map((url) => `${name}=${url}`))
    .sort()
    .join(",");
}

/** The members, in the order of their ids. */
export function membersOf(cluster: InitialCluster, token: string): readonly Member[] {
  const members = [...cluster].map(([name, peerURLs]): Member => ({
    ID: memberId(peerURLs, token),
    name,
    peerURLs: [...peerURLs],
    clientURLs: [],
    isLearner: false,
  }));
  members.sort((a, b) => (a.ID < b.ID ? -1 : 1));
  for (let i = 1; i < members.length; i++)
    if (members[i]!.ID === members[i - 1]!.ID)
      throw new Error(`member exists with identical ID ${members[i]!.ID.toString(16)}`);
  return members;
}

export interface LocalMember {
  readonly name: string;
  readonly advertisedUrls: readonly string[];
}

/** Throws why a new cluster can't be made of this. */
export function checkNew(
  cluster: InitialCluster,
  local: LocalMember,
  discovers: boolean,
  canonical: Canonical = plainUrl,
): void {
  expectLocal(cluster, local.name);
  checkAdvertised(cluster, local, canonical);
  refuseDuplicates(cluster);
  if (cluster.size === 0 && !discovers) throw new Error("initial cluster unset and no discovery endpoints found");
}

/** Throws why a running cluster can't be joined with this. */
export function checkExisting(cluster: InitialCluster, local: LocalMember, discovers: boolean): void {
  expectLocal(cluster, local.name);
  refuseDuplicates(cluster);
  if (discovers) throw new Error("discovery URL should not be set when joining existing initial cluster");
}

export function refuseDuplicates(cluster: InitialCluster, words = "initial cluster"): void {
  const urls = [...cluster.values()].flat();
  if (new Set(urls).size < urls.length) throw new Error(`${words} ${formatInitialCluster(cluster)} has duplicate url`);
}

function expectLocal(cluster: InitialCluster, name: string): void {
  if (!cluster.has(name))
    throw new Error(`couldn't find local name ${JSON.stringify(name)} in the initial cluster configuration`);
}

function checkAdvertised(cluster: InitialCluster, { name, advertisedUrls }: LocalMember, canonical: Canonical): void {
  const told = cluster.get(name)!;
  if (sameUrls(told, advertisedUrls, canonical)) return;
  const advertised = [...advertisedUrls].sort();
  const missing = told.filter((url) => !advertised.includes(url));
  if (missing.length > 0)
    throw new Error(
      `--initial-cluster has ${missing.map((url) => `${name}=${url}`).join(",")} but missing from --initial-advertise-peer-urls=${advertised.join(",")}`,
    );
  const extra = advertised.filter((url) => !told.includes(url));
  throw new Error(
    `--initial-advertise-peer-urls has ${extra.join(",")} but missing from --initial-cluster=${advertised.map((url) => `${name}=${url}`).join(",")}`,
  );
}

/** Brings URLs that mean the same into the same form. */
export type Canonical = (url: string) => string;

/** Whether both name the same addresses. */
export function sameUrls(a: readonly string[], b: readonly string[], canonical: Canonical = plainUrl): boolean {
  const plain = (urls: readonly string[]) => urls.map(canonical).sort().join(",");
  return plain(a) === plain(b);
}

/** `localhost` is the loopback address. */
export function plainUrl(url: string): string {
  return url.replace(/\/\/localhost(?=[:/]|$)/, "//127.0.0.1").replace(/\/$/, "");
}

/** By the addresses of the hosts that these URLs name. A host that can't be found stands for itself. */
export async function byAddress(
  urls: readonly string[],
  addressesOf: (host: string) => Promise<readonly string[]>,
): Promise<Canonical> {
  const hosts = new Set(urls.flatMap((url) => URL.parse(url)?.hostname || []));
  // All at once: name servers that don't answer are waited for once.
  const addresses = new Map(
    await Promise.all(
      [...hosts].map(async (host) => {
        const found = await addressesOf(host).catch(() => []);
        return [host, [...found].sort()[0] ?? host] as const;
      }),
    ),
  );
  return (url) => {
    if (!URL.canParse(url)) return url;
    const { hostname, port, protocol } = new URL(url);
    return `${protocol}//${addresses.get(hostname) ?? hostname}:${port}`;
  };
}
