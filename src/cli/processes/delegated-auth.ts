/**
 * Delegated authentication and authorization for the port of a component: client certificates and TokenReviews identify the user,
 * SubjectAccessReviews decide what the user may do.
 * Upstream: staging/src/k8s.io/apiserver/pkg/server/options/{authentication,authorization}.go
 */
import { X509Certificate } from "node:crypto";
import type { SubjectAccessReview } from "../../api/generated/authorization.v1.ts";
import type { TokenReview, UserInfo } from "../../api/generated/authentication.v1.ts";
import type { Client } from "../../client/client.ts";
import { subjectAccessReviews, tokenReviews } from "../../client/resources.ts";
import type { HttpRequest } from "../../world/net.ts";
import type { Clock } from "../../world/world.ts";

export interface DelegatedAuthOptions {
  readonly clock: Clock;
  /** Asked about tokens; without it they are worth nothing. */
  readonly authentication: Client | undefined;
  /** Asked what users may do; without it only the open paths can be read. */
  readonly authorization: Client | undefined;
  /** `/healthz`, or `/healthz/*` for all below. */
  readonly openPaths: readonly string[];
}

export interface Refusal {
  readonly status: 401 | 403;
  readonly message: string;
}

const TTL_MS = 10_000;
const REMEMBERED_MAX = 1000;
const ANONYMOUS: UserInfo = { username: "system:anonymous", groups: ["system:unauthenticated"] };

/** Undefined: let it in. */
export function delegatedAuth(options: DelegatedAuthOptions): (request: HttpRequest) => Promise<Refusal | undefined> {
  const users = remembering<UserInfo | undefined>(options.clock);
  const verdicts = remembering<string | undefined>(options.clock);

  async function tokenUser(token: string): Promise<UserInfo | undefined> {
    const { authentication } = options;
    if (authentication === undefined) return undefined;
    const review: TokenReview = await authentication.create(tokenReviews, { spec: { token } } as never);
    return review.status?.authenticated === true ? review.status.user : undefined;
  }

  async function mayNot(user: UserInfo, verb: string, path: string): Promise<string | undefined> {
    const words = `forbidden: User ${JSON.stringify(user.username ?? "")} cannot ${verb} path ${JSON.stringify(path)}`;
    if (options.authorization === undefined) return words;
    const review: SubjectAccessReview = await options.authorization.create(subjectAccessReviews, {
      spec: {
        user: user.username,
        groups: user.groups ?? [],
        ...(user.uid !== undefined && { uid: user.uid }),
        ...(user.extra && { extra: user.extra }),
        nonResourceAttributes: { path, verb },
      },
    } as never);
    if (review.status?.allowed === true) return undefined;
    const reason = review.status?.reason;
    return reason ? `${words}: ${reason}` : words;
  }

  return async (request) => {
    const { pathname } = new URL(request.url, "http://component");
    const open = options.openPaths.some((path) =>
      path.endsWith("*") ? pathname.startsWith(path.slice(0, -1)) : pathname === path,
    );
    if (open) return undefined;
    const token = bearer(request);
    let user = certificateUser(request);
    if (user === undefined && token !== undefined) {
      user = await users(token, () => tokenUser(token));
      if (user === undefined) return { status: 401, message: "Unauthorized" };
    }
    user ??= ANONYMOUS;
    if (user.groups?.includes("system:masters")) return undefined;
    const who = user;
    const verb = request.method.toLowerCase();
    const message = await verdicts(JSON.stringify([who, verb, pathname]), () => mayNot(who, verb, pathname));
    return message === undefined ? undefined : { status: 403, message };
  };
}

function bearer({ headers }: HttpRequest): string | undefined {
  const { authorization } = headers;
  return typeof authorization === "string" ? /^Bearer\s+(\S+)$/i.exec(authorization)?.[1] : undefined;
}

function certificateUser({ peer }: HttpRequest): UserInfo | undefined {
  if (peer.certificate?.authorized !== true) return undefined;
  const lines = new X509Certificate(peer.certificate.der).subject.split("\n");
  const all = (name: string) =>
    lines
      .filter((line) => line.startsWith(`${name}=`))
      .map((line) => line.slice(name.length + 1).replaceAll(/\\(.)/g, "$1"));
  return { username: all("CN")[0] ?? "", groups: [...all("O"), "system:authenticated"] };
}

function remembering<T>(clock: Clock): (key: string, ask: () => Promise<T>) => Promise<T> {
  const known = new Map<string, { readonly value: T; readonly untilMs: number }>();
  return async (key, ask) => {
    const before = known.get(key);
    if (before !== undefined && before.untilMs > clock.monotonic()) return before.value;
    const value = await ask();
    if (known.size >= REMEMBERED_MAX) known.clear();
    known.set(key, { value, untilMs: clock.monotonic() + TTL_MS });
    return value;
  };
}
