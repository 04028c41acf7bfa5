/** Tokens with which new nodes ask for their certificate: secrets in kube-system. Upstream: plugin/pkg/auth/authenticator/token/bootstrap. */
import { timingSafeEqual } from "node:crypto";
import type { Clock } from "../../world/world.ts";
import type { ClusterView } from "../admission/framework.ts";
import type { TokenAuthenticator } from "./authenticator.ts";

const TYPE = "bootstrap.kubernetes.io/token";

export function bootstrapTokens(cluster: ClusterView, clock: Clock): TokenAuthenticator {
  return {
    authenticateToken(token) {
      const parts = /^([a-z0-9]{6})\.([a-z0-9]{16})$/.exec(token);
      if (parts === null) return "unknown";
      const [, id, secret] = parts as unknown as [string, string, string];
      const found = cluster.get("secrets", "kube-system", `bootstrap-token-${id}`);
      const bad = { invalid: "bootstrap token is not valid" };
      if (found === undefined || found.type !== TYPE || found.metadata.deletionTimestamp !== undefined) return bad;
      const value = (key: string) => Buffer.from(found.data?.[key] ?? "", "base64").toString();
      const expected = Buffer.from(value("token-secret"));
      const given = Buffer.from(secret);
      if (expected.length !== given.length || !timingSafeEqual(expected, given)) return bad;
      if (value("token-id") !== id || value("usage-bootstrap-authentication") !== "true") return bad;
      const expiration = value("expiration");
      if (expiration !== "" && !(Date.parse(expiration) > clock.now())) return bad;
      const groups = value("auth-extra-groups")
        .split(",")
        .filter((group) => group.startsWith("system:bootstrappers:"));
      return { user: { name: `system:bootstrap:${id}`, groups: ["system:bootstrappers", ...groups] } };
    },
  };
}
