/**
 * Creates certificate authorities and certificates. It is a module of its own because its library is large, and most starts find all certificates on
 * disk.
 */
import "reflect-metadata";
import * as x509 from "@peculiar/x509";
import { webcrypto } from "node:crypto";
import { isIP } from "node:net";
import type { World } from "../world/world.ts";

x509.cryptoProvider.set(webcrypto as any);

export interface KeyPair {
  readonly cert: string;
  readonly key: string;
}

const YEAR = 365 * 24 * 3_600_000;
const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;

/** What a certificate is for. */
export interface Request {
  readonly commonName: string;
  readonly organizations?: readonly string[];
  readonly names?: readonly string[];
  readonly addresses?: readonly string[];
  readonly usages: readonly ("client" | "server")[];
}

export async function selfSigned(world: Pick<World, "clock" | "random">, commonName: string): Promise<KeyPair> {
  const keys = await generateKeys();
  const now = world.clock.now();
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(world),
    name: [{ CN: [commonName] }],
    notBefore: new Date(now - 300_000),
    notAfter: new Date(now + 10 * YEAR),
    signingAlgorithm: ALGORITHM,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(
        x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment | x509.KeyUsageFlags.keyCertSign,
        true,
      ),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return pem(cert, keys);
}

export async function signed(
  world: Pick<World, "clock" | "random">,
  issuer: KeyPair,
  request: Request,
): Promise<KeyPair> {
  const keys = await generateKeys();
  const ca = new x509.X509Certificate(issuer.cert);
  const signingKey = await webcrypto.subtle.importKey(
    "pkcs8",
    x509.PemConverter.decodeFirst(issuer.key),
    ALGORITHM,
    false,
    ["sign"],
  );
  const now = world.clock.now();
  const subject: Record<string, string[]>[] = [
    ...(request.organizations ?? []).map((organization) => ({ O: [organization] })),
    { CN: [request.commonName] },
  ];
  const alternatives = [
    ...(request.names ?? []).map((value) => ({ type: "dns" as const, value })),
    ...(request.addresses ?? []).map((value) => ({ type: "ip" as const, value })),
  ];
  const cert = await x509.X509CertificateGenerator.create({
    serialNumber: serial(world),
    subject,
    issuer: ca.subject,
    notBefore: new Date(now - 300_000),
    notAfter: new Date(now + YEAR),
    signingAlgorithm: ALGORITHM,
    publicKey: keys.publicKey,
    signingKey: signingKey as any,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature | x509.KeyUsageFlags.keyEncipherment, true),
      new x509.ExtendedKeyUsageExtension(
        request.usages.map((usage) =>
          usage === "client" ? x509.ExtendedKeyUsage.clientAuth : x509.ExtendedKeyUsage.serverAuth,
        ),
      ),
      await x509.AuthorityKeyIdentifierExtension.create(ca.publicKey),
      ...(alternatives.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(alternatives)]),
    ],
  });
  return pem(cert, keys);
}

/** A certificate for a server that nobody vouches for, as etcd makes them for itself. Upstream: client/pkg/transport (SelfCert) */
export async function selfMade(
  world: Pick<World, "clock" | "random">,
  organization: string,
  hosts: readonly string[],
  years: number,
): Promise<KeyPair> {
  const algorithm = { name: "ECDSA", namedCurve: "P-521", hash: "SHA-512" } as const;
  const keys = (await webcrypto.subtle.generateKey(algorithm, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;
  const now = world.clock.now();
  const { keyEncipherment, digitalSignature, cRLSign } = x509.KeyUsageFlags;
  const alternatives = hosts.map((value) => ({ type: isIP(value) === 0 ? ("dns" as const) : ("ip" as const), value }));
  const cert = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serial(world),
    name: [{ O: [organization] }],
    notBefore: new Date(now),
    notAfter: new Date(now + years * YEAR),
    signingAlgorithm: algorithm,
    keys,
    extensions: [
      new x509.BasicConstraintsExtension(true, undefined, true),
      new x509.KeyUsagesExtension(keyEncipherment | digitalSignature | cRLSign, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
      ...(alternatives.length === 0 ? [] : [new x509.SubjectAlternativeNameExtension(alternatives)]),
    ],
  });
  return pem(cert, keys);
}

/** A key that signs service-account tokens. */
export async function serviceAccountKeys(): Promise<{ readonly key: string; readonly pub: string }> {
  const keys = await generateKeys();
  return {
    key: x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY"),
    pub: x509.PemConverter.encode(await webcrypto.subtle.exportKey("spki", keys.publicKey), "PUBLIC KEY"),
  };
}

const generateKeys = async (): Promise<webcrypto.CryptoKeyPair> =>
  (await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"])) as webcrypto.CryptoKeyPair;

async function pem(cert: x509.X509Certificate, keys: webcrypto.CryptoKeyPair): Promise<KeyPair> {
  const key = x509.PemConverter.encode(await webcrypto.subtle.exportKey("pkcs8", keys.privateKey), "PRIVATE KEY");
  return { cert: `${cert.toString("pem")}\n`, key: `${key}\n` };
}

function serial(world: Pick<World, "random">): string {
  const bytes = world.random.bytes(16);
  bytes[0] = (bytes[0]! & 0x7f) | 0x01; // Positive and never zero.
  return Buffer.from(bytes).toString("hex");
}
