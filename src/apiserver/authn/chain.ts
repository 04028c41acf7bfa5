/**
 * Verifies that a client certificate is signed by one of the given authorities. This happens at each request, so that an authority that was removed
 * is distrusted at once.
 * Upstream: Go's crypto/x509 Verify
 */
import { X509Certificate } from "node:crypto";
import { factsOf } from "./certificate-facts.ts";
import { nameError } from "./name-constraints.ts";

/** The certificates of a PEM bundle. */
export function readBundle(pem: string): readonly X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  return blocks.map((block) => new X509Certificate(block));
}

export type Verdict = { readonly untilMs: number } | { readonly error: string };

const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
const ANY_USAGE = "2.5.29.37.0";
const DEPTH_MAX = 10;

/** Good until the first certificate of its chain ends, or why not. */
export function verifyChain(
  leaf: X509Certificate,
  others: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  nowMs: number,
): Verdict {
  const wrong = unhandled(leaf) ?? timeError(leaf, nowMs);
  if (wrong !== undefined) return { error: wrong };
  const refused: string[] = [];
  const path = pathTo(leaf, others, roots, nowMs, [], refused);
  if (path === undefined) return { error: refused[0] ?? "x509: certificate signed by unknown authority" };
  if (!path.every(mayIdentify)) return { error: "x509: certificate specifies an incompatible key usage" };
  return { untilMs: Math.min(...path.map((certificate) => Date.parse(certificate.validTo))) };
}

/** `refused` gets what is wrong with authorities that would have signed. */
function pathTo(
  from: X509Certificate,
  others: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  nowMs: number,
  below: readonly X509Certificate[],
  refused: string[],
): readonly X509Certificate[] | undefined {
  const path = [...below, from];
  if (below.length === 0 && roots.some(({ raw }) => raw.equals(from.raw))) return [from, from];
  const mayStandAbove = (issuer: X509Certificate) => {
    if (!signs(issuer, from)) return false;
    const wrong = issuerError(issuer, path, nowMs);
    if (wrong !== undefined) refused.push(wrong);
    return wrong === undefined;
  };
  const root = roots.find(mayStandAbove);
  if (root !== undefined) return [...path, root];
  if (path.length >= DEPTH_MAX) return undefined;
  for (const other of others) {
    if (path.some(({ raw }) => raw.equals(other.raw)) || !mayStandAbove(other)) continue;
    const found = pathTo(other, others, roots, nowMs, path, refused);
    if (found !== undefined) return found;
  }
  return undefined;
}

function signs(issuer: X509Certificate, certificate: X509Certificate): boolean {
  return issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

/** What keeps an authority from standing above these certificates, though it signed the last of them. */
function issuerError(issuer: X509Certificate, below: readonly X509Certificate[], nowMs: number): string | undefined {
  const facts = factsOf(issuer);
  const wrong = unhandled(issuer) ?? timeError(issuer, nowMs);
  if (wrong !== undefined) return wrong;
  if (facts.maySign === false) return "x509: certificate signed by unknown authority";
  if (facts.pathLength !== undefined && below.length - 1 > facts.pathLength)
    return "x509: too many intermediates for path length constraint";
  return nameError(
    facts,
    below.flatMap((certificate) => factsOf(certificate).alternatives),
  );
}

const unhandled = (certificate: X509Certificate): string | undefined =>
  factsOf(certificate).unhandled ? "x509: unhandled critical extension" : undefined;

/** Without a word about its use it may be used for anything. */
function mayIdentify({ keyUsage }: X509Certificate): boolean {
  return keyUsage === undefined || keyUsage.some((usage) => usage === CLIENT_AUTH || usage === ANY_USAGE);
}

function timeError({ validFrom, validTo }: X509Certificate, nowMs: number): string | undefined {
  const now = time(nowMs);
  const start = Date.parse(validFrom);
  const end = Date.parse(validTo);
  const words = "x509: certificate has expired or is not yet valid: current time";
  if (nowMs < start) return `${words} ${now} is before ${time(start)}`;
  return nowMs > end ? `${words} ${now} is after ${time(end)}` : undefined;
}

const time = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`;
