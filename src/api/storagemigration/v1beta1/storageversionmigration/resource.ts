/** Upstream: pkg/registry/storagemigration/storageversionmigration */
import { column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { StorageVersionMigration } from "../../../generated/storagemigration.v1beta1.ts";
import { validateMigration, validateMigrationStatus, validateMigrationUpdate } from "./validation.ts";

export const storageVersionMigrations = defineResource<StorageVersionMigration>({
  group: "storagemigration.k8s.io",
  version: "v1beta1",
  kind: "StorageVersionMigration",
  behaviour: { validate: validateMigration, validateUpdate: validateMigrationUpdate },
  views: { status: { validateUpdate: validateMigrationStatus } },
  columns: [
    { ...nameColumn, format: "" },
    column("Resource", "string", ({ spec }) => {
      const { resource = "", group } = spec?.resource ?? {};
      return group ? `${resource}.${group}` : resource;
    }),
    column("Status", "string", ({ status }) => {
      const last = (status?.conditions ?? []).findLast(
        (condition) => condition.status === "True" && ["Running", "Failed", "Succeeded"].includes(condition.type),
      );
      return last?.type ?? "Unknown";
    }),
  ],
});
