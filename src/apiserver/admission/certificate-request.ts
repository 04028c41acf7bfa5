/**
 * The organisations in the subject of a certificate request (PKCS #10), which is all that admission asks of one. A walk over DER and no more: type,
 * length, content.
 */

/** `CertificationRequest` → `certificationRequestInfo` → `subject`; undefined for what isn't a request. */
export function organizationsOf(pem: string): readonly string[] | undefined {
  const body = /-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----([\s\S]+?)-----END (?:NEW )?CERTIFICATE REQUEST-----/.exec(
    pem,
  );
  if (body === null) return undefined;
  const request = elements(Buffer.from(body[1]!, "base64"))?.[0];
  const info = request?.type === SEQUENCE ? elements(request.content)?.[0] : undefined;
  const subject = info?.type === SEQUENCE ? elements(info.content)?.[1] : undefined;
  if (subject?.type !== SEQUENCE) return undefined;
  const found: string[] = [];
  for (const set of elements(subject.content) ?? [])
    for (const attribute of elements(set.content) ?? []) {
      const [type, value] = elements(attribute.content) ?? [];
      if (type !== undefined && value !== undefined && ORGANIZATION.equals(type.content))
        found.push(Buffer.from(value.content).toString());
    }
  return found;
}

const SEQUENCE = 0x30;
/** 2.5.4.10 */
const ORGANIZATION = Buffer.from([0x55, 0x04, 0x0a]);

interface Element {
  readonly type: number;
  readonly content: Uint8Array;
}

/** What stands one behind the other in `bytes`; undefined where that isn't DER. */
function elements(bytes: Uint8Array): readonly Element[] | undefined {
  const found: Element[] = [];
  for (let at = 0; at < bytes.length;) {
    const type = bytes[at++]!;
    let length = bytes[at++] ?? 0;
    if (length >= 0x80) {
      let more = length & 0x7f;
      if (more === 0 || more > 4) return undefined;
      for (length = 0; more > 0; more--) length = length * 256 + (bytes[at++] ?? 0);
    }
    if (at + length > bytes.length) return undefined;
    found.push({ type, content: bytes.subarray(at, at + length) });
    at += length;
  }
  return found;
}
