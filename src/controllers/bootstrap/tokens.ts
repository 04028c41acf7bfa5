/** Bootstrap tokens: parsing them from secrets, and signing with them. Pure. Upstream: cluster-bootstrap/{util/secrets,token/jws} */
import { createHmac } from "node:crypto";
import type { Secret } from "../../api/generated/core.v1.ts";

export const TOKEN_TYPE = "bootstrap.kubernetes.io/token";
const PREFIX = "bootstrap-token-";
const SIGNATURE = "jws-kubeconfig-";

const valueOf = ({ data }: Secret, key: string): string => Buffer.from(data?.[key] ?? "", "base64").toString();

/** Ms until a token ends; undefined for one that doesn't. What nobody can read has ended. */
export function msUntilEnd(secret: Secret, now: number): number | undefined {
  const end = valueOf(secret, "expiration");
  if (end === "") return undefined;
  const at = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d+)?(Z|[+-]\d{2}:\d{2})$/.test(end)
    ? Date.parse(end)
    : Number.NaN;
  return Number.isNaN(at) ? 0 : Math.max(0, at - now);
}

/** The token's id and secret, where it may sign. */
export function signingToken(
  secret: Secret,
  now: number,
): { readonly id: string; readonly secret: string } | undefined {
  const id = valueOf(secret, "token-id");
  const isNamed = /^bootstrap-token-[a-z0-9]{6}$/.test(secret.metadata.name);
  if (!isNamed || secret.metadata.name !== `${PREFIX}${id}`) return undefined;
  const key = valueOf(secret, "token-secret");
  if (key === "" || msUntilEnd(secret, now) === 0 || valueOf(secret, "usage-bootstrap-signing") !== "true")
    return undefined;
  return { id, secret: key };
}

/** A signature (JWS) of a text that stands elsewhere. */
export function signatureOf(text: string, token: { readonly id: string; readonly secret: string }): string {
  const encode = (part: string) => Buffer.from(part).toString("base64url");
  const head = encode(JSON.stringify({ alg: "HS256", kid: token.id }));
  const mac = createHmac("sha256", token.secret)
    .update(`${head}.${encode(text)}`)
    .digest("base64url");
  return `${head}..${mac}`;
}

/** The data of `cluster-info` with the signatures of these tokens and no others; undefined where it has them already, or nothing to sign. */
export function signed(
  data: Readonly<Record<string, string>> | undefined,
  tokens: readonly { readonly id: string; readonly secret: string }[],
): Readonly<Record<string, string>> | undefined {
  const kubeconfig = data?.["kubeconfig"];
  if (kubeconfig === undefined) return undefined;
  const rest = Object.entries(data!).filter(([key]) => !key.startsWith(SIGNATURE));
  const wanted = Object.fromEntries([
    ...rest,
    ...tokens.map((token) => [`${SIGNATURE}${token.id}`, signatureOf(kubeconfig, token)] as const),
  ]);
  const isSame =
    Object.keys(wanted).length === Object.keys(data!).length &&
    Object.entries(wanted).every(([key, value]) => data![key] === value);
  return isSame ? undefined : wanted;
}
