/** Plugins about certificate signing requests and trust bundles. */
import type { AnyObject } from "../../admission/framework.ts";
import type { Rows, DecisionTable } from "./table.ts";
import { named, OWNER } from "./objects.ts";

export const certificateDecisions: DecisionTable = {
  CertificateApproval: certificateRows("approval", "approve", {
    ...named("r"),
    spec: { signerName: "example.com/a" },
    status: { conditions: [{ type: "Approved" }] },
  }),
  CertificateSigning: certificateRows("status", "sign", {
    ...named("r"),
    spec: { signerName: "example.com/a" },
    status: { certificate: "x" },
  }),
  ClusterTrustBundleAttest: [
    {
      when: "who may not attest for a signer does",
      resource: "clustertrustbundles.certificates.k8s.io",
      rights: [],
      object: { ...named("b"), spec: { signerName: "example.com/a" } },
      says: 'user not permitted to attest for signerName "example.com/a"',
    },
    {
      when: "who may attest for all of a domain's signers does",
      resource: "clustertrustbundles.certificates.k8s.io",
      rights: ["attest signers example.com/*"],
      object: { ...named("b"), spec: { signerName: "example.com/a" } },
    },
    {
      when: "only its owners change",
      operation: "UPDATE",
      resource: "clustertrustbundles.certificates.k8s.io",
      rights: [],
      object: { ...named("b", { ownerReferences: [OWNER] }), spec: { signerName: "example.com/a" } },
      old: { ...named("b"), spec: { signerName: "example.com/a" } },
    },
  ],
  CertificateSubjectRestriction: [
    {
      when: "what is asked for is no request",
      resource: "certificatesigningrequests.certificates.k8s.io",
      object: { ...named("r"), spec: { signerName: "kubernetes.io/kube-apiserver-client", request: "" } },
      says: "failed to parse CSR: PEM block type must be CERTIFICATE REQUEST",
    },
    {
      when: "another signer is asked",
      resource: "certificatesigningrequests.certificates.k8s.io",
      object: { ...named("r"), spec: { signerName: "example.com/a", request: "" } },
    },
  ],
};

function certificateRows(subresource: string, verb: string, object: AnyObject): Rows {
  const row = {
    operation: "UPDATE" as const,
    resource: `certificatesigningrequests.certificates.k8s.io/${subresource}`,
    object,
    old: { ...named("r"), spec: { signerName: "example.com/a" } },
  };
  return [
    {
      ...row,
      when: `who may not ${verb} for the signer does`,
      rights: [],
      says: `user not permitted to ${verb} requests with signerName "example.com/a"`,
    },
    { ...row, when: `who may ${verb} for the signer does`, rights: [`${verb} signers example.com/a`] },
    { ...row, when: `who may ${verb} for all of its domain does`, rights: [`${verb} signers example.com/*`] },
  ];
}
