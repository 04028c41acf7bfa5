/** What Node doesn't tell of a certificate: all attributes of its subject, and what its extensions forbid. Upstream: Go's crypto/x509 (parser.go) */
import type { X509Certificate } from "node:crypto";
import {
  type Element,
  elements,
  OCTET_STRING,
  readOid,
  SEQUENCE,
  tagged,
  taggedPlain,
} from "../../machinery/pki/der.ts";

/** Of an alternative name or a constraint: email, DNS name, URI or address, as its tag says. */
export interface GeneralName {
  readonly type: number;
  readonly value: Uint8Array;
}

export interface CertificateFacts {
  /** In their order; by the names of `ATTRIBUTES`, others by object identifier. */
  readonly subject: readonly (readonly [type: string, value: string])[];
  readonly alternatives: readonly GeneralName[];
  readonly permitted: readonly GeneralName[];
  readonly excluded: readonly GeneralName[];
  /** How many authorities may stand between this one and the client's certificate. */
  readonly pathLength: number | undefined;
  /** Undefined where no word is said about the use of its key. */
  readonly maySign: boolean | undefined;
  /** An extension that must be understood and isn't. */
  readonly unhandled: boolean;
}

const ATTRIBUTES: Readonly<Record<string, string>> = { "2.5.4.3": "CN", "2.5.4.10": "O" };
const KEY_USAGE = "2.5.29.15";
const ALTERNATIVE_NAMES = "2.5.29.17";
const BASIC_CONSTRAINTS = "2.5.29.19";
const NAME_CONSTRAINTS = "2.5.29.30";
/** Those with nothing to check here: key identifiers, CRLs, policies and extended usages, which Node tells. */
const UNDERSTOOD = [
  "2.5.29.14",
  "2.5.29.31",
  "2.5.29.32",
  "2.5.29.33",
  "2.5.29.35",
  "2.5.29.36",
  "2.5.29.37",
  "2.5.29.54",
];

export const factsOf = ({ raw }: X509Certificate): CertificateFacts => read(raw);

const parts = (element: Element | undefined): readonly Element[] =>
  element === undefined ? [] : (elements(element.content) ?? []);

function read(der: Uint8Array): CertificateFacts {
  const fields = parts(parts(elements(der)?.[0])[0]);
  // The version may be missing; then serial, algorithm, issuer, validity, subject.
  const subject = fields[fields[0]?.type === tagged(0) ? 5 : 4];
  const facts = {
    subject: parts(subject).flatMap(parts).map(attribute),
    alternatives: [] as readonly GeneralName[],
    permitted: [] as readonly GeneralName[],
    excluded: [] as readonly GeneralName[],
    pathLength: undefined as number | undefined,
    maySign: undefined as boolean | undefined,
    unhandled: false,
  };
  for (const extension of parts(parts(fields.find(({ type }) => type === tagged(3)))[0])) {
    const [id, ...rest] = parts(extension);
    const oid = readOid(id?.content ?? new Uint8Array());
    const critical = rest.length > 1 && rest[0]!.content[0] !== 0;
    const value = elements(rest.find(({ type }) => type === OCTET_STRING)?.content ?? new Uint8Array())?.[0];
    if (oid === KEY_USAGE) facts.maySign = ((value?.content[1] ?? 0) & 0x04) !== 0;
    else if (oid === BASIC_CONSTRAINTS) facts.pathLength = pathLengthOf(value);
    else if (oid === ALTERNATIVE_NAMES) {
      facts.alternatives = parts(value).flatMap(nameOf);
      if (critical && facts.alternatives.length === 0) facts.unhandled = true;
    } else if (oid === NAME_CONSTRAINTS) {
      const [permitted, excluded] = [0, 1].map((n) => parts(parts(value).find(({ type }) => type === tagged(n))));
      facts.permitted = permitted!.flatMap((subtree) => nameOf(parts(subtree)[0]));
      facts.excluded = excluded!.flatMap((subtree) => nameOf(parts(subtree)[0]));
      const said = permitted!.length + excluded!.length;
      if (critical && facts.permitted.length + facts.excluded.length < said) facts.unhandled = true;
    } else if (critical && !UNDERSTOOD.includes(oid)) facts.unhandled = true;
  }
  return facts;
}

function pathLengthOf(value: Element | undefined): number | undefined {
  const [ca, length] = parts(value);
  if (ca === undefined || length === undefined) return undefined;
  return length.content.reduce((sum, byte) => sum * 256 + byte, 0);
}

export const EMAIL = taggedPlain(1);
export const DNS_NAME = taggedPlain(2);
export const URI = taggedPlain(6);
export const ADDRESS = taggedPlain(7);

function nameOf(element: Element | undefined): readonly GeneralName[] {
  if (element === undefined || ![EMAIL, DNS_NAME, URI, ADDRESS].includes(element.type)) return [];
  return [{ type: element.type, value: element.content }];
}

const BMP_STRING = 0x1e;
const T61_STRING = 0x14;

function attribute(pair: Element): readonly [string, string] {
  const [type, value] = pair.type === SEQUENCE ? parts(pair) : [];
  const oid = readOid(type?.content ?? new Uint8Array());
  const bytes = Buffer.from(value?.content ?? new Uint8Array());
  const text =
    value?.type === BMP_STRING
      ? Buffer.from(bytes.subarray(0, bytes.length & ~1))
          .swap16()
          .toString("utf16le")
      : bytes.toString(value?.type === T61_STRING ? "latin1" : "utf8");
  return [ATTRIBUTES[oid] ?? oid, text];
}
