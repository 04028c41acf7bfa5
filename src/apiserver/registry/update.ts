/**
 * Update, patch and apply: the present object is read, the new one made from it, and the transaction succeeds only if the object has not changed in
 * between.
 * Upstream: pkg/registry/generic/registry/store.go (Update), pkg/endpoints/handlers/update.go.
 */
import { resourceAttributes } from "../authz/authorizer.ts";
import { dropEmpties, restoreEmpties } from "../../machinery/codec/empties.ts";
import { finished } from "../../machinery/patch/apply/unfinished.ts";
import { deepFreeze } from "../../base/mutable.ts";
import type { Behaviour, Resource } from "../../machinery/resource.ts";
import { badRequest, conflict, notFound, StatusError } from "../../machinery/status.ts";
import { invalid, invalidObject } from "../../machinery/validation/field-error.ts";
import type { UserInfo } from "../authn/user.ts";
import type { Entry } from "../storage/entry.ts";
import { convertedToStored, entryOfView, prepareViews } from "../storage/entry.ts";
import type { Change } from "../storage/store.ts";
import { keyFor } from "../storage/keys.ts";
import { allowOrThrow } from "../authz/refuse.ts";
import type { WriteContext } from "./context.ts";
import { hookContext } from "./context.ts";
import {
  admissionRequest,
  canonicalizeAlways,
  createDraft,
  placeIn,
  refused,
  ttlSecondsOf,
  withObject,
} from "./create.ts";
import type { Finish } from "./specials/hooks.ts";
import { hooksOf } from "./specials/hooks.ts";
import { isUnchanged } from "./unchanged.ts";

export interface UpdateRequest {
  readonly resource: Resource;
  /** Empty for the resource itself. */
  readonly subresource: string;
  readonly namespace: string;
  readonly name: string;
  /**
   * The wanted object as a fresh draft, from the one that is there. It settles managed fields as well, and may be called again when another writer
   * came first.
   */
  make(current: any): any;
  /** What comes into being where nothing is there: PUT for a few kinds, apply for all. */
  readonly onMissing: "fail" | "create";
  /** `make` makes something of nothing as well: where that fails, this is what the client is told. */
  readonly makesNew?: boolean;
  /** What the client sees and writes, where that isn't the object itself: its own subresource and kind. Admission sees it as well. */
  readonly view?: View;
  /** In place of the subresource's own behaviour. */
  readonly behaviour?: Behaviour<any>;
  /** Skips what an update of this kind would ask for: the server's own writes on a user's behalf (binding, eviction). */
  readonly skipAdmission?: boolean;
}

export interface View {
  readonly subresource: string;
  of(object: any): any;
  /** What `make` made last, as the client wants it. */
  asked(): any;
  /** The draft with what the view says. */
  fold(view: any, draft: any): any;
}

export interface Updated {
  readonly entry: Entry;
  readonly created: boolean;
}

const MODIFIED = "the object has been modified; please apply your changes to the latest version and try again";

export async function update(context: WriteContext, request: UpdateRequest): Promise<Updated> {
  const { resource, namespace, name } = request;
  const { registry } = context.services;
  const { store, cache } = registry.storage(resource);
  const key = keyFor(resource, namespace, name);
  let finish: Finish | undefined;
  let last: any;
  const change = async (current: Entry | undefined): Promise<Change> => {
    await finish?.(false);
    finish = undefined;
    if (current === undefined) throw new Missing();
    await prepareViews(resource, [current]);
    const old = current.view(resource);
    const prepared = await prepare(context, request, current, old);
    finish = prepared.finish;
    last = prepared.draft;
    if (prepared.gone) return "delete";
    const stored = deepFreeze(await convertedToStored(resource, prepared.draft));
    if (isUnchanged(current, stored)) return "same";
    const ttlSeconds = ttlSecondsOf(resource, context.services);
    return ttlSeconds === undefined ? { put: stored } : { put: stored, ttlSeconds };
  };
  let written = false;
  try {
    if (context.dryRun) {
      const { entry } = await store.get(key, cache.get(key));
      await change(entry);
      return { entry: entryOfView(resource, key, entry!.revision, last), created: false };
    }
    const result = await store.update(key, cache.get(key), change);
    if (result === undefined) throw notFound(resource, name);
    written = true;
    if (!result.deleted) {
      await prepareViews(resource, [result.entry]);
      return { entry: result.entry, created: false };
    }
    await hooksOf(resource)?.afterDelete?.(context.services, last);
    const { revision } = result.entry;
    const metadata = { ...last.metadata, resourceVersion: String(revision) };
    return { entry: entryOfView(resource, key, revision, { ...last, metadata }), created: false };
  } catch (error) {
    if (!(error instanceof Missing)) throw error;
    if (request.onMissing === "fail") {
      // What can't be made of nothing is told first.
      if (request.makesNew === true) {
        const draft = await finished(() => request.make(undefined));
        assertNamed(draft, name);
        checkPlace(request, draft);
      }
      throw notFound(resource, name);
    }
    return await createMissing(context, request);
  } finally {
    await finish?.(written);
  }
}

/** There is nothing to update. */
class Missing extends Error {}

async function createMissing(context: WriteContext, request: UpdateRequest): Promise<Updated> {
  const { resource, namespace, name } = request;
  await mayCreate(context, context.user, request);
  const draft = await finished(() => request.make(undefined));
  if ((draft.metadata.uid ?? "") !== "")
    throw conflict(
      resource,
      name,
      `uid mismatch: the provided object specified uid ${draft.metadata.uid}, and no existing object was found`,
    );
  assertNamed(draft, name);
  // That it is being deleted stays, as upstream has it.
  for (const field of ["uid", "creationTimestamp", "selfLink"]) delete draft.metadata[field];
  // A resourceVersion says that something must be there.
  const version: string = draft.metadata.resourceVersion ?? "";
  if (version !== "") assertNumber(version);
  if (version !== "" && version !== "0" && context.verb !== "patch") throw notFound(resource, name);
  delete draft.metadata.resourceVersion;
  checkPlace(request, draft);
  draft.metadata.name = name;
  const entry = await createDraft(context, resource, namespace, draft);
  return { entry, created: true };
}

function mayCreate(
  { services, internal }: WriteContext,
  user: UserInfo,
  { resource, namespace, name }: UpdateRequest,
): void | Promise<void> {
  if (internal === true) return;
  const { group, version, plural } = resource;
  const attributes = resourceAttributes({ user, verb: "create", group, version, resource: plural, namespace, name });
  return allowOrThrow(services.authorizer, attributes);
}

async function prepare(
  context: WriteContext,
  request: UpdateRequest,
  current: Entry,
  old: any,
): Promise<{ readonly draft: any; readonly gone: boolean; readonly finish: Finish | undefined }> {
  const { resource, subresource, namespace, name } = request;
  const { services } = context;
  let draft = await finished(() => request.make(old));
  checkPlace(request, draft);
  draft.metadata.name = name;
  checkUid(context, resource, name, current, old, draft);
  const hooks = hookContext(context);
  const behaviour =
    request.behaviour ?? (subresource === "" ? resource.behaviour : viewBehaviour(resource, subresource));
  const { view } = request;
  const [wanted, before] = view === undefined ? [draft, old] : [view.asked(), view.of(old)];
  const part = view?.subresource ?? subresource;
  const admission = admissionRequest(context, resource, part, "UPDATE", namespace, name, wanted, before);
  const admitted = context.internal !== true && request.skipAdmission !== true;
  if (admitted) await services.admission.admit(admission);
  draft = view === undefined ? admission.object : view.fold(admission.object, draft);
  // What mutates may say which version it means.
  checkVersion(resource, name, current, draft);
  const finish = subresource === "" ? await hooksOf(resource)?.beginUpdate?.(services, draft, old, context) : undefined;
  try {
    const { metadata } = draft;
    metadata.generation = old.metadata.generation;
    if (metadata.generation === undefined) delete metadata.generation;
    restoreEmpties(draft);
    behaviour.prepareForUpdate?.(draft, old, hooks);
    keepSystemMetadata(metadata, old.metadata);
    const notAllowed =
      context.internal === true ? [] : await hooksOf(resource)?.refusals?.(services, subresource, draft, old, context);
    const errors =
      context.internal === true
        ? []
        : (behaviour.validateUpdate?.(
            draft,
            old,
            notAllowed === undefined ? hooks : { ...hooks, refused: notAllowed },
          ) ?? []);
    if (errors.length > 0) throw refused(draft, errors);
    for (const warning of behaviour.warnings?.(draft, old) ?? []) context.warn(warning);
    dropEmpties(draft);
    behaviour.canonicalize?.(draft);
    canonicalizeAlways(resource, draft);
    if (admitted) await services.admission.validate(withObject(admission, view === undefined ? draft : view.of(draft)));
    return { draft, gone: isGone(resource, draft), finish };
  } catch (error) {
    await finish?.(false);
    throw error;
  }
}

/** The last finalizer is off an object that is being deleted. */
function isGone(resource: Resource, { metadata, ...rest }: any): boolean {
  return (
    metadata.deletionTimestamp !== undefined &&
    (metadata.finalizers ?? []).length === 0 &&
    (metadata.deletionGracePeriodSeconds ?? 0) === 0 &&
    hooksOf(resource)?.keepsOnDelete?.(rest) !== true
  );
}

/** Only an apply to what is there may leave the name to the URL. */
export function assertNamed({ metadata }: any, name: string): void {
  if (!metadata?.name)
    throw badRequest(`the name of the object (${name} based on URL) was undeterminable: name must be provided`);
}

/** A write goes where its URL says. */
export function checkPlace(
  { resource, namespace, name }: Pick<UpdateRequest, "resource" | "namespace" | "name">,
  draft: any,
): void {
  const said: string = draft.metadata.name ?? "";
  if (said !== "" && said !== name)
    throw badRequest(`the name of the object (${said}) does not match the name on the URL (${name})`);
  const saidNamespace: string = draft.metadata.namespace ?? "";
  if (resource.scope === "Namespaced" && saidNamespace !== "" && saidNamespace !== namespace)
    throw badRequest("the namespace of the provided object does not match the namespace sent on the request");
  placeIn(resource, namespace, draft);
}

const UINT64_MAX = 2n ** 64n - 1n;

function assertNumber(version: string): void {
  const wrong = /^\d+$/.test(version) ? BigInt(version) > UINT64_MAX && "value out of range" : "invalid syntax";
  if (wrong !== false)
    throw new StatusError("Unknown", `strconv.ParseUint: parsing ${JSON.stringify(version)}: ${wrong}`);
}

function checkUid(
  { verb }: WriteContext,
  resource: Resource,
  name: string,
  current: Entry,
  old: any,
  draft: any,
): void {
  const uid: string = draft.metadata.uid ?? "";
  // What a patch makes of the identity is for its rules to refuse.
  if (uid !== "" && uid !== old.metadata.uid && verb !== "patch")
    throw conflict(
      resource,
      name,
      `StorageError: invalid object, Code: 4, Key: ${current.key}, ResourceVersion: 0, AdditionalErrorMsg: Precondition failed: UID in precondition: ${uid}, UID in object meta: ${old.metadata.uid}`,
    );
}

function checkVersion(resource: Resource, name: string, current: Entry, draft: any): void {
  const version: string = draft.metadata.resourceVersion ?? "";
  if (version === "" || version === "0") {
    if (!resource.unconditionalUpdate)
      throw invalidObject(resource.group, resource.plural, name, [
        invalid("metadata.resourceVersion", 0, "must be specified for an update"),
      ]);
  } else if (version !== String(current.revision)) {
    assertNumber(version);
    throw conflict(resource, name, MODIFIED);
  }
  draft.metadata.resourceVersion = String(current.revision);
}

/** What only the system writes. */
function keepSystemMetadata(metadata: any, old: any): void {
  metadata.uid ||= old.uid;
  metadata.creationTimestamp = old.creationTimestamp;
  delete metadata.selfLink;
  // That an object is being deleted can't be taken back, nor said by a write.
  if (old.deletionTimestamp !== undefined) metadata.deletionTimestamp = old.deletionTimestamp;
  if (metadata.deletionGracePeriodSeconds === undefined && old.deletionGracePeriodSeconds !== undefined)
    metadata.deletionGracePeriodSeconds = old.deletionGracePeriodSeconds;
}

/** A subresource that says nothing writes what it is named after and nothing else. */
function viewBehaviour(resource: Resource, subresource: string): Behaviour<any> {
  const known = resource.subresources[subresource]?.behaviour;
  if (known !== undefined) return known;
  return {
    prepareForUpdate(draft, old) {
      if (subresource !== "status") return;
      for (const field of Object.keys({ ...draft, ...old })) {
        if (field === "status" || field === "metadata") continue;
        if (old[field] === undefined) delete draft[field];
        else draft[field] = old[field];
      }
    },
  };
}
