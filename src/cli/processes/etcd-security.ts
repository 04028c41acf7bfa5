/** Turns the flags for certificates, passwords and tokens into the options of a member. Upstream: server/embed/config.go, etcd.go */
import { join } from "node:path";
import { resolver } from "../../etcd/cluster/resolver.ts";
import type { EtcdOptions } from "../../etcd/options.ts";
import { clientTls, isEmpty, serverTls, type TlsInfo } from "../../etcd/tls/tls.ts";
import type { Logger } from "../../observe/log.ts";
import type { World } from "../../world/world.ts";
import { CommandError } from "../command.ts";
import type { Values } from "../flags.ts";
import type { etcdSecurityFlags } from "../flags/etcd-security.ts";

type Options = Values<typeof etcdSecurityFlags>;

export interface EtcdUrls {
  readonly dataDir: string;
  readonly listenClientUrls: readonly string[];
  readonly listenPeerUrls: readonly string[];
}

type SecurityOptions = Pick<EtcdOptions, "clientCertAuth" | "authToken" | "authTokenTtlSeconds" | "bcryptCost"> &
  Partial<Pick<EtcdOptions, "clientTls" | "peerTls" | "peerClientTls">>;

export async function securityOptions(
  world: World,
  options: Options,
  urls: EtcdUrls,
  log: Logger,
): Promise<SecurityOptions> {
  const deps = { ...world, log };
  try {
    const client = await madeHere(clientInfo(options), options["auto-tls"], "client", urls, options, deps);
    const peer = await madeHere(peerInfo(options), options["peer-auto-tls"], "peer", urls, options, deps);
    checkUrls("client", urls.listenClientUrls, client, log);
    checkUrls("peer", urls.listenPeerUrls, peer, log);
    const names = options["peer-skip-client-san-verification"] ? undefined : resolver(world);
    return {
      clientCertAuth: client.clientCertAuth,
      authToken: options["auth-token"],
      authTokenTtlSeconds: options["auth-token-ttl"],
      bcryptCost: options["bcrypt-cost"],
      ...(!isEmpty(client) && { clientTls: await serverTls(client, "client", deps) }),
      ...(!isEmpty(peer) && { peerTls: await serverTls(peer, "peer", deps, names) }),
      peerClientTls: await clientTls(peer, deps),
    };
  } catch (error) {
    throw error instanceof CommandError ? error : new CommandError((error as Error).message);
  }
}

function clientInfo(options: Options): TlsInfo {
  return {
    certFile: options["cert-file"],
    keyFile: options["key-file"],
    clientCertFile: options["client-cert-file"],
    clientKeyFile: options["client-key-file"],
    clientCertAuth: options["client-cert-auth"],
    trustedCaFile: options["trusted-ca-file"],
    crlFile: options["client-crl-file"],
    allowedCns: options["client-cert-allowed-cn"],
    allowedHostnames: options["client-cert-allowed-hostname"],
    ...bounds(options),
  };
}

function peerInfo(options: Options): TlsInfo {
  return {
    certFile: options["peer-cert-file"],
    keyFile: options["peer-key-file"],
    clientCertFile: options["peer-client-cert-file"],
    clientKeyFile: options["peer-client-key-file"],
    clientCertAuth: options["peer-client-cert-auth"],
    trustedCaFile: options["peer-trusted-ca-file"],
    crlFile: options["peer-crl-file"],
    allowedCns: options["peer-cert-allowed-cn"],
    allowedHostnames: options["peer-cert-allowed-hostname"],
    ...bounds(options),
  };
}

function bounds(options: Options) {
  return {
    selfMade: false,
    cipherSuites: options["cipher-suites"].filter((name) => name !== ""),
    minVersion: options["tls-min-version"],
    maxVersion: options["tls-max-version"],
  };
}

/** A certificate for who was given none and asked for one, kept in the data folder. */
async function madeHere(
  info: TlsInfo,
  wanted: boolean,
  endpoint: "client" | "peer",
  { dataDir, listenClientUrls, listenPeerUrls }: EtcdUrls,
  options: Options,
  deps: World & { readonly log: Logger },
): Promise<TlsInfo> {
  if (!wanted) return info;
  if (!isEmpty(info)) {
    deps.log.warn(`ignoring ${endpoint} auto TLS since certs given`);
    return info;
  }
  const years = options["self-signed-cert-validity"];
  if (years <= 0) throw new CommandError("selfSignedCertValidity is invalid,it should be greater than 0");
  const folder = join(dataDir, "fixtures", endpoint);
  const [certFile, keyFile] = [join(folder, "cert.pem"), join(folder, "key.pem")];
  if ((await deps.fs.stat(certFile)) === undefined || (await deps.fs.stat(keyFile)) === undefined) {
    const { selfMade } = await import("../certificates.ts");
    const hosts = (endpoint === "client" ? listenClientUrls : listenPeerUrls).map(hostOf);
    const { cert, key } = await selfMade(deps, "etcd", hosts, years);
    await deps.fs.mkdir(folder, { recursive: true, mode: 0o700 });
    await deps.fs.writeFile(keyFile, key, { mode: 0o600, atomic: true });
    await deps.fs.writeFile(certFile, cert, { mode: 0o644, atomic: true });
    deps.log.warn("automatically generate certificates", { "cert-file": certFile, years });
  }
  const own = { certFile, keyFile, clientCertFile: certFile, clientKeyFile: keyFile };
  return { ...info, ...own, trustedCaFile: "", clientCertAuth: false, selfMade: true };
}

function hostOf(url: string): string {
  return new URL(url).hostname.replace(/^\[|\]$/g, "");
}

function checkUrls(endpoint: "client" | "peer", urls: readonly string[], info: TlsInfo, log: Logger): void {
  for (const url of urls) {
    const scheme = url.slice(0, url.indexOf(":"));
    const secure = scheme === "https" || scheme === "unixs";
    if (secure && isEmpty(info))
      throw new CommandError(
        endpoint === "client"
          ? `TLS key/cert (--cert-file, --key-file) must be provided for client url ${url} with HTTPS scheme`
          : `cannot listen on TLS for ${new URL(url).host}: KeyFile and CertFile are not presented`,
      );
    if (secure) continue;
    if (!isEmpty(info))
      log.warn("scheme is not HTTPS while key and cert files are present; ignoring key and cert files", {
        [`${endpoint}-url`]: url,
      });
    if (info.clientCertAuth)
      log.warn("scheme is not HTTPS while client cert auth is enabled; ignoring client cert auth for this URL", {
        [`${endpoint}-url`]: url,
      });
  }
}
