/**
 * Makes every pod pull its images, so that only users with pull rights can run a private image that is on the node already.
 * Upstream: plugin/pkg/admission/alwayspullimages
 */
import { containersOf, defineAdmission, refuse } from "../framework.ts";

export const alwaysPullImages = defineAdmission({
  name: "AlwaysPullImages",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE"], resources: ["pods"] },
  admit({ object }) {
    for (const { container } of containersOf(object.spec)) container.imagePullPolicy = "Always";
  },
  validate(request) {
    for (const { container, path } of containersOf(request.object.spec))
      if (container.imagePullPolicy !== "Always")
        throw refuse(
          request,
          `${path}.imagePullPolicy: Unsupported value: ${JSON.stringify(container.imagePullPolicy)}: supported values: "Always"`,
        );
  },
});
