/** What kinds with a pod template have in common: the columns that show it, and the limits on changing it. */
import type { Column } from "../../../../machinery/resource.ts";
import { wide } from "../../../columns.ts";
import type { PodTemplateSpec } from "../../../generated/core.v1.ts";

export const containerNames = (template: PodTemplateSpec | undefined): string =>
  (template?.spec?.containers ?? []).map(({ name }) => name).join(",");
export const containerImages = (template: PodTemplateSpec | undefined): string =>
  (template?.spec?.containers ?? []).map(({ image }) => image ?? "").join(",");

export function templateColumns<T>(templateOf: (object: T) => PodTemplateSpec | undefined): readonly Column<T>[] {
  return [
    wide("Containers", "string", (object) => containerNames(templateOf(object))),
    wide("Images", "string", (object) => containerImages(templateOf(object))),
  ];
}
