/** Approves the client certificate requests of kubelets whose users are permitted to have one. Upstream: pkg/controller/certificates/approver */
import type { CertificateSigningRequest } from "../../api/generated/certificates.v1.ts";
import type { Client } from "../../client/client.ts";
import { defineController, done } from "../../client/controller.ts";
import { itself } from "../../client/controller-runner.ts";
import { certificateSigningRequests, subjectAccessReviews } from "../../client/resources.ts";
import { parseSigningRequest, type SigningRequest } from "../../machinery/pki/signing-request.ts";
import { faultOfKubelet, hasCondition, KUBELET_CLIENT } from "./requests.ts";

type Request = CertificateSigningRequest;

/** Rights under which a request is approved, the narrower first. */
const RIGHTS: readonly {
  readonly subresource: string;
  readonly message: string;
  readonly isAbout: (request: Request, parsed: SigningRequest) => boolean;
}[] = [
  {
    subresource: "selfnodeclient",
    message: "Auto approving self kubelet client certificate after SubjectAccessReview.",
    isAbout: ({ spec }, { commonName }) => spec.username === commonName,
  },
  {
    subresource: "nodeclient",
    message: "Auto approving kubelet client certificate after SubjectAccessReview.",
    isAbout: () => true,
  },
];

export const certificateApprovingController = defineController({
  name: "certificatesigningrequest-approving-controller",
  aliases: ["csrapproving"],
  workers: { default: 5 },
  backoff: { baseMs: 200, maxMs: 1_000_000 },
  triggers: [itself(certificateSigningRequests)],
  create: ({ informers }) => ({
    async reconcile(key, signal, client) {
      const request = informers.of(certificateSigningRequests).get(key);
      if (request === undefined || (request.status?.certificate ?? "") !== "") return done;
      if (hasCondition(request, "Approved") || hasCondition(request, "Denied")) return done;
      if (request.spec.signerName !== KUBELET_CLIENT) return done;
      const parsed = parseSigningRequest(Buffer.from(request.spec.request, "base64").toString());
      if (faultOfKubelet(parsed, request.spec.usages ?? []) !== undefined) return done;
      const rights = RIGHTS.filter(({ isAbout }) => isAbout(request, parsed));
      for (const { subresource, message } of rights) {
        if (!(await mayHave(request, subresource, client, signal))) continue;
        const approved = { type: "Approved", status: "True", reason: "AutoApproved", message };
        const status = { ...request.status, conditions: [...(request.status?.conditions ?? []), approved] };
        await client.update(certificateSigningRequests, { ...request, status }, { subresource: "approval", signal });
        return done;
      }
      // Who asks may be given the right yet: upstream asks again and again, ever more slowly.
      throw new Error(
        `recognized csr ${JSON.stringify(key)} as [${rights.map(({ subresource }) => subresource).join(" ")}] but subject access review was not approved`,
      );
    },
  }),
});

async function mayHave({ spec }: Request, subresource: string, client: Client, signal: AbortSignal): Promise<boolean> {
  const { username, uid, groups, extra } = spec;
  const review = await client.create(
    subjectAccessReviews,
    {
      metadata: { name: "" },
      spec: {
        user: username ?? "",
        ...(uid !== undefined && { uid }),
        ...(groups !== undefined && { groups }),
        ...(extra !== undefined && { extra }),
        resourceAttributes: {
          group: "certificates.k8s.io",
          resource: "certificatesigningrequests",
          verb: "create",
          subresource,
          version: "*",
        },
      },
    },
    { signal },
  );
  return review.status?.allowed === true;
}
