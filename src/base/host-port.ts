/** Formats and parses `host:port` as in URLs and messages: IPv6 addresses are in brackets. Upstream: Go's net.JoinHostPort */
export function hostPort(host: string, port: number | string): string {
  return `${bracketed(host)}:${port}`;
}

export function bracketed(host: string): string {
  return host.includes(":") ? `[${host}]` : host;
}
