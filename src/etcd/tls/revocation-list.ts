/**
 * Serial numbers of revoked certificates. As upstream, it checks neither the list's signature nor its dates: whoever can write the file could turn
 * the check off as well.
 * Upstream: client/pkg/transport/listener_tls.go (checkCRL), crypto/x509 (ParseRevocationList)
 */
const SEQUENCE = 0x30;
const INTEGER = 0x02;
const UTC_TIME = 0x17;
const GENERALIZED_TIME = 0x18;

interface Element {
  readonly tag: number;
  readonly content: Buffer;
}

/** The serial numbers in hex, without leading zeros. Throws for what is no list: then nobody is to be let in. */
export function revokedSerials(file: Uint8Array): ReadonlySet<string> {
  const [list] = elements(derOf(Buffer.from(file)));
  const [signed] = elements(content(list, SEQUENCE));
  const fields = elements(content(signed, SEQUENCE));
  // Version (optional), algorithm, issuer, this update, next update (optional), the certificates (optional), extensions.
  let at = fields[0]?.tag === INTEGER ? 3 : 2;
  const thisUpdate = fields[at++]?.tag;
  if (thisUpdate !== UTC_TIME && thisUpdate !== GENERALIZED_TIME) throw malformed();
  const next = fields[at]?.tag;
  if (next === UTC_TIME || next === GENERALIZED_TIME) at++;
  const revoked = fields[at];
  if (revoked?.tag !== SEQUENCE) return new Set();
  return new Set(
    elements(revoked.content).map((entry) => serialText(content(elements(content(entry, SEQUENCE))[0], INTEGER))),
  );
}

/** As `X509Certificate.serialNumber`, made comparable. */
export function serialOf(hex: string): string {
  return hex.toLowerCase().replace(/^0+(?=.)/, "");
}

function serialText(bytes: Buffer): string {
  return serialOf(bytes.toString("hex"));
}

function derOf(file: Buffer): Buffer {
  const text = file.subarray(0, 64).toString("latin1");
  if (!text.includes("-----BEGIN")) return file;
  const pem = /-----BEGIN X509 CRL-----([A-Za-z0-9+/=\s]+)-----END X509 CRL-----/.exec(file.toString("latin1"));
  if (pem === null) throw malformed();
  return Buffer.from(pem[1]!, "base64");
}

function content(element: Element | undefined, tag: number): Buffer {
  if (element?.tag !== tag) throw malformed();
  return element.content;
}

function elements(bytes: Buffer): readonly Element[] {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const tag = bytes[at]!;
    let length = bytes[at + 1];
    let start = at + 2;
    if (length === undefined) throw malformed();
    if (length > 0x7f) {
      const size = length & 0x7f;
      if (size === 0 || size > 4 || start + size > bytes.length) throw malformed();
      length = bytes.readUIntBE(start, size);
      start += size;
    }
    if (start + length > bytes.length) throw malformed();
    found.push({ tag, content: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return found;
}

function malformed(): Error {
  return new Error("x509: malformed crl");
}
