/**
 * Records what a reconcile wrote, so that the next one for the same key runs only on a cache that reflects it. Upstream does this in each controller
 * (StaleControllerConsistency, expectations); here it happens in the transport, which every write passes.
 */
import type { KubeObject } from "../machinery/meta/object.ts";
import { keyOf } from "../machinery/meta/object.ts";
import type { RestRequest, Transport } from "./transport.ts";

export interface Write {
  /** `group/plural`, the group empty for core. */
  readonly resource: string;
  readonly key: string;
  readonly uid: string;
  /** The version written; undefined when the object is gone. */
  readonly resourceVersion: string | undefined;
}

export function recordingTransport(transport: Transport, onWrite: (write: Write) => void): Transport {
  return {
    async send(request) {
      const answer = await transport.send(request);
      if (request.method !== "GET" && !isDryRun(request)) {
        const write = writeOf(request, answer);
        if (write !== undefined) onWrite(write);
      }
      return answer;
    },
    watch: (request) => transport.watch(request),
    raw: (request) => transport.raw(request),
    ...(transport.upgrade && { upgrade: transport.upgrade.bind(transport) }),
    close: () => transport.close(),
  };
}

const isDryRun = (request: RestRequest) => request.query?.["dryRun"] !== undefined;

function writeOf(request: RestRequest, answer: unknown): Write | undefined {
  const at = parsePath(request.path);
  if (at === undefined) return undefined;
  const object = answer as Partial<KubeObject> & { readonly details?: { readonly uid?: string } };
  if (object.kind === "Status") {
    if (request.method !== "DELETE" || at.name === undefined || at.subresource !== undefined) return undefined;
    const key = keyOf({ metadata: { name: at.name, ...(at.namespace !== undefined && { namespace: at.namespace }) } });
    return { resource: at.resource, key, uid: object.details?.uid ?? "", resourceVersion: undefined };
  }
  const { metadata } = object;
  // Views with another kind (scale, token) speak of the parent, but not with a version that is worth waiting for.
  if (metadata?.resourceVersion === undefined || metadata.name === undefined) return undefined;
  return {
    resource: at.resource,
    key: keyOf({ metadata }),
    uid: metadata.uid ?? "",
    resourceVersion: metadata.resourceVersion,
  };
}

/** The parts of a resource's URL; undefined for a URL of another kind. */
export function parsePath(path: string):
  | {
      readonly group: string;
      readonly version: string;
      readonly resource: string;
      readonly plural: string;
      readonly namespace?: string;
      readonly name?: string;
      readonly subresource?: string;
    }
  | undefined {
  const parts = path
    .split("/")
    .filter((part) => part !== "")
    .map(decodeURIComponent);
  const group = parts[0] === "api" ? "" : parts[0] === "apis" ? parts[1] : undefined;
  if (group === undefined) return undefined;
  const rest = parts.slice(group === "" ? 1 : 2);
  const version = rest.shift();
  let namespace: string | undefined;
  // `namespaces/x/status` and `namespaces/x/finalize` are the namespace's own.
  if (
    rest[0] === "namespaces" &&
    rest.length > 2 &&
    !(rest.length === 3 && (rest[2] === "status" || rest[2] === "finalize"))
  ) {
    namespace = rest[1];
    rest.splice(0, 2);
  }
  const [plural, name, subresource] = rest;
  if (version === undefined || plural === undefined) return undefined;
  return {
    group,
    version,
    plural,
    resource: `${group}/${plural}`,
    ...(namespace !== undefined && { namespace }),
    ...(name !== undefined && { name }),
    ...(subresource !== undefined && { subresource }),
  };
}
