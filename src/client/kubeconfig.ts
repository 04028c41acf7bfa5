/** kubeconfig files: parsing, selection of a context, merging, writing. Upstream: staging/src/k8s.io/client-go/tools/clientcmd */
import { parse, stringify } from "yaml";
import type { Fs } from "../world/fs.ts";
import type { HttpsTransportOptions } from "./https.ts";

export interface Kubeconfig {
  readonly apiVersion: "v1";
  readonly kind: "Config";
  readonly preferences?: object;
  readonly clusters: readonly { readonly name: string; readonly cluster: Cluster }[];
  readonly users: readonly { readonly name: string; readonly user: User }[];
  readonly contexts: readonly { readonly name: string; readonly context: Context }[];
  readonly "current-context": string;
}

/** Fields that we don't read are kept as they are. */
interface Cluster {
  readonly server?: string;
  readonly "certificate-authority"?: string;
  readonly "certificate-authority-data"?: string;
  readonly "tls-server-name"?: string;
  readonly "insecure-skip-tls-verify"?: boolean;
  readonly [other: string]: unknown;
}
interface User {
  readonly "client-certificate"?: string;
  readonly "client-certificate-data"?: string;
  readonly "client-key"?: string;
  readonly "client-key-data"?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly exec?: unknown;
  readonly [other: string]: unknown;
}
interface Context {
  readonly cluster: string;
  readonly user: string;
  readonly namespace?: string;
  readonly [other: string]: unknown;
}

export const EMPTY_KUBECONFIG: Kubeconfig = {
  apiVersion: "v1",
  kind: "Config",
  clusters: [],
  users: [],
  contexts: [],
  "current-context": "",
};

export function parseKubeconfig(text: string): Kubeconfig {
  const value: unknown = parse(text);
  if (value === null || value === undefined) return EMPTY_KUBECONFIG;
  if (typeof value !== "object" || Array.isArray(value)) throw new Error("a kubeconfig is a YAML mapping");
  const config = value as Partial<Kubeconfig>;
  return {
    ...EMPTY_KUBECONFIG,
    ...config,
    clusters: config.clusters ?? [],
    users: config.users ?? [],
    contexts: config.contexts ?? [],
    "current-context": config["current-context"] ?? "",
  };
}

export function formatKubeconfig(config: Kubeconfig): string {
  return stringify(config, { sortMapEntries: true, lineWidth: 0 });
}

/** One cluster, one user, one context of the same name, and that one current. */
export function singleContext(
  name: string,
  cluster: { readonly server: string; readonly ca: string },
  user: { readonly cert?: string; readonly key?: string; readonly token?: string },
): Kubeconfig {
  return {
    ...EMPTY_KUBECONFIG,
    clusters: [{ name, cluster: { server: cluster.server, "certificate-authority-data": base64(cluster.ca) } }],
    users: [
      {
        name,
        user: {
          ...(user.cert !== undefined && { "client-certificate-data": base64(user.cert) }),
          ...(user.key !== undefined && { "client-key-data": base64(user.key) }),
          ...(user.token !== undefined && { token: user.token }),
        },
      },
    ],
    contexts: [{ name, context: { cluster: name, user: name } }],
    "current-context": name,
  };
}

/** As kind does it: entries of the same name are replaced, all others stay, the added context becomes the current one. */
export function mergeKubeconfig(base: Kubeconfig, addition: Kubeconfig): Kubeconfig {
  return {
    ...base,
    clusters: mergeByName(base.clusters, addition.clusters),
    users: mergeByName(base.users, addition.users),
    contexts: mergeByName(base.contexts, addition.contexts),
    "current-context": addition["current-context"] || base["current-context"],
  };
}

/** Takes out what `mergeKubeconfig` put in under this name. */
export function removeContext(config: Kubeconfig, name: string): Kubeconfig {
  const others = <T extends { readonly name: string }>(entries: readonly T[]) =>
    entries.filter((entry) => entry.name !== name);
  return {
    ...config,
    clusters: others(config.clusters),
    users: others(config.users),
    contexts: others(config.contexts),
    "current-context": config["current-context"] === name ? "" : config["current-context"],
  };
}

function mergeByName<T extends { readonly name: string }>(base: readonly T[], added: readonly T[]): readonly T[] {
  const replaced = base.map((entry) => added.find(({ name }) => name === entry.name) ?? entry);
  return [...replaced, ...added.filter(({ name }) => !base.some((entry) => entry.name === name))];
}

/** What a transport needs to speak to the cluster of a context (the current one by default). */
export async function connectionOf(
  config: Kubeconfig,
  fs: Pick<Fs, "readFile">,
  options: {
    readonly context?: string;
    /** What relative paths start from: the folder of the file. */ readonly folder?: string;
  } = {},
): Promise<HttpsTransportOptions & { readonly namespace?: string }> {
  const name = options.context ?? config["current-context"];
  const context = config.contexts.find((entry) => entry.name === name)?.context;
  if (context === undefined) throw new Error(`context "${name}" does not exist`);
  const cluster = config.clusters.find((entry) => entry.name === context.cluster)?.cluster;
  if (cluster?.server === undefined) throw new Error(`cluster "${context.cluster}" does not exist`);
  const user = config.users.find((entry) => entry.name === context.user)?.user ?? {};
  if (user.exec !== undefined && user.token === undefined)
    throw new Error(`user "${context.user}" gets its credentials from a program, which is not supported yet`);

  const text = async (data: string | undefined, file: string | undefined): Promise<string | undefined> => {
    if (data !== undefined && data !== "") return Buffer.from(data, "base64").toString("utf8");
    if (file === undefined || file === "") return undefined;
    const path = file.startsWith("/") || options.folder === undefined ? file : `${options.folder}/${file}`;
    return Buffer.from(await fs.readFile(path)).toString("utf8");
  };
  const ca = await text(cluster["certificate-authority-data"], cluster["certificate-authority"]);
  const cert = await text(user["client-certificate-data"], user["client-certificate"]);
  const key = await text(user["client-key-data"], user["client-key"]);
  const token = user.token ?? (await text(undefined, user.tokenFile))?.trim();
  return {
    server: cluster.server,
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(token !== undefined && { token }),
    ...(cluster["tls-server-name"] !== undefined && { serverName: cluster["tls-server-name"] }),
    ...(cluster["insecure-skip-tls-verify"] && { insecureSkipVerify: true }),
    ...(context.namespace !== undefined && { namespace: context.namespace }),
  };
}

const base64 = (text: string) => Buffer.from(text).toString("base64");
