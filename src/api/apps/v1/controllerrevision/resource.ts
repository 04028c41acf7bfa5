/** Upstream: pkg/apis/apps, pkg/registry/apps/controllerrevision */
import { controllerOf } from "../../../../machinery/meta/object.ts";
import { ageColumn, column, nameColumn } from "../../../columns.ts";
import { defineResource } from "../../../define.ts";
import type { ControllerRevision } from "../../../generated/apps.v1.ts";
import { validateControllerRevision, validateControllerRevisionUpdate } from "../validation.ts";

export const controllerRevisions = defineResource<ControllerRevision>({
  group: "apps",
  version: "v1",
  kind: "ControllerRevision",
  behaviour: { validate: validateControllerRevision, validateUpdate: validateControllerRevisionUpdate },
  columns: [
    nameColumn,
    column("Controller", "string", (revision) => {
      const owner = controllerOf(revision);
      if (owner === undefined) return "<none>";
      const group = owner.apiVersion.includes("/") ? `.${owner.apiVersion.split("/")[0]}` : "";
      return `${owner.kind.toLowerCase()}${group}/${owner.name}`;
    }),
    column("Revision", "string", ({ revision }) => revision ?? 0),
    ageColumn,
  ],
});
