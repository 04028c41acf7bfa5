/**
 * What path, method and media types decide before anything is read: 404, 405, 415 for a patch, 406.
 * Upstream: pkg/endpoints/installer.go and the router under it; for custom resources apiextensions-apiserver/pkg/apiserver/customresource_handler.go.
 */
import { goQuote } from "../base/go-quote.ts";
import type { Resource } from "../machinery/resource.ts";
import { badRequest, qualified, StatusError } from "../machinery/status.ts";
import { mediaTypesFor, streamTypesFor } from "./negotiation.ts";
import { isCustom } from "./registry/decode.ts";
import { patchTypes } from "./registry/patch.ts";
import type { ApiRequest } from "./request.ts";
import type { RequestInfo } from "./request-info.ts";

/** A refusal of the router. It speaks no CBOR, and says that it has no details. */
export class RouteError extends StatusError {}

const METHODS: Readonly<Record<string, string>> = {
  create: "POST",
  get: "GET",
  update: "PUT",
  patch: "PATCH",
  delete: "DELETE",
};
/** What goes on to somewhere else, whatever it is. */
const CONNECTED = new Set(["exec", "attach", "portforward", "proxy"]);

/** Throws where no route takes the request. */
export function route(request: ApiRequest, resource: Resource): void {
  if (isCustom(resource)) return routeCustom(request.info, resource);
  const { info, method } = request;
  const methods = methodsAt(info, resource);
  if (methods.length === 0) throw new RouteError("NotFound", "the server could not find the requested resource");
  if (!methods.includes(method))
    throw new RouteError("MethodNotAllowed", "the server does not allow this method on the requested resource");
  // A caller in this process sends objects.
  if (request.exchange === undefined || CONNECTED.has(info.subresource)) return;
  if (
    method === "PATCH" &&
    !patchTypes(resource, request.cbor === true).includes(essence(request.header("content-type")))
  )
    throw new RouteError("UnsupportedMediaType", "415: Unsupported Media Type");
  const accept = request.header("accept") || "*/*";
  if (accept === "*/*" || accept === "application/json") return;
  accepts(request, typesProduced(request));
}

/** Throws where none of the types that a route has is asked for: parameters don't count, and half of a type is none. */
export function accepts(request: ApiRequest, produced: readonly string[]): void {
  if (request.exchange === undefined) return;
  const accept = request.header("accept") || "*/*";
  const accepted = accept.split(",").map(essence);
  if (!accepted.some((type) => type === "*/*" || produced.includes(type)))
    throw new RouteError("NotAcceptable", `406: Not Acceptable\n\nAvailable representations: ${produced.join(", ")}`);
}

/** The methods that the path has; none where there is no such path. */
function methodsAt({ parts, namespace, watched }: RequestInfo, resource: Resource): readonly string[] {
  const { verbs } = resource;
  const [, name, subresource, ...more] = parts;
  const everywhere = resource.scope === "Namespaced" && namespace === "";
  if (watched) return verbs.includes("watch") && subresource === undefined && !(everywhere && name) ? ["GET"] : [];
  if (name === undefined) {
    if (everywhere) return verbs.includes("list") ? ["GET"] : [];
    return [
      ...(verbs.includes("create") ? ["POST"] : []),
      ...(verbs.includes("list") ? ["GET"] : []),
      ...(verbs.includes("deletecollection") ? ["DELETE"] : []),
    ];
  }
  if (everywhere) return [];
  if (subresource === undefined)
    return (["get", "update", "patch", "delete"] as const)
      .filter((verb) => verbs.includes(verb))
      .map((verb) => METHODS[verb]!);
  const found = resource.subresources[subresource]?.verbs ?? [];
  if (more.length > 0 && subresource !== "proxy") return [];
  return [...found.map((verb) => METHODS[verb]!), ...(subresource === "proxy" ? ["HEAD", "OPTIONS"] : [])];
}

/** A collection can be watched, so it speaks the languages of streams, too. */
function typesProduced(request: ApiRequest): readonly string[] {
  const { info } = request;
  const cbor = request.cbor === true;
  const types = mediaTypesFor(cbor);
  if (info.subresource === "log") return ["text/plain", ...types];
  return info.watched || (request.method === "GET" && info.parts.length === 1)
    ? [...types, ...streamTypesFor(cbor)]
    : types;
}

/** Without parameters. An absent type is that of any bytes. */
function essence(type: string | undefined): string {
  return (type || "application/octet-stream").split(";")[0]!.trim();
}

/** Custom resources have no routes: the verb decides. */
function routeCustom({ verb, subresource, name, namespace }: RequestInfo, resource: Resource): void {
  if (resource.scope === "Namespaced" && namespace === "" && verb !== "list" && verb !== "watch")
    throw new RouteError("NotFound", "the server could not find the requested resource");
  const found = subresource === "" ? undefined : resource.subresources[subresource];
  if (subresource !== "" && found === undefined)
    throw new StatusError("NotFound", `${qualified(resource)} ${goQuote(name)} not found`, {
      name,
      group: resource.group,
      kind: resource.plural,
    });
  const verbs: readonly string[] = found?.verbs ?? resource.verbs;
  if (!verbs.includes(verb)) throw notSupported(resource, verb);
  if (name === "" && (verb === "update" || verb === "patch")) throw badRequest("name must be provided");
}

export function notSupported(resource: Resource, verb: string): StatusError {
  return new StatusError(
    "MethodNotAllowed",
    `${verb} is not supported on resources of kind ${JSON.stringify(qualified(resource))}`,
    { ...(resource.group !== "" && { group: resource.group }), kind: resource.plural },
  );
}
