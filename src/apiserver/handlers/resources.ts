/** Dispatches resource requests by verb. Subresources with behaviour of their own have their handlers in `registry/specials`. */
import { isBuiltinGroup } from "../../machinery/discovery/groups.ts";
import { type DeleteOptions, deletedStatus, remove, removeAll } from "../registry/delete.ts";
import type { Resource } from "../../machinery/resource.ts";
import { badRequest, StatusError } from "../../machinery/status.ts";
import { create } from "../registry/create.ts";
import type { Services, WriteContext } from "../registry/context.ts";
import { decodeBody, expectedOf, isCustom } from "../registry/decode.ts";
import { refusedForMany, removeUnread, UNSAFE } from "../registry/unsafe-delete.ts";
import { recordUpdate } from "../registry/managed-fields.ts";
import { patcher } from "../registry/patch.ts";
import { isApply, notePatch } from "../registry/patch-document.ts";
import { get, list, listOptions, watch } from "../registry/read.ts";
import { hooksOf } from "../registry/specials/hooks.ts";
import { specialSubresource, virtualResource } from "../registry/specials/index.ts";
import { assertNamed, checkPlace, update } from "../registry/update.ts";
import type { ApiRequest, ApiResponse, ObjectResponse } from "../request.ts";
import { text } from "../request.ts";
import { isTrue, type RequestInfo } from "../request-info.ts";
import type { Entry } from "../storage/entry.ts";
import { assertAcceptable } from "../negotiation.ts";
import { RouteError, route } from "../routing.ts";
import { deleteOptions, writeContext } from "./options.ts";

export async function handleResource(services: Services, request: ApiRequest): Promise<ApiResponse> {
  const { info } = request;
  const resource = services.registry.find(info.apiGroup, info.apiVersion, info.resource);
  if (resource === undefined) {
    // A group that nobody has is another matter than a version that a group doesn't have.
    const { registry } = services;
    const { apiPrefix, apiGroup, apiVersion } = info;
    const isKnown = registry.hasGroup(apiGroup) || registry.hasVersion(apiGroup, apiVersion);
    // Nor does anybody answer for groups that definitions make.
    if (apiPrefix !== "api" && (!isKnown || !isBuiltinGroup(apiGroup))) return pageNotFound();
    throw noSuchResource();
  }
  if (resource.scope === "Cluster" && info.namespace !== "" && info.resource !== "namespaces") throw noSuchResource();
  route(request, resource);
  if (resource.deprecated !== undefined) {
    warn(request, resource.deprecated.warning);
    services.deprecated?.(resource, info.subresource);
    request.audit?.annotate("k8s.io/deprecated", "true");
  }
  if (resource.storage.virtual !== true) {
    if (!OF_MANY.has(info.verb)) assertSegment(info.name);
    if (info.namespace === "." || info.namespace === "..") throw invalidKey(resource, info);
  }
  if (info.subresource !== "") return handleSubresource(services, request, resource);
  const { verb, name } = info;
  // Upstream knows before it does anything whether it could answer; whether in a stream it knows when there is one.
  assertAcceptable(request, { resource, isWatch: false, speaksProtobuf: !isCustom(resource) });
  if (resource.storage.virtual === true) return virtualResource(services, request, resource);
  const namespace = resource.scope === "Namespaced" ? info.namespace : "";

  switch (verb) {
    case "get": {
      if (isTrue(request.query.get("export")))
        throw new StatusError("BadRequest", "the export parameter, deprecated since v1.14, is no longer supported");
      const entry = await get(services, resource, namespace, name, request.query.get("resourceVersion") ?? "");
      return entryResponse(200, resource, entry);
    }
    case "list":
      return list(services, resource, namespace, name, listOptions(request.query));
    case "watch":
      return watch(
        services,
        resource,
        namespace,
        name,
        { ...listOptions(request.query), isList: info.watched && !isTrue(request.query.get("watch")) },
        request.signal,
      );
    case "create": {
      const context = writeContext(services, request, "CreateOptions");
      const draft = decodeBody(await request.body(), expectedOf(resource), context.fieldValidation, context.warn);
      request.audit?.requestObject(structuredClone(draft));
      return entryResponse(201, resource, await create(context, resource, namespace, draft));
    }
    case "update":
    case "patch":
      return change(services, request, resource, "", namespace, name);
    case "delete": {
      const options = await deleteOptions(services, request);
      warnOfOrphans(request, resource, options);
      const context = withDryRun(writeContext(services, request, "DeleteOptions"), options);
      await noteOptions(request, options);
      if (options[UNSAFE] === true)
        return { kind: "object", status: 200, object: await removeUnread(context, resource, namespace, name) };
      hooksOf(resource)?.beforeDelete?.(resource, name);
      const result = await remove(context, resource, namespace, name, options);
      if (result.kind === "pending" || result.answersObject) return entryResponse(200, resource, result.entry);
      return { kind: "object", status: 200, object: deletedStatus(resource, result.entry) };
    }
    case "deletecollection": {
      const options = await deleteOptions(services, request);
      warnOfOrphans(request, resource, options);
      const context = withDryRun(writeContext(services, request, "DeleteOptions"), options);
      await noteOptions(request, options);
      if (options[UNSAFE] === true) throw refusedForMany();
      const found = await list(services, resource, namespace, name, listOptions(request.query));
      await removeAll(context, resource, found.entries, options);
      return found;
    }
    default:
      throw notAllowed();
  }
}

/** A namespace that would lead out of the resource's place in the store. */
function invalidKey({ storage }: Resource, { verb, namespace, name }: RequestInfo): StatusError {
  if (verb === "create") {
    const words = `invalid resource name ${JSON.stringify(namespace)}: [may not be '${namespace}']`;
    return new StatusError("InternalError", `Internal error occurred: ${words}`, { causes: [{ message: words }] });
  }
  const key = `/${storage.prefix}/${namespace}${OF_MANY.has(verb) ? "" : `/${name}`}`;
  return new StatusError("Unknown", `invalid key: ${JSON.stringify(key)}`, {}, { code: 500 });
}

/** Their name, if any, is from a selector. */
const OF_MANY: ReadonlySet<string> = new Set(["list", "watch", "deletecollection"]);

/** A name that is part of a key of the store. */
function assertSegment(name: string): void {
  const wrong =
    name === "." || name === ".."
      ? [`may not be '${name}'`]
      : ["/", "%"].filter((mark) => name.includes(mark)).map((mark) => `may not contain '${mark}'`);
  if (wrong.length > 0) throw badRequest(`Name parameter invalid: ${JSON.stringify(name)}: ${wrong.join(";")}`);
}

async function handleSubresource(services: Services, request: ApiRequest, resource: Resource): Promise<ApiResponse> {
  const { info } = request;
  const namespace = resource.scope === "Namespaced" ? info.namespace : "";
  const special = specialSubresource(resource, info.subresource);
  if (special?.connects === true) {
    if (request.query.has("dryRun")) throw badRequest("dryRun is not supported");
  } else
    assertAcceptable(request, {
      resource,
      subresource: info.subresource,
      isWatch: false,
      speaksProtobuf: !isCustom(resource),
    });
  if (special !== undefined) return special.handle(services, request, resource, namespace);
  switch (info.verb) {
    case "get":
      return entryResponse(
        200,
        resource,
        await get(services, resource, namespace, info.name, request.query.get("resourceVersion") ?? ""),
      );
    case "update":
    case "patch":
      return change(services, request, resource, info.subresource, namespace, info.name);
    default:
      throw notAllowed();
  }
}

/** PUT and PATCH, of an object or of a view on it. */
async function change(
  services: Services,
  request: ApiRequest,
  resource: Resource,
  subresource: string,
  namespace: string,
  name: string,
): Promise<ApiResponse> {
  const { verb } = request.info;
  const body = await request.body();
  if (verb === "patch") notePatch(request, body);
  if (verb === "update") {
    const context = writeContext(services, request, "UpdateOptions");
    const expected = expectedOf(resource);
    const read = () => {
      const draft = decodeBody(body, expected, context.fieldValidation, context.warn);
      request.audit?.requestObject(structuredClone(draft));
      assertNamed(draft, name);
      checkPlace({ resource, namespace, name }, draft);
      return draft;
    };
    // What is wrong with the body is told before it is known whether there is anything to update.
    let draft = read();
    let isUsed = false;
    const updated = await update(context, {
      resource,
      subresource,
      namespace,
      name,
      make: (current) => {
        if (isUsed) draft = read();
        isUsed = true;
        return recordUpdate(context, resource, subresource, current, draft);
      },
      onMissing: subresource === "" && resource.createOnUpdate ? "create" : "fail",
    });
    return entryResponse(updated.created ? 201 : 200, resource, updated.entry);
  }
  const context = writeContext(services, request, "PatchOptions");
  const force = request.query.get("force");
  const type = body.kind === "none" ? "" : body.contentType;
  const make = patcher(context, resource, subresource, body, {
    force: force === null ? undefined : isTrue(force),
    fieldManager: request.query.get("fieldManager") ?? "",
  });
  const updated = await update(context, {
    resource,
    subresource,
    namespace,
    name,
    make,
    onMissing: subresource === "" && isApply(type) ? "create" : "fail",
    makesNew: isApply(type) && resource.createOnUpdate,
  });
  return entryResponse(updated.created ? 201 : 200, resource, updated.entry);
}

/** Options in the body, as the server reads them; those in the address are in the event anyway. */
async function noteOptions(request: ApiRequest, options: DeleteOptions): Promise<void> {
  if (request.audit === undefined) return;
  const body = await request.body();
  if (body.kind === "none" || (body.kind === "bytes" && body.bytes.length === 0)) return;
  const said = Object.entries(options).filter(([, value]) => !Array.isArray(value) || value.length > 0);
  const {
    kind: _kind,
    apiVersion: _apiVersion,
    ...rest
  } = Object.fromEntries(said) as Readonly<Record<string, unknown>>;
  request.audit.requestObject({ kind: "DeleteOptions", apiVersion: "meta.k8s.io/__internal", ...rest });
}

/** Whose pods stay behind where nothing is said of them. */
function warnOfOrphans(request: ApiRequest, { group, kind }: Resource, options: DeleteOptions): void {
  if (group !== "batch" || kind !== "Job") return;
  if (options.propagationPolicy === undefined && options.orphanDependents === undefined)
    warn(
      request,
      "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning",
    );
}

/** A delete with a body is no dry run because the URL says so. */
function withDryRun(context: WriteContext, { dryRun = [] }: DeleteOptions): WriteContext {
  const isDry = dryRun.includes("All");
  return context.dryRun === isDry ? context : { ...context, dryRun: isDry };
}

function entryResponse(status: number, resource: Resource, entry: Entry): ObjectResponse {
  return { kind: "object", status, object: entry.view(resource), resource, entry };
}

export function noSuchResource(): StatusError {
  return new RouteError("NotFound", "the server could not find the requested resource");
}

export function notAllowed(): StatusError {
  return new StatusError("MethodNotAllowed", "the server does not allow this method on the requested resource");
}

export function pageNotFound(): ApiResponse {
  return text(404, "404 page not found\n");
}

function warn(request: ApiRequest, words: string): void {
  if (!request.warnings.includes(words)) request.warnings.push(words);
}
