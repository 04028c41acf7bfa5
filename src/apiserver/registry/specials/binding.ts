/** Binds a pod to a node, once. Upstream: pkg/registry/core/pod/storage (BindingREST). */
import { formatTime } from "../../../machinery/meta/time.ts";
import type { Resource } from "../../../machinery/resource.ts";
import { badRequest, conflict, StatusError } from "../../../machinery/status.ts";
import { aggregated, notSupported, required } from "../../../machinery/validation/field-error.ts";
import { writeContext } from "../../handlers/options.ts";
import type { ApiRequest, ApiResponse } from "../../request.ts";
import { object } from "../../request.ts";
import type { Services } from "../context.ts";
import { admissionRequest } from "../create.ts";
import { update } from "../update.ts";
import { BINDING, bodyOf, success } from "./body.ts";
import type { SpecialSubresource } from "./index.ts";

export const binding: SpecialSubresource = {
  verbs: ["create"],
  handle: (services, request, resource, namespace) => bind(services, request, resource, namespace, request.info.name),
};

/** The old way in: `bindings`, with the pod's name in the body. */
export async function bindings(services: Services, request: ApiRequest): Promise<ApiResponse> {
  const pods = services.registry.named("pods")!;
  return bind(services, request, pods, request.info.namespace, "");
}

async function bind(
  services: Services,
  request: ApiRequest,
  pods: Resource,
  namespace: string,
  urlName: string,
): Promise<ApiResponse> {
  const context = writeContext(services, request, "CreateOptions");
  const body = await bodyOf(request, context, BINDING);
  const name: string = urlName === "" ? (body.metadata.name ?? "") : urlName;
  if (name === "") throw badRequest("Name parameter required.");
  if ((body.metadata.name ?? "") !== "" && body.metadata.name !== name)
    throw badRequest("name in URL does not match name in Binding object");
  body.metadata.name = name;
  body.metadata.namespace = namespace;
  const admission = admissionRequest(context, pods, "binding", "CREATE", namespace, name, body, undefined);
  await services.admission.admit(admission);
  const wanted = admission.object;
  const { kind = "", name: node = "" } = wanted.target ?? {};
  const errors = [
    ...(kind !== "" && kind !== "Node" ? [notSupported("target.kind", kind, ["Node", "<empty>"])] : []),
    ...(node === "" ? [required("target.name")] : []),
  ];
  // Upstream takes these for a failure of its own.
  if (errors.length > 0) throw new StatusError("Unknown", aggregated(errors), {}, { code: 500 });
  await services.admission.validate(admission);
  const about = { group: "", plural: "pods/binding" };
  await update(context, {
    resource: pods,
    subresource: "binding",
    namespace,
    name,
    onMissing: "fail",
    behaviour: {},
    skipAdmission: true,
    make(pod) {
      if (wanted.metadata.uid && wanted.metadata.uid !== pod.metadata.uid)
        throw conflict(
          about,
          name,
          `StorageError: invalid object, Code: 4, Key: /registry/pods/${namespace}/${name}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${wanted.metadata.uid}, UID in object meta: ${pod.metadata.uid}`,
        );
      if (wanted.metadata.resourceVersion && wanted.metadata.resourceVersion !== pod.metadata.resourceVersion)
        throw conflict(
          about,
          name,
          `StorageError: invalid object, Code: 4, Key: /registry/pods/${namespace}/${name}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: ResourceVersion in precondition: ${wanted.metadata.resourceVersion}, ResourceVersion in object meta: ${pod.metadata.resourceVersion}`,
        );
      if (pod.metadata.deletionTimestamp !== undefined)
        throw conflict(about, name, `pod ${name} is being deleted, cannot be assigned to a host`);
      if (pod.spec.nodeName)
        throw conflict(about, name, `pod ${name} is already assigned to node ${JSON.stringify(pod.spec.nodeName)}`);
      if ((pod.spec.schedulingGates ?? []).length > 0)
        throw conflict(about, name, `pod ${name} has non-empty .spec.schedulingGates`);
      return {
        ...pod,
        metadata: {
          ...pod.metadata,
          ...merged(pod.metadata, wanted.metadata, "annotations"),
          ...merged(pod.metadata, wanted.metadata, "labels"),
        },
        spec: { ...pod.spec, nodeName: node },
        status: {
          ...pod.status,
          conditions: scheduled(pod.status?.conditions ?? [], formatTime(services.clock.now())),
        },
      };
    },
  });
  return object(201, success());
}

function merged(pod: any, wanted: any, field: "annotations" | "labels"): object {
  return wanted[field] === undefined ? {} : { [field]: { ...pod[field], ...wanted[field] } };
}

function scheduled(conditions: readonly any[], now: string): readonly any[] {
  const condition = { type: "PodScheduled", status: "True", lastProbeTime: null, lastTransitionTime: now };
  const others = conditions.filter(({ type }) => type !== "PodScheduled");
  const before = conditions.find(({ type }) => type === "PodScheduled");
  if (before?.status === "True") return conditions;
  return [...others, condition];
}
