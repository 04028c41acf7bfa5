/**
 * TLS as the flags configure it: certificates are reloaded for every handshake, and a valid client certificate may still be refused by its name.
 * Upstream: client/pkg/transport/listener.go, listener_tls.go
 */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { Logger } from "../../observe/log.ts";
import type { ClientTls, Peer, ServerTls, TlsBounds } from "../../world/net.ts";
import type { World } from "../../world/world.ts";
import { commonNameOf } from "../auth/authenticator.ts";
import { opensslCiphers } from "./cipher-suites.ts";
import { revokedSerials, serialOf } from "./revocation-list.ts";

/** As the flags of one of the two kinds of ports say. Paths; empty for what isn't given. */
export interface TlsInfo {
  readonly certFile: string;
  readonly keyFile: string;
  /** What is shown to other members, in place of the above. */
  readonly clientCertFile: string;
  readonly clientKeyFile: string;
  readonly clientCertAuth: boolean;
  readonly trustedCaFile: string;
  readonly crlFile: string;
  readonly allowedCns: readonly string[];
  readonly allowedHostnames: readonly string[];
  /** The certificate was made here, by nobody that anyone could trust. */
  readonly selfMade: boolean;
  readonly cipherSuites: readonly string[];
  /** `TLS1.2`, `TLS1.3`, or empty. */
  readonly minVersion: string;
  readonly maxVersion: string;
}

export interface TlsDeps extends Pick<World, "fs"> {
  readonly log: Logger;
}

/** What names stand for, both ways. */
export interface Names {
  addresses(name: string): Promise<readonly string[]>;
  names(address: string): Promise<readonly string[]>;
}

interface Pair {
  readonly cert: string;
  readonly key: string;
}

export function isEmpty({ certFile, keyFile }: TlsInfo): boolean {
  return certFile === "" && keyFile === "";
}

/** For a port. `names` where a certificate has to fit the address that its owner comes from. */
export async function serverTls(
  info: TlsInfo,
  endpoint: "client" | "peer",
  deps: TlsDeps,
  names?: Names,
): Promise<ServerTls> {
  const { fs, log } = deps;
  const current = renewed(info.certFile, info.keyFile, deps, "peer");
  const pair = await checked(info, deps, current);
  const clientCa = info.trustedCaFile === "" ? undefined : await readText(fs, info.trustedCaFile);
  const allowed = allowance(info);
  return {
    ...pair,
    current,
    ...(clientCa !== undefined && { clientCa }),
    // An authority alone is enough to ask for certificates.
    requireClientCert: info.clientCertAuth || clientCa !== undefined,
    bounds: boundsOf(info),
    async check(peer) {
      if (peer.certificate === undefined) return;
      if (allowed !== undefined) allowed(peer);
      const chain = peer.certificate.chain.map((der) => new X509Certificate(der));
      if (names !== undefined) await checkAddress(chain[0]!, peer.address.host, names);
      if (info.crlFile !== "") await checkRevocation(chain, info.crlFile, fs);
    },
    onRefused: (error, { host, port }) =>
      log.warn(`rejected connection on ${endpoint} endpoint`, {
        "remote-addr": `${host}:${port}`,
        error: error instanceof Error ? error.message : String(error),
      }),
  };
}

/** For connections to other members. */
export async function clientTls(info: TlsInfo, deps: TlsDeps, serverName = ""): Promise<ClientTls> {
  const { fs } = deps;
  const ca = info.trustedCaFile === "" ? undefined : await readText(fs, info.trustedCaFile);
  const trust = {
    ...(ca !== undefined && { ca }),
    ...(serverName !== "" && { serverName }),
    ...(info.selfMade && { insecureSkipVerify: true }),
    bounds: boundsOf(info),
  };
  if (isEmpty(info)) return trust;
  await checked(info, deps, renewed(info.certFile, info.keyFile, deps, "peer"));
  const current =
    info.clientCertFile === ""
      ? renewed(info.certFile, info.keyFile, deps, "client")
      : renewed(info.clientCertFile, info.clientKeyFile, deps, "client");
  return { ...trust, ...(await current()), current };
}

/** What must not be found out only when the first connection comes. */
async function checked(info: TlsInfo, deps: TlsDeps, current: () => Promise<Pair>): Promise<Pair> {
  const { certFile, keyFile, clientCertFile, clientKeyFile, allowedCns, allowedHostnames } = info;
  if (certFile === "" || keyFile === "")
    throw new Error(`KeyFile and CertFile must both be present[key: ${keyFile}, cert: ${certFile}]`);
  const pair = await current();
  if ((clientCertFile === "") !== (clientKeyFile === ""))
    throw new Error(
      `ClientKeyFile and ClientCertFile must both be present or both absent: key: ${clientKeyFile}, cert: ${clientCertFile}]`,
    );
  if (clientCertFile !== "") await renewed(clientCertFile, clientKeyFile, deps, "client")();
  if (allowedCns.length > 0 && allowedHostnames.length > 0)
    throw new Error(
      `AllowedCNs and AllowedHostnames are mutually exclusive (cns=${goList(allowedCns)}, hostnames=${goList(allowedHostnames)})`,
    );
  return pair;
}

/** Reads both files each time: whoever replaces them needs to tell nobody. */
function renewed(
  certFile: string,
  keyFile: string,
  { fs, log }: TlsDeps,
  whose: "peer" | "client",
): () => Promise<Pair> {
  let last: Pair | undefined;
  return async () => {
    try {
      const pair = { cert: await readText(fs, certFile), key: await readText(fs, keyFile) };
      if (pair.cert !== last?.cert || pair.key !== last.key) {
        // One file may have been replaced and the other not yet.
        if (!new X509Certificate(pair.cert).checkPrivateKey(createPrivateKey(pair.key)))
          throw new Error("tls: private key does not match public key");
        last = pair;
      }
      return last;
    } catch (error) {
      const missing = (error as { code?: string }).code === "ENOENT";
      log.error(missing ? `failed to find ${whose} cert files` : `failed to create ${whose} certificate`, error, {
        "cert-file": certFile,
        "key-file": keyFile,
      });
      throw error;
    }
  };
}

/** Versions and suites. Throws what is wrong with them in upstream's words. */
export function boundsOf({ cipherSuites, minVersion, maxVersion }: TlsInfo): TlsBounds {
  const [min, max] = [versionOf(minVersion), versionOf(maxVersion)];
  if (min === "TLSv1.3" && max === "TLSv1.2")
    throw new Error(`min version (${minVersion}) is greater than max version (${maxVersion})`);
  if (min === "TLSv1.3" && cipherSuites.length > 0)
    throw new Error("cipher suites cannot be configured when only TLS1.3 is enabled");
  return {
    ...(min !== undefined && { minVersion: min }),
    ...(max !== undefined && { maxVersion: max }),
    ...(cipherSuites.length > 0 && { ciphers: opensslCiphers(cipherSuites) }),
  };
}

function versionOf(text: string): TlsBounds["minVersion"] {
  switch (text) {
    case "":
      return undefined;
    case "TLS1.2":
      return "TLSv1.2";
    case "TLS1.3":
      return "TLSv1.3";
    default:
      throw new Error(`unexpected TLS version ${JSON.stringify(text)} (must be one of: TLS1.2, TLS1.3)`);
  }
}

/** Throws for certificates that are good, and not on the list. */
function allowance({ allowedCns, allowedHostnames }: TlsInfo): ((peer: Peer) => void) | undefined {
  if (allowedCns.length === 0 && allowedHostnames.length === 0) return undefined;
  return ({ certificate }) => {
    if (certificate?.authorized === true) {
      const leaf = new X509Certificate(certificate.der);
      if (allowedCns.includes(commonNameOf(certificate.der))) return;
      if (allowedHostnames.some((name) => isFor(leaf, name))) return;
    }
    throw new Error("client certificate authentication failed");
  };
}

function isFor(certificate: X509Certificate, host: string): boolean {
  const isAddress = host.includes(":") || /^\d+(\.\d+){3}$/.test(host);
  return isAddress
    ? certificate.checkIP(host) !== undefined
    : certificate.checkHost(host, { subject: "never" }) !== undefined;
}

async function checkRevocation(chain: readonly X509Certificate[], file: string, fs: World["fs"]): Promise<void> {
  const revoked = revokedSerials(await fs.readFile(file));
  for (const { serialNumber } of chain)
    if (revoked.has(serialOf(serialNumber)))
      throw new Error(`transport: certificate serial ${serialOf(serialNumber)} revoked`);
}

/** A certificate that names addresses or hosts is good for who comes from there. */
async function checkAddress(certificate: X509Certificate, address: string, names: Names): Promise<void> {
  const alternatives = certificate.subjectAltName ?? "";
  const hosts = [...alternatives.matchAll(/DNS:([^,]+)/g)].map(([, name]) => name!);
  const addresses = [...alternatives.matchAll(/IP Address:/g)];
  if (hosts.length === 0 && addresses.length === 0) return;
  const from = address.replace(/^::ffff:/, "");
  if (addresses.length > 0 && isFor(certificate, from)) return;
  if (hosts.length === 0) throw new Error(`x509: certificate is valid for ${alternatives}, not ${from}`);
  if (!(await comesFrom(from, hosts, names)))
    throw new Error(`tls: ${JSON.stringify(from)} does not match any of DNSNames ${goList(hosts)}`);
}

async function comesFrom(address: string, hosts: readonly string[], names: Names): Promise<boolean> {
  // A wildcard stands for a name that only the address itself can tell.
  const known = await names.names(address).catch((): readonly string[] => []);
  for (const name of known) {
    const plain = name.replace(/\.$/, "");
    if (hosts.some((host) => (host.startsWith("*.") ? plain.endsWith(host.slice(1)) : host === plain))) return true;
  }
  for (const host of hosts) {
    if (host.startsWith("*.")) continue;
    if ((await names.addresses(host).catch((): readonly string[] => [])).includes(address)) return true;
  }
  return false;
}

/** As Go prints a list of quoted words. */
function goList(words: readonly string[]): string {
  return `[${words.map((word) => JSON.stringify(word)).join(" ")}]`;
}

async function readText(fs: World["fs"], path: string): Promise<string> {
  return Buffer.from(await fs.readFile(path)).toString();
}
