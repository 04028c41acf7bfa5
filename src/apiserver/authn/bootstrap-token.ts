/**
 * Bootstrap tokens, with which new nodes request their certificate: secrets in kube-system.
 * Upstream: plugin/pkg/auth/authenticator/token/bootstrap.
 */
import { timingSafeEqual } from "node:crypto";
import type { Logger } from "../../observe/log.ts";
import type { Clock } from "../../world/world.ts";
import type { ClusterView } from "../admission/framework.ts";
import type { TokenAuthenticator } from "./authenticator.ts";

const TYPE = "bootstrap.kubernetes.io/token";
/** RFC 3339: a date alone is none. */
const TIME = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d([.,]\d+)?(Z|[+-]\d\d:\d\d)$/;
const GROUP = /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/;

/** A token that is not good is one that nobody knows: why is in the log alone. */
export function bootstrapTokens(cluster: ClusterView, clock: Clock, log: Logger): TokenAuthenticator {
  return {
    authenticateToken(token) {
      const parts = /^([a-z0-9]{6})\.([a-z0-9]{16})$/.exec(token);
      if (parts === null) return "unknown";
      const [, id = "", secret = ""] = parts;
      const name = `bootstrap-token-${id}`;
      const no = (why: string) => {
        log.v(3).info("A bootstrap token was refused", { secret: name, why });
        return "unknown" as const;
      };
      const found = cluster.get("secrets", "kube-system", name);
      if (found === undefined) return no("no secret of this name");
      if (found.metadata.deletionTimestamp !== undefined) return no("the secret is being deleted");
      if (found.type !== TYPE) return no("the secret has another type");
      const value = (key: string) => Buffer.from(found.data?.[key] ?? "", "base64").toString();
      const expected = Buffer.from(value("token-secret"));
      const given = Buffer.from(secret);
      if (expected.length !== given.length || !timingSafeEqual(expected, given)) return no("another token secret");
      if (value("token-id") !== id) return no("another token id");
      const expiration = value("expiration");
      if (expiration !== "" && !(TIME.test(expiration) && Date.parse(expiration) > clock.now())) return no("expired");
      if (value("usage-bootstrap-authentication") !== "true") return no("not for authentication");
      const extra = value("auth-extra-groups");
      const groups = extra === "" ? [] : [...new Set(extra.split(","))].sort();
      if (!groups.every((group) => GROUP.test(group))) return no("a group that bootstrap tokens can't have");
      return { user: { name: `system:bootstrap:${id}`, groups: ["system:bootstrappers", ...groups] } };
    },
  };
}
