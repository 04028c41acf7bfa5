/** ResourceSlices, which behave alike in all versions. Upstream: pkg/apis/resource/v1/defaults.go, pkg/registry/resource/resourceslice */
import type { KubeObject } from "../../machinery/meta/object.ts";
import type { Behaviour } from "../../machinery/resource.ts";
import type { ResourceSlice } from "../generated/resource.v1.ts";
import { nextGeneration } from "../define.ts";
import { semanticEqual } from "../semantic-equal.ts";
import { defaultSlice, dropDisabledOfSlice, sliceWarnings, stampSliceTaints } from "./device.ts";
import { validateSlice } from "./slice-validation.ts";

/** `toV1`: the stored form of the version's slices, by which they are validated. */
export function sliceBehaviour<T extends KubeObject & { readonly spec: object }>(
  toV1: (slice: T) => unknown,
): Behaviour<T> {
  return {
    defaults: defaultSlice,
    prepareForCreate(slice, { now, featureGates }) {
      stampSliceTaints(slice, now);
      dropDisabledOfSlice(slice, undefined, featureGates);
    },
    prepareForUpdate(slice, old, { now, featureGates }) {
      stampSliceTaints(slice, now);
      // A field that is dropped because its gate is off counts as a change all the same.
      if (!semanticEqual(slice.spec, old.spec)) nextGeneration(slice, old);
      dropDisabledOfSlice(slice, old, featureGates);
    },
    validate: (slice) => validateSlice(toV1(slice as T) as ResourceSlice),
    validateUpdate: (slice, old) => validateSlice(toV1(slice as T) as ResourceSlice, toV1(old as T) as ResourceSlice),
    warnings: (slice) => sliceWarnings(slice),
  };
}
