/**
 * Creates and deletes the pods of an owner, and records events about it on the owner.
 * Upstream: pkg/controller/controller_utils.go (RealPodControl)
 */
import type { Pod, PodTemplateSpec } from "../../api/generated/core.v1.ts";
import type { Client } from "../../client/client.ts";
import { isNamespaceTerminating } from "../../client/controller-runner.ts";
import type { EventRecorder } from "../../client/events.ts";
import { pods } from "../../client/resources.ts";
import type { Draft, KubeObject } from "../../machinery/meta/object.ts";
import { hasReason } from "../../machinery/status.ts";
import { controllerReference } from "./claim.ts";

export interface PodControl {
  readonly client: Client;
  readonly events: EventRecorder;
  readonly owner: KubeObject;
  readonly signal: AbortSignal;
}

export function podFromTemplate(owner: KubeObject, template: PodTemplateSpec): Draft<Pod> {
  const { labels, annotations, finalizers } = template.metadata ?? {};
  return {
    metadata: {
      generateName: generateNameFor(owner.metadata.name),
      namespace: owner.metadata.namespace,
      ...(labels && { labels }),
      ...(annotations && { annotations }),
      ...(finalizers && { finalizers }),
      ownerReferences: [controllerReference(owner)],
    },
    spec: template.spec as Pod["spec"],
  };
}

/** Names end in a dash before the random part, unless that would make them no prefix of a name. */
function generateNameFor(name: string): string {
  return name.length < 253 ? `${name}-` : name;
}

export async function createPod(
  { client, events, owner, signal }: PodControl,
  pod: Draft<Pod>,
): Promise<Pod | undefined> {
  if (Object.keys(pod.metadata?.labels ?? {}).length === 0) throw new Error("unable to create pods, no labels");
  try {
    const created = await client.create(pods, pod, { signal });
    events.event(owner, "Normal", "SuccessfulCreate", `Created pod: ${created.metadata.name}`);
    return created;
  } catch (error) {
    if (isNamespaceTerminating(error)) return undefined;
    if (!signal.aborted) events.event(owner, "Warning", "FailedCreate", `Error creating: ${messageOf(error)}`);
    throw error;
  }
}

export async function deletePod({ client, events, owner, signal }: PodControl, pod: Pod): Promise<void> {
  const { namespace = "", name, uid } = pod.metadata;
  try {
    await client.delete(pods, { namespace, name }, { preconditions: { uid }, signal });
    events.event(owner, "Normal", "SuccessfulDelete", `Deleted pod: ${name}`);
  } catch (error) {
    // Gone already, or another pod of the same name: what was wanted is so.
    if (hasReason(error, "NotFound")) return;
    if (!signal.aborted) events.event(owner, "Warning", "FailedDelete", `Error deleting: ${messageOf(error)}`);
    throw error;
  }
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
