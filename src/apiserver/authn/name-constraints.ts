/** Names that an authority may sign for, where it says so. Upstream: Go's crypto/x509 (checkNameConstraints) */
import { ADDRESS, type CertificateFacts, DNS_NAME, EMAIL, type GeneralName } from "./certificate-facts.ts";

/** What is wrong with one of the names in Go's words, or nothing. */
export function nameError(authority: CertificateFacts, names: readonly GeneralName[]): string | undefined {
  const { permitted, excluded } = authority;
  if (permitted.length + excluded.length === 0) return undefined;
  for (const name of names) {
    const of = (list: readonly GeneralName[]) => list.filter(({ type }) => type === name.type);
    const shown = `${KINDS[name.type]} ${JSON.stringify(textOf(name))}`;
    const hit = of(excluded).find((constraint) => matches(name, constraint));
    if (hit !== undefined) return `${WORDS}${shown} is excluded by constraint ${JSON.stringify(textOf(hit))}`;
    const allowed = of(permitted);
    if (allowed.length > 0 && !allowed.some((constraint) => matches(name, constraint)))
      return `${WORDS}${shown} is not permitted by any constraint`;
  }
  return undefined;
}

const WORDS = "x509: a root or intermediate certificate is not authorized to sign for this name: ";
const KINDS: Readonly<Record<number, string>> = {
  [EMAIL]: "email address",
  [DNS_NAME]: "DNS name",
  [ADDRESS]: "IP address",
};

const textOf = ({ type, value }: GeneralName): string =>
  type === ADDRESS ? value.join(".") : Buffer.from(value).toString();

function matches(name: GeneralName, constraint: GeneralName): boolean {
  if (name.type === ADDRESS) return inNetwork(name.value, constraint.value);
  const [text, limit] = [textOf(name).toLowerCase(), textOf(constraint).toLowerCase()];
  if (name.type === DNS_NAME) return inDomain(text, limit, true);
  if (name.type === EMAIL) {
    const host = text.slice(text.lastIndexOf("@") + 1);
    return limit.includes("@") ? text === limit : inDomain(host, limit, false);
  }
  return URL.canParse(text) && inDomain(new URL(text).hostname, limit, false);
}

/** A leading dot asks for a name below; without one, DNS names may be below as well. */
function inDomain(host: string, limit: string, below: boolean): boolean {
  if (limit === "") return true;
  if (limit.startsWith(".")) return host.endsWith(limit) && host.length > limit.length;
  return host === limit || (below && host.endsWith(`.${limit}`));
}

/** The constraint is an address and a mask behind it. */
function inNetwork(address: Uint8Array, constraint: Uint8Array): boolean {
  const size = address.length;
  if (constraint.length !== 2 * size) return false;
  return address.every((byte, i) => ((byte ^ constraint[i]!) & constraint[size + i]!) === 0);
}
