/**
 * The cluster's certificates, laid out as kubeadm does (`pki/ca.crt`, `pki/apiserver.crt`, …): ECDSA P-256, created at the first start and renewed a
 * month before they expire, keys with mode 0600. Client certificates carry upstream's users and groups, so that the bootstrap RBAC policy applies.
 */
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { join } from "node:path";
import type { World } from "../world/world.ts";
import type { KeyPair, Request } from "./certificates.ts";

export type { KeyPair };

export interface Pki {
  readonly dir: string;
  readonly ca: KeyPair;
  readonly frontProxyCa: KeyPair;
  readonly apiserver: KeyPair;
  readonly apiserverKubeletClient: KeyPair;
  readonly frontProxyClient: KeyPair;
  readonly admin: KeyPair;
  readonly controllerManager: KeyPair;
  readonly scheduler: KeyPair;
  readonly proxy: KeyPair;
  readonly dns: KeyPair;
  /** Signs and verifies service-account tokens (PEM). */
  readonly serviceAccountKey: string;
  readonly serviceAccountPub: string;
  /** A node's client (`system:node:NAME`) and serving certificate. */
  node(name: string, addresses: readonly string[]): Promise<{ readonly client: KeyPair; readonly server: KeyPair }>;
}

const RENEW_BEFORE = 30 * 24 * 3_600_000;
const issuing = () => import("./certificates.ts");

export async function ensurePki(
  world: Pick<World, "fs" | "clock" | "random">,
  dir: string,
  serverNames: readonly string[],
  serverAddresses: readonly string[],
): Promise<Pki> {
  await world.fs.mkdir(dir, { recursive: true, mode: 0o700 });
  const { ca, frontProxyCa } = {
    ca: await ensure(world, dir, "ca", async () => (await issuing()).selfSigned(world, "kubernetes")),
    frontProxyCa: await ensure(world, dir, "front-proxy-ca", async () =>
      (await issuing()).selfSigned(world, "front-proxy-ca"),
    ),
  };
  const leaf = (file: string, request: Request, issuer = ca) =>
    ensure(
      world,
      dir,
      file,
      async () => (await issuing()).signed(world, issuer, request),
      (cert) => covers(cert, request),
    );
  const client = (file: string, commonName: string, ...organizations: string[]) =>
    leaf(file, { commonName, organizations, usages: ["client"] });
  const serviceAccount = await ensureServiceAccountKey(world, dir);
  return {
    dir,
    ca,
    frontProxyCa,
    apiserver: await leaf("apiserver", {
      commonName: "kube-apiserver",
      names: [
        "kubernetes",
        "kubernetes.default",
        "kubernetes.default.svc",
        "kubernetes.default.svc.cluster.local",
        "localhost",
        ...serverNames,
      ],
      addresses: ["127.0.0.1", "::1", ...serverAddresses],
      usages: ["server"],
    }),
    apiserverKubeletClient: await client("apiserver-kubelet-client", "kube-apiserver-kubelet-client", "system:masters"),
    frontProxyClient: await leaf(
      "front-proxy-client",
      { commonName: "front-proxy-client", usages: ["client"] },
      frontProxyCa,
    ),
    admin: await client("admin", "kubernetes-admin", "system:masters"),
    controllerManager: await client("controller-manager", "system:kube-controller-manager"),
    scheduler: await client("scheduler", "system:kube-scheduler"),
    proxy: await client("kube-proxy", "system:kube-proxy"),
    dns: await client("dns", "system:serviceaccount:kube-system:kube-dns"),
    serviceAccountKey: serviceAccount.key,
    serviceAccountPub: serviceAccount.pub,
    async node(name, addresses) {
      return {
        client: await client(`kubelet-client-${name}`, `system:node:${name}`, "system:nodes"),
        server: await leaf(`kubelet-${name}`, {
          commonName: `system:node:${name}`,
          organizations: ["system:nodes"],
          names: [name, "localhost"],
          addresses: ["127.0.0.1", ...addresses],
          usages: ["server"],
        }),
      };
    },
  };
}

/**
 * A serving certificate for a component that was given none: signed by an authority of its own that nobody keeps. In `dir` as `NAME.crt` and `NAME.key`, or
 * nowhere where that is empty. Upstream: client-go/util/cert (GenerateSelfSignedCertKey)
 */
export async function ensureServingPair(
  world: Pick<World, "fs" | "clock" | "random">,
  dir: string,
  name: string,
  subject: { readonly host: string; readonly names?: readonly string[]; readonly addresses?: readonly string[] },
): Promise<KeyPair> {
  const make = async () => {
    const { selfSigned, signed } = await issuing();
    const stamp = Math.floor(world.clock.now() / 1000);
    const issuer = await selfSigned(world, `${subject.host}-ca@${stamp}`);
    const leaf = await signed(world, issuer, {
      commonName: `${subject.host}@${stamp}`,
      names: [subject.host, ...(subject.names ?? [])].filter((value) => isIP(value) === 0),
      addresses: [subject.host, ...(subject.addresses ?? [])].filter((value) => isIP(value) !== 0),
      usages: ["server"],
    });
    return { cert: leaf.cert + issuer.cert, key: leaf.key };
  };
  if (dir === "") return await make();
  await world.fs.mkdir(dir, { recursive: true, mode: 0o755 });
  return await ensure(world, dir, name, make);
}

async function ensure(
  world: Pick<World, "fs" | "clock">,
  dir: string,
  name: string,
  make: () => Promise<KeyPair>,
  fits: (cert: X509Certificate) => boolean = () => true,
): Promise<KeyPair> {
  const [certPath, keyPath] = [join(dir, `${name}.crt`), join(dir, `${name}.key`)];
  if ((await world.fs.stat(certPath)) !== undefined && (await world.fs.stat(keyPath)) !== undefined) {
    const pair = { cert: text(await world.fs.readFile(certPath)), key: text(await world.fs.readFile(keyPath)) };
    const cert = new X509Certificate(pair.cert);
    if (Date.parse(cert.validTo) - RENEW_BEFORE > world.clock.now() && fits(cert)) return pair;
  }
  const pair = await make();
  await world.fs.writeFile(keyPath, pair.key, { mode: 0o600, atomic: true });
  await world.fs.writeFile(certPath, pair.cert, { mode: 0o644, atomic: true });
  return pair;
}

/** A certificate made for other names (the machine moved, a flag changed) is made again. */
function covers(cert: X509Certificate, { names = [], addresses = [] }: Request): boolean {
  return (
    names.every((name) => cert.checkHost(name) !== undefined) &&
    addresses.every((address) => cert.checkIP(address) !== undefined)
  );
}

async function ensureServiceAccountKey(
  world: Pick<World, "fs">,
  dir: string,
): Promise<{ readonly key: string; readonly pub: string }> {
  const [keyPath, pubPath] = [join(dir, "sa.key"), join(dir, "sa.pub")];
  if ((await world.fs.stat(keyPath)) !== undefined)
    return { key: text(await world.fs.readFile(keyPath)), pub: text(await world.fs.readFile(pubPath)) };
  const { key, pub } = await (await issuing()).serviceAccountKeys();
  await world.fs.writeFile(pubPath, pub, { mode: 0o644, atomic: true });
  await world.fs.writeFile(keyPath, key, { mode: 0o600, atomic: true });
  return { key, pub };
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString("utf8");
