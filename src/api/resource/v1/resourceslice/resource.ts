/** Upstream: pkg/apis/resource/v1/defaults.go, pkg/registry/resource/resourceslice */
import { defineResource, nextGeneration } from "../../../define.ts";
import type { ResourceSlice } from "../../../generated/resource.v1.ts";
import {
  defaultSlice,
  dropDisabledOfSlice,
  sliceColumns,
  sliceFields,
  sliceWarnings,
  stampSliceTaints,
} from "../../device.ts";
import { semanticEqual } from "../../../semantic-equal.ts";
import { validateSlice } from "../../slice-validation.ts";

export const resourceSlices = defineResource<ResourceSlice>({
  group: "resource.k8s.io",
  version: "v1",
  kind: "ResourceSlice",
  selectableFields: sliceFields,
  behaviour: {
    defaults: defaultSlice,
    prepareForCreate(slice, { now, featureGates }) {
      stampSliceTaints(slice, now);
      dropDisabledOfSlice(slice, undefined, featureGates);
    },
    prepareForUpdate(slice, old, { now, featureGates }) {
      stampSliceTaints(slice, now);
      // What goes for its gate counts as a change all the same.
      if (!semanticEqual(slice.spec, old.spec)) nextGeneration(slice, old);
      dropDisabledOfSlice(slice, old, featureGates);
    },
    validate: (slice) => validateSlice(slice as ResourceSlice),
    validateUpdate: (slice, old) => validateSlice(slice as ResourceSlice, old as ResourceSlice),
    warnings: sliceWarnings,
  },
  columns: sliceColumns,
});
