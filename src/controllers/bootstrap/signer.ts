/**
 * Signs `cluster-info` with each bootstrap token, so that whoever has a token can trust the cluster's authority in it.
 * Upstream: pkg/controller/bootstrap
 */
import type { Secret } from "../../api/generated/core.v1.ts";
import { again, defineController, done } from "../../client/controller.ts";
import { configMaps, secrets } from "../../client/resources.ts";
import { keyOf } from "../../machinery/meta/object.ts";
import { hasReason } from "../../machinery/status.ts";
import { msUntilEnd, signed, signingToken, TOKEN_TYPE } from "./tokens.ts";

const CLUSTER_INFO = "kube-public/cluster-info";

export const bootstrapSignerController = defineController({
  name: "bootstrap-signer-controller",
  aliases: ["bootstrapsigner"],
  workers: { default: 1 },
  triggers: [
    { resource: configMaps, keys: (one) => (keyOf(one) === CLUSTER_INFO ? [CLUSTER_INFO] : []), on: ["add", "update"] },
    { resource: secrets, keys: (one) => (isToken(one) ? [CLUSTER_INFO] : []) },
  ],
  create: ({ informers, clock }) => ({
    async reconcile(key, signal, client) {
      const info = informers.of(configMaps).get(key);
      if (info === undefined) return done;
      const now = clock.now();
      const all = informers.of(secrets).list("kube-system").filter(isToken);
      const data = signed(
        info.data,
        all.flatMap((secret) => signingToken(secret, now) ?? []),
      );
      try {
        if (data !== undefined) await client.update(configMaps, { ...info, data }, { signal });
      } catch (error) {
        if (!hasReason(error, "NotFound", "Conflict")) throw error;
      }
      const ends = all.flatMap((secret) => msUntilEnd(secret, now) ?? []).filter((ms) => ms > 0);
      return ends.length === 0 ? done : again(Math.min(...ends));
    },
  }),
});

const isToken = ({ type, metadata }: Secret): boolean => type === TOKEN_TYPE && metadata.namespace === "kube-system";
