/** Deletes certificate signing requests that are no longer needed. Upstream: pkg/controller/certificates/cleaner */
import { X509Certificate } from "node:crypto";
import type { CertificateSigningRequest } from "../../api/generated/certificates.v1.ts";
import { again, defineController, done } from "../../client/controller.ts";
import { itself } from "../../client/controller-runner.ts";
import { certificateSigningRequests } from "../../client/resources.ts";
import { hasReason } from "../../machinery/status.ts";
import { msUntilUseless } from "./requests.ts";

export const certificateCleanerController = defineController({
  name: "certificatesigningrequest-cleaner-controller",
  aliases: ["csrcleaner"],
  workers: { default: 1 },
  triggers: [itself(certificateSigningRequests)],
  create: ({ informers, clock }) => ({
    async reconcile(name, signal, client) {
      const request = informers.of(certificateSigningRequests).get(name);
      if (request === undefined) return done;
      const wait = msUntilUseless(request, endOf(request), clock.now());
      if (wait > 0) return again(wait);
      try {
        await client.delete(certificateSigningRequests, { name }, { signal });
      } catch (error) {
        if (!hasReason(error, "NotFound")) throw error;
      }
      return done;
    },
  }),
});

function endOf({ status }: CertificateSigningRequest): number | undefined {
  if ((status?.certificate ?? "") === "") return undefined;
  try {
    return Date.parse(new X509Certificate(Buffer.from(status!.certificate!, "base64")).validTo);
  } catch {
    // What nobody can read doesn't end.
    return undefined;
  }
}
