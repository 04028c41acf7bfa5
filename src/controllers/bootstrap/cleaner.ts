/** Deletes expired bootstrap tokens. Upstream: pkg/controller/bootstrap/tokencleaner.go */
import { again, defineController, done } from "../../client/controller.ts";
import { secrets } from "../../client/resources.ts";
import { keyOf, splitKey } from "../../machinery/meta/object.ts";
import { hasReason } from "../../machinery/status.ts";
import { msUntilEnd, TOKEN_TYPE } from "./tokens.ts";

export const tokenCleanerController = defineController({
  name: "token-cleaner-controller",
  aliases: ["tokencleaner"],
  workers: { default: 1 },
  triggers: [
    {
      resource: secrets,
      keys: (one) => (one.type === TOKEN_TYPE && one.metadata.namespace === "kube-system" ? [keyOf(one)] : []),
    },
  ],
  create: ({ informers, clock }) => ({
    async reconcile(key, signal, client) {
      const secret = informers.of(secrets).get(key);
      const left = secret && msUntilEnd(secret, clock.now());
      if (left === undefined) return done;
      if (left > 0) return again(left);
      try {
        await client.delete(secrets, splitKey(key), { preconditions: { uid: secret!.metadata.uid }, signal });
      } catch (error) {
        if (!hasReason(error, "NotFound", "Conflict")) throw error;
      }
      return done;
    },
  }),
});
