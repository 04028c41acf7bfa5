/**
 * Addresses and address ranges, in the strict form that 1.36 asks for.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/util/validation/ip.go
 */
export interface Cidr {
  readonly family: 4 | 6;
  readonly address: bigint;
  readonly bits: number;
}

/** The address as a number; undefined for what isn't one. Leading zeros are read as decimal, as Go's old parser did. */
export function parseIp(text: string): { readonly family: 4 | 6; readonly value: bigint } | undefined {
  if (!text.includes(":")) {
    const value = v4(text);
    return value === undefined ? undefined : { family: 4, value };
  }
  const value = v6(text);
  if (value === undefined) return undefined;
  // An IPv4 address in IPv6's clothes.
  return value >> 32n === 0xffffn ? { family: 4, value: value & 0xffffffffn } : { family: 6, value };
}

function v4(text: string): bigint | undefined {
  const parts = text.split(".");
  if (parts.length !== 4 || !parts.every((part) => /^[0-9]+$/.test(part) && Number(part) <= 255)) return undefined;
  return parts.reduce((sum, part) => sum * 256n + BigInt(part), 0n);
}

function v6(text: string): bigint | undefined {
  let groups = text;
  const dotted = /^(.*:)([0-9]+\.[0-9.]+)$/.exec(text);
  if (dotted !== null) {
    const low = v4(dotted[2]!);
    if (low === undefined) return undefined;
    groups = `${dotted[1]}${(low >> 16n).toString(16)}:${(low & 0xffffn).toString(16)}`;
  }
  const halves = groups.split("::");
  if (halves.length > 2) return undefined;
  const [left, right] = [halves[0]!, halves[1] ?? ""].map((half) => (half === "" ? [] : half.split(":"))) as [
    string[],
    string[],
  ];
  const missing = 8 - left.length - right.length;
  if (halves.length === 2 ? missing < 1 : missing !== 0) return undefined;
  const all = [...left, ...Array.from({ length: missing }, () => "0"), ...right];
  if (!all.every((group) => /^[0-9a-fA-F]{1,4}$/.test(group))) return undefined;
  return all.reduce((sum, group) => sum * 65536n + BigInt(`0x${group}`), 0n);
}

const isMapped = (text: string): boolean => text.includes(":") && parseIp(text)?.family === 4;
const hasLeadingZeros = (text: string): boolean => !isMapped(text) && /(^|\.)0[0-9]/.test(text) && text.includes(".");

export function isIp(text: string): readonly string[] {
  if (parseIp(text) === undefined) return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"];
  if (hasLeadingZeros(text)) return ["must not have leading 0s"];
  if (isMapped(text)) return ["must not be an IPv4-mapped IPv6 address"];
  return [];
}

export function parseCidr(text: string): Cidr | undefined {
  const match = /^([^/]+)\/([0-9]+)$/.exec(text);
  if (match === null) return undefined;
  const ip = parseIp(match[1]!);
  const bits = Number(match[2]);
  if (ip === undefined) return undefined;
  const family = match[1]!.includes(":") ? 6 : 4;
  if (bits > (family === 4 ? 32 : 128)) return undefined;
  return { family, address: ip.value, bits };
}

export function isCidr(text: string): readonly string[] {
  const cidr = parseCidr(text);
  if (cidr === undefined) return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"];
  const [address, bits] = text.split("/") as [string, string];
  if (hasLeadingZeros(address) || /^0[0-9]/.test(bits)) return ["must not have leading 0s in IP or prefix length"];
  if (isMapped(address)) return ["must not have an IPv4-mapped IPv6 address"];
  const rest = BigInt((cidr.family === 4 ? 32 : 128) - cidr.bits);
  if (cidr.address & ((1n << rest) - 1n)) return ["must not have bits set beyond the prefix length"];
  return [];
}

/** False also where either isn't what it should be. */
export function cidrHolds(network: string, address: string): boolean {
  const cidr = parseCidr(network);
  const ip = parseIp(address);
  if (cidr === undefined || ip === undefined || cidr.family !== ip.family) return false;
  const rest = BigInt((ip.family === 4 ? 32 : 128) - cidr.bits);
  return ip.value >> rest === cidr.address >> rest;
}

/** Addresses that can't be a backend: loopback, link-local, unspecified, multicast next door. */
export function isEndpointIp(text: string): readonly string[] {
  const ip = parseIp(text);
  if (ip === undefined) return ["must be a valid IP address"];
  const within = (network: string) => cidrHolds(network, text);
  if (ip.value === 0n) return [`may not be unspecified (${text})`];
  if (within("127.0.0.0/8") || within("::1/128")) return ["may not be in the loopback range (127.0.0.0/8, ::1/128)"];
  if (within("169.254.0.0/16") || within("fe80::/10"))
    return ["may not be in the link-local range (169.254.0.0/16, fe80::/10)"];
  if (within("224.0.0.0/24") || within("ff02::/16"))
    return ["may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)"];
  return [];
}

/** An address as it is written when nothing is left to taste (RFC 5952). */
export function formatIp({ family, value }: { readonly family: 4 | 6; readonly value: bigint }): string {
  if (family === 4) return [24n, 16n, 8n, 0n].map((shift) => String((value >> shift) & 255n)).join(".");
  const groups = Array.from({ length: 8 }, (_, i) => ((value >> BigInt(112 - 16 * i)) & 0xffffn).toString(16));
  let [start, length] = [-1, 1];
  for (let i = 0; i < 8; i++) {
    let end = i;
    while (groups[end] === "0") end++;
    if (end - i > length) [start, length] = [i, end - i];
  }
  if (start < 0) return groups.join(":");
  return `${groups.slice(0, start).join(":")}::${groups.slice(start + length).join(":")}`;
}

/** As `isIp`, for the fields that take one spelling only. */
export function isCanonicalIp(text: string): readonly string[] {
  const errors = isIp(text);
  if (errors.length > 0) return errors;
  const canonical = formatIp(parseIp(text)!);
  return text === canonical ? [] : [`must be in canonical form (${JSON.stringify(canonical)})`];
}

export function isCanonicalCidr(text: string): readonly string[] {
  const errors = isCidr(text);
  if (errors.length > 0) return errors;
  const { family, address, bits } = parseCidr(text)!;
  const canonical = `${formatIp({ family, value: address })}/${bits}`;
  return text === canonical ? [] : [`must be in canonical form (${JSON.stringify(canonical)})`];
}

/** What is said of an address that is good enough, and not as everyone writes it. */
export function ipWarnings(text: string, path: string): readonly string[] {
  const ip = parseIp(text);
  if (ip === undefined) return [];
  const canonical = formatIp(ip);
  if (isMapped(text) || hasLeadingZeros(text))
    return [`${path}: non-standard IP address ${JSON.stringify(text)} is invalid: use ${JSON.stringify(canonical)}`];
  if (ip.family === 4 || text === canonical) return [];
  return [
    `${path}: IPv6 address ${JSON.stringify(text)} should be in RFC 5952 canonical format (${JSON.stringify(canonical)})`,
  ];
}

/** The same of a range; one whose address has bits behind the prefix could mean two things. */
export function cidrWarnings(text: string, path: string): readonly string[] {
  const cidr = parseCidr(text);
  if (cidr === undefined) return [];
  const [address, length] = text.split("/") as [string, string];
  const { family, value } = parseIp(address)!;
  // A range of IPv4 addresses in IPv6's clothes counts its bits as those do.
  const width = family === 6 ? 128 : 32;
  const bits = cidr.family === 6 && family === 4 ? Math.max(0, cidr.bits - 96) : cidr.bits;
  const mask = (1n << BigInt(width - bits)) - 1n;
  const network = `${formatIp({ family, value: value & ~mask })}/${bits}`;
  const warnings: string[] = [];
  const quoted = JSON.stringify(text);
  if ((value & mask) !== 0n)
    warnings.push(
      `${path}: CIDR value ${quoted} is ambiguous in this context (should be ${JSON.stringify(network)} or ${JSON.stringify(`${formatIp({ family, value })}/${width}`)}?)`,
    );
  if (isMapped(address) || hasLeadingZeros(address) || /^0[0-9]/.test(length))
    warnings.push(`${path}: non-standard CIDR value ${quoted} is invalid: use ${JSON.stringify(network)}`);
  const canonical = `${formatIp({ family, value })}/${bits}`;
  if (warnings.length === 0 && family === 6 && canonical !== text)
    warnings.push(
      `${path}: IPv6 CIDR value ${quoted} should be in RFC 5952 canonical format (${JSON.stringify(canonical)})`,
    );
  return warnings;
}
