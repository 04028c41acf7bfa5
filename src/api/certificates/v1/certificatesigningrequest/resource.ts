/** Upstream: pkg/registry/certificates/certificates/strategy.go */
import type { Mutable } from "../../../../base/mutable.ts";
import { ageColumn, column, humanDuration, nameColumn, orNone } from "../../../columns.ts";
import { defineResource, keep } from "../../../define.ts";
import type { CertificateSigningRequest } from "../../../generated/certificates.v1.ts";
import {
  validateApproval,
  validateSigningRequest,
  validateSigningRequestStatus,
  validateSigningRequestUpdate,
} from "./validation.ts";

type Request = CertificateSigningRequest;

export const certificateSigningRequests = defineResource<Request>({
  group: "certificates.k8s.io",
  version: "v1",
  kind: "CertificateSigningRequest",
  nameRule: () => [],
  behaviour: {
    prepareForCreate(request, { user }) {
      // Who asks is a fact, not a claim.
      const { username: _1, uid: _2, groups: _3, extra: _4, ...rest } = request.spec;
      request.spec = {
        ...rest,
        username: user.name,
        ...(user.uid !== undefined && user.uid !== "" && { uid: user.uid }),
        ...(user.groups.length > 0 && { groups: [...user.groups] }),
        ...(user.extra !== undefined && { extra: structuredClone(user.extra) as Mutable<typeof user.extra> }),
      };
      request.status = {};
    },
    prepareForUpdate: (request, old) => keep(request, old as Mutable<Request>, "spec"),
    validate: validateSigningRequest,
    validateUpdate: validateSigningRequestUpdate,
  },
  views: {
    status: {
      validateUpdate: validateSigningRequestStatus,
      prepareForUpdate(request, old, { now }) {
        keepDecisions(request, old);
        stampConditions(request, old, now);
      },
    },
    approval: {
      validateUpdate: validateApproval,
      prepareForUpdate(request, old, { now }) {
        stampConditions(request, old, now);
        const conditions = request.status?.conditions;
        keep(request, old as Mutable<Request>, "spec");
        request.status = { ...(structuredClone(old.status ?? {}) as Mutable<Request["status"]>) };
        if (conditions === undefined) delete request.status.conditions;
        else request.status.conditions = conditions;
      },
    },
  },
  selectableFields: { "spec.signerName": ({ spec }) => spec.signerName ?? "" },
  columns: [
    nameColumn,
    ageColumn,
    column("SignerName", "string", ({ spec }) => orNone(spec.signerName)),
    column("Requestor", "string", ({ spec }) => spec.username ?? ""),
    column("RequestedDuration", "string", ({ spec }) =>
      spec.expirationSeconds === undefined ? "<none>" : humanDuration(spec.expirationSeconds * 1000),
    ),
    column("Condition", "string", conditionText),
  ],
});

/** The status endpoint belongs to signers: approvals go through `approval`. */
function keepDecisions(request: Mutable<Request>, old: Request): void {
  const conditions = request.status?.conditions ?? [];
  for (const decision of ["Approved", "Denied"]) {
    const before = (old.status?.conditions ?? []).filter(({ type }) => type === decision);
    if (conditions.filter(({ type }) => type === decision).length !== before.length) continue;
    let next = 0;
    for (const [i, { type }] of conditions.entries()) if (type === decision) conditions[i] = { ...before[next++]! };
  }
}

function stampConditions(request: Mutable<Request>, old: Request, now: string): void {
  for (const condition of request.status?.conditions ?? []) {
    condition.lastUpdateTime ??= now;
    condition.lastTransitionTime ??=
      old.status?.conditions?.find(({ type, status }) => type === condition.type && status === condition.status)
        ?.lastTransitionTime ?? now;
  }
}

function conditionText({ status }: Request): string {
  const has = (type: string) => status?.conditions?.some((condition) => condition.type === type) === true;
  const words = [has("Denied") ? "Denied" : has("Approved") ? "Approved" : "Pending"];
  if (has("Failed")) words.push("Failed");
  if (status?.certificate) words.push("Issued");
  return words.join(",");
}
