/** The revision history of DaemonSets and StatefulSets. Upstream: pkg/controller/history */
import type { ControllerRevision, DaemonSet, StatefulSet } from "../../api/generated/apps.v1.ts";
import type { PodTemplateSpec } from "../../api/generated/core.v1.ts";
import { canonicalJson } from "../../machinery/meta/hash.ts";
import { controllerReference } from "./claim.ts";
import type { Draft } from "../../machinery/meta/object.ts";

/** What a revision holds: a patch that puts the template back. In the order of its keys, as other programs compare its bytes with their own. */
export function revisionData(template: PodTemplateSpec): { readonly spec: { readonly template: object } } {
  return JSON.parse(canonicalJson({ spec: { template: { ...template, $patch: "replace" } } }));
}

/** A revision of `set`, with its template's labels and `labels`. */
export function newRevision(
  set: DaemonSet | StatefulSet,
  wanted: {
    readonly name: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly data: object;
    readonly revision: number;
  },
): Draft<ControllerRevision> {
  const { name, labels, data, revision } = wanted;
  const { namespace = "", annotations } = set.metadata;
  return {
    metadata: {
      name,
      namespace,
      labels: { ...set.spec.template.metadata?.labels, ...labels },
      ...(annotations && { annotations }),
      ownerReferences: [controllerReference(set)],
    },
    data,
    revision,
  };
}

export const sameData = (a: unknown, b: unknown) => canonicalJson(a) === canonicalJson(b);

/** By number, age and name. */
export function oldestRevisionFirst(a: ControllerRevision, b: ControllerRevision): number {
  return (
    a.revision - b.revision ||
    compare(a.metadata.creationTimestamp, b.metadata.creationTimestamp) ||
    compare(a.metadata.name, b.metadata.name)
  );
}

export function templateOf(revision: ControllerRevision): PodTemplateSpec {
  const { $patch: _, ...template } = (revision.data as { spec: { template: Record<string, unknown> } }).spec.template;
  return template as unknown as PodTemplateSpec;
}

export function nextRevisionNumber(revisions: readonly ControllerRevision[]): number {
  return revisions.reduce((most, { revision }) => Math.max(most, revision), 0) + 1;
}

/** Revisions beyond the limit that nothing uses, the oldest ones. */
export function surplusRevisions(
  revisions: readonly ControllerRevision[],
  isUsed: (revision: ControllerRevision) => boolean,
  limit: number,
): readonly ControllerRevision[] {
  if (limit < 0) return [];
  const unused = revisions.filter((revision) => !isUsed(revision)).sort(oldestRevisionFirst);
  return unused.slice(0, Math.max(0, unused.length - limit));
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);
