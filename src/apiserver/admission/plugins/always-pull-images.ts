/**
 * Makes every pod pull its images, so that only users with pull rights can run a private image that is on the node already.
 * Upstream: plugin/pkg/admission/alwayspullimages
 */
import { listErrors } from "../configuration.ts";
import type { AdmissionRequest, AnyObject } from "../framework.ts";
import { containersOf, defineAdmission, refuse, unclassified } from "../framework.ts";

export const alwaysPullImages = defineAdmission({
  name: "AlwaysPullImages",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE"], resources: ["pods"] },
  admit(request) {
    if (!bringsImages(request)) return;
    const { spec } = request.object;
    for (const { container } of containersOf(spec)) container.imagePullPolicy = "Always";
    for (const { image } of spec.volumes ?? []) if (image !== undefined) image.pullPolicy = "Always";
  },
  validate(request) {
    if (!bringsImages(request)) return;
    const { spec } = request.object;
    const wrong = (path: string, policy: string) =>
      policy === "Always"
        ? []
        : [
            refuse(request, `${path}: Unsupported value: ${JSON.stringify(policy)}: supported values: "Always"`)
              .message,
          ];
    const errors = [
      ...containersOf(spec).flatMap(({ container, path }) =>
        wrong(`${path}.imagePullPolicy`, container.imagePullPolicy),
      ),
      ...(spec.volumes ?? []).flatMap(({ image }: AnyObject, i: number) =>
        image === undefined ? [] : wrong(`spec.volumes[${i}].image.pullPolicy`, image.pullPolicy),
      ),
    ];
    if (errors.length > 0) throw unclassified(listErrors(errors));
  },
});

/** An update that keeps to images the pod has is none of this plugin's business. */
function bringsImages({ operation, object, oldObject }: AdmissionRequest): boolean {
  if (operation !== "UPDATE") return true;
  const images = (pod: AnyObject) => containersOf(pod.spec).map(({ container }) => container.image ?? "");
  const before = new Set(images(oldObject));
  return images(object).some((image) => !before.has(image));
}
