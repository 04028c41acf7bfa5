/**
 * Create, in upstream's order: metadata, mutating admission, name, allocation, strategy, validation, validating admission, transaction.
 * Upstream: pkg/endpoints/handlers/create.go, pkg/registry/generic/registry/store.go.
 */
import { deepFreeze } from "../../base/mutable.ts";
import { dropEmpties, restoreEmpties } from "../../machinery/codec/empties.ts";
import { finished } from "../../machinery/patch/apply/unfinished.ts";
import type { Resource } from "../../machinery/resource.ts";
import { alreadyExists, badRequest, forbidden, qualified, StatusError } from "../../machinery/status.ts";
import { type FieldError, invalidObject } from "../../machinery/validation/field-error.ts";
import { uuid } from "../../world/world.ts";
import type { AdmissionRequest, Operation } from "../admission/framework.ts";
import { convertedToStored, Entry, prepareViews } from "../storage/entry.ts";
import { ExistsError } from "../storage/store.ts";
import { keyFor } from "../storage/keys.ts";
import type { WriteContext } from "./context.ts";
import { hookContext } from "./context.ts";
import { isCustom } from "./decode.ts";
import { recordUpdate } from "./managed-fields.ts";
import { generateName } from "./names.ts";
import { hooksOf } from "./specials/hooks.ts";

const GENERATE_ATTEMPTS = 8;
/** Events are forgotten after an hour. */
const EVENT_TTL_MS = 3_600_000;

export async function create(context: WriteContext, resource: Resource, namespace: string, draft: any): Promise<Entry> {
  resetSystemMetadata(draft);
  placeIn(resource, namespace, draft);
  const recorded = await finished(() => recordUpdate(context, resource, "", undefined, draft));
  return createDraft(context, resource, namespace, recorded);
}

/** From a draft whose managed fields are settled (a create, or an apply or update that found nothing). */
export async function createDraft(
  context: WriteContext,
  resource: Resource,
  namespace: string,
  draft: any,
): Promise<Entry> {
  const { services } = context;
  const { metadata } = draft;
  const generated = (metadata.name ?? "") === "" && (metadata.generateName ?? "") !== "";
  const admission = admissionRequest(context, resource, "", "CREATE", namespace, metadata.name ?? "", draft, undefined);
  if (isTerminating(services, resource))
    throw forbidden(
      resource,
      metadata.name ?? "",
      "create not allowed while custom resource definition is terminating",
    );
  if (context.internal !== true) await services.admission.admit(admission);
  draft = admission.object;
  draft.metadata.uid = uuid(services.random);
  draft.metadata.creationTimestamp = hookContext(context).now;
  const original = generated ? structuredClone(draft) : undefined;
  for (let attempt = 1; ; attempt++) {
    if (generated) draft.metadata.name = generateName(services.random, draft.metadata.generateName);
    try {
      return await store(context, resource, namespace, draft, admission);
    } catch (error) {
      if (!generated || !(error instanceof StatusError) || error.reason !== "AlreadyExists") throw error;
      if (attempt === GENERATE_ATTEMPTS)
        throw new StatusError(
          "AlreadyExists",
          `${error.message}, the server was not able to generate a unique name for the object`,
          { ...error.details, retryAfterSeconds: 1 },
        );
      draft = structuredClone(original);
    }
  }
}

/** By what it says that it is: an object of a custom kind may say something else. */
export function refused({ apiVersion, kind, metadata }: any, errors: readonly FieldError[]): StatusError {
  const group: string = apiVersion.includes("/") ? apiVersion.split("/")[0] : "";
  // An event is one of the core group, whichever way it came.
  return invalidObject(kind === "Event" ? "" : group, kind, metadata.name ?? "", errors);
}

/** The objects of a definition that goes are being deleted: new ones would never end it. */
function isTerminating({ cluster }: WriteContext["services"], resource: Resource): boolean {
  if (!isCustom(resource)) return false;
  const definition = cluster.get("customresourcedefinitions.apiextensions.k8s.io", "", qualified(resource));
  return (definition?.status?.conditions ?? []).some(
    ({ type, status }: any) => type === "Terminating" && status === "True",
  );
}

async function store(
  context: WriteContext,
  resource: Resource,
  namespace: string,
  draft: any,
  admission: AdmissionRequest,
): Promise<Entry> {
  const { services } = context;
  const { behaviour } = resource;
  const hooks = hookContext(context);
  const finish = await hooksOf(resource)?.beginCreate?.(services, draft, context);
  let done = false;
  try {
    // A name that was left out is an empty one to all who look at it from here on.
    draft.metadata.name ??= "";
    restoreEmpties(draft);
    behaviour.prepareForCreate?.(draft, hooks);
    const errors = context.internal === true ? [] : (behaviour.validate?.(draft, hooks) ?? []);
    if (errors.length > 0) throw refused(draft, errors);
    for (const warning of behaviour.warnings?.(draft, undefined) ?? []) context.warn(warning);
    dropEmpties(draft);
    behaviour.canonicalize?.(draft);
    canonicalizeAlways(resource, draft);
    if (context.internal !== true) await services.admission.validate(withObject(admission, draft));
    behaviour.readBack?.(draft);
    const name: string = draft.metadata.name;
    const version: string = draft.metadata.resourceVersion ?? "";
    delete draft.metadata.resourceVersion;
    const stored = deepFreeze(await convertedToStored(resource, draft));
    const storage = services.registry.storage(resource);
    const key = keyFor(resource, namespace, name);
    if (context.dryRun) {
      const { entry } = await storage.store.get(key, storage.cache.get(key));
      if (entry !== undefined) throw alreadyThere(resource, name, entry);
      return await viewable(resource, new Entry(key, 0, stored));
    }
    // Only storage minds a version: validation and policies have had their say, a dry run passes, and what is no number is dropped.
    if (/^\d+$/.test(version) && BigInt(version) !== 0n)
      throw new StatusError("Unknown", "resourceVersion should not be set on objects to be created", {}, { code: 500 });
    const ttl = ttlSecondsOf(resource, services);
    const entry = await storage.store.create(key, stored, ttl).catch(async (error: unknown) => {
      if (!(error instanceof ExistsError)) throw error;
      const there = storage.store.get(key, undefined).catch(() => undefined);
      throw alreadyThere(resource, name, (await there)?.entry);
    });
    done = true;
    return await viewable(resource, entry);
  } finally {
    await finish?.(done);
  }
}

/** Who waits for a name to be free is told that it will be. */
function alreadyThere(resource: Resource, name: string, entry: Entry | undefined): StatusError {
  const error = alreadyExists(resource, name);
  if (entry?.stored.metadata.deletionTimestamp === undefined) return error;
  return new StatusError(error.reason, `object is being deleted: ${error.message}`, error.details);
}

/** What a client gets back is what is stored, in the client's version. */
async function viewable(resource: Resource, entry: Entry): Promise<Entry> {
  await prepareViews(resource, [entry]);
  return entry;
}

/** Events are forgotten after a while; everything else stays. */
export function ttlSecondsOf({ kind }: Resource, { options }: WriteContext["services"]): number | undefined {
  return kind === "Event" ? Math.ceil((options.eventTtlMs ?? EVENT_TTL_MS) / 1000) : undefined;
}

/** What no strategy says and upstream's storage does for every kind. */
export function canonicalizeAlways(_resource: Resource, draft: any): void {
  const { metadata } = draft;
  for (const field of ["labels", "annotations"] as const)
    if (metadata[field] !== undefined && Object.keys(metadata[field]).length === 0) delete metadata[field];
  for (const field of ["finalizers", "ownerReferences", "managedFields"] as const)
    if (metadata[field] !== undefined && metadata[field].length === 0) delete metadata[field];
  for (const field of ["namespace", "generateName", "selfLink"] as const)
    if (metadata[field] === "") delete metadata[field];
}

export function resetSystemMetadata(draft: any): void {
  const { metadata } = draft;
  for (const field of ["uid", "creationTimestamp", "deletionTimestamp", "deletionGracePeriodSeconds", "selfLink"])
    delete metadata[field];
}

/** The namespace of the URL is the object's, said or not. */
export function placeIn(resource: Resource, namespace: string, draft: any): void {
  const said: string = draft.metadata.namespace ?? "";
  if (resource.scope === "Cluster") {
    delete draft.metadata.namespace;
    return;
  }
  if (said !== "" && said !== namespace)
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  draft.metadata.namespace = namespace;
}

const isNamespaces = ({ group, plural }: Resource): boolean => plural === "namespaces" && group === "";

/** A connection has none. */
function optionsOf(operation: Operation, { dryRun, said }: WriteContext): Readonly<Record<string, unknown>> {
  if (operation === "CONNECT") return {};
  return {
    kind: { CREATE: "CreateOptions", UPDATE: "UpdateOptions", DELETE: "DeleteOptions" }[operation],
    apiVersion: "meta.k8s.io/v1",
    ...(dryRun && { dryRun: ["All"] }),
    ...(operation !== "DELETE" && said),
  };
}

export function admissionRequest(
  context: WriteContext,
  resource: Resource,
  subresource: string,
  operation: Operation,
  namespace: string,
  name: string,
  draft: any,
  old: any,
): AdmissionRequest {
  return {
    operation,
    resource,
    subresource,
    // A namespace is in itself.
    namespace: isNamespaces(resource) ? name : namespace,
    name,
    object: draft,
    oldObject: old,
    user: context.user,
    dryRun: context.dryRun,
    options: optionsOf(operation, context),
    get signal() {
      return context.signal;
    },
    warn: (text) => context.warn(text),
    annotate: (key, value, level) => context.annotate?.(key, value, level),
  };
}

/** The same request about another object. Its signal stays unasked for: nobody makes one who needs none. */
export function withObject(request: AdmissionRequest, object: any): AdmissionRequest {
  if (request.object === object) return request;
  const properties = Object.getOwnPropertyDescriptors(request);
  return Object.defineProperties(
    {},
    { ...properties, object: { ...properties.object, value: object } },
  ) as AdmissionRequest;
}
