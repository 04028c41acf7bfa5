/** Client certificates: the common name is the user, the organizations are the groups. Upstream: pkg/authentication/request/x509. */
import { createHash, X509Certificate } from "node:crypto";
import type { Peer } from "../../world/net.ts";
import type { Clock } from "../../world/world.ts";
import type { ApiRequest } from "../request.ts";
import type { Finding, RequestAuthenticator } from "./authenticator.ts";
import { withAuthenticatedGroup } from "./authenticator.ts";
import { factsOf } from "./certificate-facts.ts";
import { verifyChain } from "./chain.ts";
import type { UserInfo } from "./user.ts";

/** The authorities that count now. Another list is another trust: nothing found under the old one holds. */
export type Authorities = () => readonly X509Certificate[];

interface Checked {
  readonly authorities: readonly X509Certificate[];
  readonly untilMs: number;
  readonly error: string | undefined;
  readonly leaf: X509Certificate;
  /** When the client's own certificate ends. */
  readonly endsAt: number;
}

/** Looks a connection's certificate over once, and again when the authorities change or it ends. */
export function certificateCheck(authorities: Authorities, clock: Clock): (peer: Peer) => Checked | undefined {
  const known = new WeakMap<Peer, Checked>();
  return (peer) => {
    const shown = peer.certificate;
    if (shown === undefined) return undefined;
    const now = clock.now();
    const before = known.get(peer);
    if (before !== undefined && before.authorities === authorities() && before.untilMs >= now) return before;
    const [leaf, ...others] = shown.chain.map((der) => new X509Certificate(der)) as [
      X509Certificate,
      ...X509Certificate[],
    ];
    const verdict = verifyChain(leaf, others, authorities(), now);
    const checked = {
      authorities: authorities(),
      untilMs: "error" in verdict ? now : verdict.untilMs,
      error: "error" in verdict ? verdict.error : undefined,
      leaf,
      endsAt: Date.parse(leaf.validTo),
    };
    known.set(peer, checked);
    return checked;
  };
}

export function certificateUsers(
  authorities: Authorities,
  clock: Clock,
  ends?: (inMs: number) => void,
): RequestAuthenticator {
  const check = certificateCheck(authorities, clock);
  const users = new WeakMap<Checked, Finding>();
  return ({ peer }: ApiRequest) => {
    const checked = peer === undefined ? undefined : check(peer);
    if (checked === undefined) return undefined;
    ends?.(checked.endsAt - clock.now());
    if (checked.error !== undefined)
      return { error: `verifying certificate ${identifier(checked.leaf)} failed: ${checked.error}` };
    if (users.has(checked)) return users.get(checked);
    const found = userOf(checked.leaf);
    users.set(checked, found);
    return found;
  };
}

const identifier = ({ serialNumber }: X509Certificate): string => `SN=${BigInt(`0x${serialNumber}`)}`;

const UID = "1.3.6.1.4.1.57683.2";

function userOf(certificate: X509Certificate): Finding {
  const { CN: names = [], O: groups = [], [UID]: uids = [] } = subjectOf(certificate);
  const name = names.at(-1) ?? "";
  if (name === "") return undefined;
  if (uids.length > 1) return { error: `expected 1 UID, but found multiple: [${uids.join(" ")}]` };
  if (uids[0] === "") return { error: "UID cannot be an empty string" };
  const user: UserInfo = {
    name,
    ...(uids[0] !== undefined && { uid: uids[0] }),
    groups,
    extra: {
      "authentication.kubernetes.io/credential-id": [
        `X509SHA256=${createHash("sha256").update(certificate.raw).digest("hex")}`,
      ],
    },
  };
  return withAuthenticatedGroup(user);
}

/** By type, in their order. */
export function subjectOf(certificate: X509Certificate): Readonly<Record<string, readonly string[]>> {
  const attributes: Record<string, string[]> = {};
  for (const [type, value] of factsOf(certificate).subject) (attributes[type] ??= []).push(value);
  return attributes;
}
