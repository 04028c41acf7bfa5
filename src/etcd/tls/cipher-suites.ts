/** Go's names of cipher suites, and OpenSSL's. Upstream: client/pkg/tlsutil/cipher_suites.go, crypto/tls/cipher_suites.go */

export const GO_NAMES = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA",
  "TLS_ECDHE_ECDSA_WITH_AES_256_CBC_SHA",
  "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA",
  "TLS_ECDHE_RSA_WITH_AES_256_CBC_SHA",
  "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
  "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
  "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
  "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305",
  "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305",
  "TLS_RSA_WITH_RC4_128_SHA",
  "TLS_RSA_WITH_3DES_EDE_CBC_SHA",
  "TLS_RSA_WITH_AES_128_CBC_SHA",
  "TLS_RSA_WITH_AES_256_CBC_SHA",
  "TLS_RSA_WITH_AES_128_CBC_SHA256",
  "TLS_RSA_WITH_AES_128_GCM_SHA256",
  "TLS_RSA_WITH_AES_256_GCM_SHA384",
  "TLS_ECDHE_ECDSA_WITH_RC4_128_SHA",
  "TLS_ECDHE_RSA_WITH_RC4_128_SHA",
  "TLS_ECDHE_RSA_WITH_3DES_EDE_CBC_SHA",
  "TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256",
  "TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256",
];

/** Those of TLS 1.3 are always there: Go can't do without them either. */
const TLS13 = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256";

/** A list for OpenSSL. */
export function opensslCiphers(names: readonly string[]): string {
  const unknown = names.find((name) => !GO_NAMES.includes(name));
  if (unknown !== undefined) throw new Error(`unexpected TLS cipher suite ${JSON.stringify(unknown)}`);
  return [TLS13, ...names.filter((name) => name.includes("_WITH_")).map(opensslName)].join(":");
}

/** `TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256` is `ECDHE-RSA-AES128-GCM-SHA256`; what uses RSA for everything has the cipher alone. */
function opensslName(name: string): string {
  const [exchange, cipher] = name.slice("TLS_".length).split("_WITH_") as [string, string];
  const short = cipher
    .replace("3DES_EDE_CBC", "DES-CBC3")
    .replace("RC4_128", "RC4")
    .replace(/CHACHA20_POLY1305.*/, "CHACHA20-POLY1305")
    .replace("AES_", "AES")
    .replace("_CBC", "")
    .replaceAll("_", "-");
  return exchange === "RSA" ? short : `${exchange.replace("_", "-")}-${short}`;
}
