/** A host and a port as they stand in URLs and messages: IPv6 addresses in brackets. Upstream: Go's net.JoinHostPort */
export function hostPort(host: string, port: number | string): string {
  return `${bracketed(host)}:${port}`;
}

export function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
