/**
 * Signed tokens: nothing has to be stored, and any member with the key can verify them. They cannot be revoked before they expire, but one that is
 * older than the last change of users or roles is rejected.
 * Upstream: server/auth/jwt.go, options.go
 */
import {
  constants,
  createHmac,
  createPrivateKey,
  createPublicKey,
  sign,
  timingSafeEqual,
  verify,
  type KeyObject,
} from "node:crypto";
import { parseDuration } from "../../machinery/meta/time.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import type { AuthInfo } from "./store.ts";
import type { TokenDeps, TokenProvider } from "./tokens.ts";

const KNOWN = ["sign-method", "pub-key", "priv-key", "ttl"];
const DEFAULT_TTL_MS = 5 * 60_000;

interface Signing {
  /** Undefined where only the public key is known. */
  readonly sign: ((data: Uint8Array) => Uint8Array) | undefined;
  readonly verify: (data: Uint8Array, signature: Uint8Array) => boolean;
}

export async function jwtProvider(options: ReadonlyMap<string, string>, deps: TokenDeps): Promise<TokenProvider> {
  const { clock, fs, log } = deps;
  const invalid = (cause: unknown): Error => {
    log.error("problem loading JWT options", cause);
    return new Error("auth: invalid auth options", { cause });
  };
  const method = options.get("sign-method") ?? "";
  let ttlMs = DEFAULT_TTL_MS;
  const files: Record<string, Buffer | undefined> = {};
  try {
    const ttl = options.get("ttl") ?? "";
    if (ttl !== "") ttlMs = parseDuration(ttl) / 1e6;
    for (const name of ["pub-key", "priv-key"]) {
      const path = options.get(name) ?? "";
      if (path !== "") files[name] = Buffer.from(await fs.readFile(path));
    }
    if (!METHODS.test(method)) throw new Error("auth: invalid auth signature method");
  } catch (error) {
    throw invalid(error);
  }
  const unknown = [...options.keys()].filter((name) => !KNOWN.includes(name));
  if (unknown.length > 0) log.warn("unknown JWT options", { keys: unknown.join() });
  const signing = signingOf(method, files["priv-key"], files["pub-key"]);
  return {
    enable() {},
    disable() {},
    invalidateUser() {},
    prefix: () => "",
    assign({ username, revision }) {
      if (signing.sign === undefined)
        throw new RpcError("Unknown", "auth: token signing attempted with verify-only key");
      const exp = Math.floor((clock.now() + ttlMs) / 1000);
      const text = `${part({ alg: method, typ: "JWT" })}.${part({ exp, revision, username })}`;
      return `${text}.${Buffer.from(signing.sign(Buffer.from(text))).toString("base64url")}`;
    },
    info(token) {
      const found = read(token, method, signing, clock.now());
      if (typeof found !== "string") return found;
      log.warn("failed to parse a JWT token", { error: found });
      return undefined;
    },
    knownFrom: () => 0,
  };
}

/** Who it says, or what is wrong with it. */
function read(token: string, method: string, signing: Signing, now: number): AuthInfo | string {
  const parts = token.split(".");
  if (parts.length !== 3) return "token is malformed: token contains an invalid number of segments";
  const header = parse(parts[0]!);
  const claims = parse(parts[1]!);
  if (header === undefined || claims === undefined) return "token is malformed";
  // Before anything is verified: a signature of another kind must not be checked with this key.
  if (header["alg"] !== method) return "invalid signing method";
  const data = Buffer.from(`${parts[0]}.${parts[1]}`);
  if (!signing.verify(data, Buffer.from(parts[2]!, "base64url"))) return "token signature is invalid";
  const { exp, nbf, username, revision } = claims;
  if (exp !== undefined && !(typeof exp === "number" && now < exp * 1000)) return "token is expired";
  if (nbf !== undefined && !(typeof nbf === "number" && now >= nbf * 1000)) return "token is not valid yet";
  if (typeof username !== "string" || typeof revision !== "number") return "the token says no user or no revision";
  return { username, revision: Math.trunc(revision) };
}

function part(value: object): string {
  return Buffer.from(JSON.stringify(value)).toString("base64url");
}

function parse(text: string): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(text, "base64url").toString());
    return typeof value === "object" && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}

const METHODS = /^(?:(?:HS|RS|PS|ES)(?:256|384|512)|EdDSA)$/;
const CURVES: Readonly<Record<string, string>> = { ES256: "prime256v1", ES384: "secp384r1", ES512: "secp521r1" };
const MISSING_KEY = "auth: missing key data";

function signingOf(method: string, privateFile: Buffer | undefined, publicFile: Buffer | undefined): Signing {
  const hash = method === "EdDSA" ? null : `sha${method.slice(2)}`;
  if (method.startsWith("HS")) {
    if (!privateFile?.length) throw new Error(MISSING_KEY);
    const mac = (data: Uint8Array) => createHmac(hash!, privateFile).update(data).digest();
    return {
      sign: mac,
      verify(data, signature) {
        const expected = mac(data);
        return expected.length === signature.length && timingSafeEqual(expected, signature);
      },
    };
  }
  const privateKey = privateFile?.length ? createPrivateKey(privateFile) : undefined;
  const given = publicFile?.length ? createPublicKey(publicFile) : undefined;
  const publicKey = privateKey === undefined ? given : createPublicKey(privateKey);
  if (publicKey === undefined) throw new Error(MISSING_KEY);
  if (given !== undefined && !given.equals(publicKey)) throw new Error("auth: public and private keys don't match");
  if (!fits(method, publicKey)) throw new Error(`key is not a valid ${method} key`);
  const wayOf = (key: KeyObject, saltLength: number) => ({
    key,
    ...(method.startsWith("PS") && { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength }),
    ...(method.startsWith("ES") && { dsaEncoding: "ieee-p1363" as const }),
  });
  return {
    sign: privateKey && ((data) => sign(hash, data, wayOf(privateKey, constants.RSA_PSS_SALTLEN_DIGEST))),
    verify: (data, signature) => verify(hash, data, wayOf(publicKey, constants.RSA_PSS_SALTLEN_AUTO), signature),
  };
}

function fits(method: string, { asymmetricKeyType, asymmetricKeyDetails }: KeyObject): boolean {
  if (method === "EdDSA") return asymmetricKeyType === "ed25519";
  if (method.startsWith("ES")) return asymmetricKeyType === "ec" && asymmetricKeyDetails?.namedCurve === CURVES[method];
  return asymmetricKeyType === "rsa";
}
