/** Names of chains. Upstream: pkg/proxy/iptables/proxier.go (servicePortChainName) */
import { createHash } from "node:crypto";

/** 16 letters of base32(sha256(…)): short enough for a chain's 28 characters, the same on every node. */
export function chainSuffix(...parts: readonly string[]): string {
  const digest = createHash("sha256").update(parts.join("")).digest();
  const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
  let suffix = "";
  // Ten bytes are sixteen groups of five bits.
  let bits = 0;
  let value = 0;
  for (const byte of digest.subarray(0, 10)) {
    value = (value << 8) | byte;
    bits += 8;
    while (bits >= 5) {
      bits -= 5;
      suffix += alphabet[(value >> bits) & 31];
    }
    value &= (1 << bits) - 1;
  }
  return suffix;
}

/** The prefixes of chains that belong to one service port or endpoint. */
export const OWNED_PREFIXES = ["KUBE-SVC-", "KUBE-SVL-", "KUBE-EXT-", "KUBE-FW-", "KUBE-SEP-"] as const;
