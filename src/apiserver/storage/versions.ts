/** The versions in which a stored object is served, and its conversion between them. Upstream: apimachinery/pkg/runtime/mapper.go */
import type { KubeObject } from "../../machinery/meta/object.ts";
import type { Resource } from "../../machinery/resource.ts";
import { apiVersionOf } from "../../machinery/resource.ts";
import { storedOf, viewOf } from "./entry.ts";
import { prefixFor } from "./keys.ts";

/** Under which other groups and versions the same objects are served. */
export function equivalentsOf(resource: Resource, all: readonly Resource[]): readonly Resource[] {
  const prefix = prefixFor(resource, "");
  return all.filter(
    (other) =>
      other !== resource &&
      other.storage.virtual !== true &&
      apiVersionOf(other) !== apiVersionOf(resource) &&
      prefixFor(other, "") === prefix,
  );
}

/** An object of one version in another; who converts may have to be asked. */
export async function carryOver(object: KubeObject, from: Resource, to: Resource): Promise<KubeObject> {
  const { convert } = from.storage;
  if (convert === undefined) return viewOf(to, storedOf(from, object));
  const [converted] = await convert([object], apiVersionOf(to));
  return converted as KubeObject;
}
