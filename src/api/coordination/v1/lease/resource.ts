/** Upstream: pkg/registry/coordination/lease */
import type { Mutable } from "../../../../base/mutable.ts";
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { Lease } from "../../../generated/coordination.v1.ts";
import { validateLease } from "./validation.ts";

const GATE = "CoordinatedLeaderElection";

export const leases = defineResource<Lease>({
  group: "coordination.k8s.io",
  version: "v1",
  kind: "Lease",
  behaviour: {
    prepareForCreate(lease, { featureGates }) {
      if (featureGates.get(GATE) !== true) dropCoordination(lease);
    },
    prepareForUpdate(lease, old, { featureGates }) {
      if (
        featureGates.get(GATE) !== true &&
        old.spec?.strategy === undefined &&
        old.spec?.preferredHolder === undefined
      )
        dropCoordination(lease);
    },
    validate: validateLease,
  },
  columns: [nameColumn, column("Holder", "string", ({ spec }) => spec?.holderIdentity ?? ""), ageColumn],
});

function dropCoordination({ spec }: Mutable<Lease>): void {
  delete spec?.strategy;
  delete spec?.preferredHolder;
}
