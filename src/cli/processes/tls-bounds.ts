/** The versions and suites of TLS that flags allow a port. Upstream: component-base/cli/flag/ciphersuites_flag.go */
import { opensslCiphers } from "../../etcd/tls/cipher-suites.ts";
import type { TlsBounds } from "../../world/net.ts";

interface TlsValues {
  readonly "tls-cipher-suites": readonly string[];
  readonly "tls-min-version": string;
}

export function tlsBounds(values: Partial<TlsValues>): TlsBounds {
  const suites = values["tls-cipher-suites"] ?? [];
  return {
    ...(values["tls-min-version"] === "VersionTLS13" && { minVersion: "TLSv1.3" as const }),
    ...(suites.length > 0 && { ciphers: opensslCiphers(suites) }),
  };
}
