/** What this server calls itself among others. Upstream: staging/src/k8s.io/apiserver/pkg/server/config.go */
import { createHash } from "node:crypto";

/** The name of its identity lease: one server on each machine. */
export function identityOf(hostname: string): string {
  const hash = createHash("sha256");
  for (const part of [hostname, "kube-apiserver"]) {
    const bytes = Buffer.from(part);
    hash.update(Uint8Array.of(bytes.length >> 8, bytes.length & 0xff)).update(bytes);
  }
  return `apiserver-${base32(hash.digest().subarray(0, 16))}`;
}

function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, "0")).join("");
  return bits.replace(
    /.{1,5}/g,
    (five) => "abcdefghijklmnopqrstuvwxyz234567"[Number.parseInt(five.padEnd(5, "0"), 2)]!,
  );
}
