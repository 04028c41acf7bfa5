/**
 * The old health list: etcd, and the two components where upstream takes them to be, on this machine at their usual ports.
 * Upstream: pkg/registry/core/componentstatus, pkg/registry/core/rest/storage_core.go (serversToValidate)
 */
import type { KubeObject } from "../../../machinery/meta/object.ts";
import { notFound } from "../../../machinery/status.ts";
import { deepFreeze } from "../../../base/mutable.ts";
import { deadline } from "../../../world/time.ts";
import { Entry } from "../../storage/entry.ts";
import { notSupported } from "../../routing.ts";
import { unreachable } from "../../webhook-destination.ts";
import type { Services } from "../context.ts";
import { listOptions, matcher, selectionOf } from "../read.ts";
import type { VirtualResource } from "./index.ts";

const PORTS = { "controller-manager": 10257, scheduler: 10259 } as const;
const PROBE_MS = 20_000;
/** As much of an answer as is told. */
const BODY_MAX = 10 * 1024;

type Part = keyof typeof PORTS;
interface Health {
  readonly status: "True" | "False";
  readonly message?: string;
  readonly error?: string;
}

const OK: Health = { status: "True", message: "ok" };

const COMPONENTS: Readonly<Record<string, (services: Services) => Promise<Health> | Health>> = {
  "controller-manager": (services) => partHealth(services, "controller-manager"),
  scheduler: (services) => partHealth(services, "scheduler"),
  async "etcd-0"({ etcdHealth }) {
    const error = await etcdHealth();
    return error === undefined ? OK : { status: "False", error };
  },
};

export const componentStatuses: VirtualResource = async (services, request, resource) => {
  const { name, verb } = request.info;
  if (verb === "watch") throw notSupported(resource, verb);
  const statusOf = async (component: string) => {
    const { status, message, error } = await COMPONENTS[component]!(services);
    const condition = { type: "Healthy", status, ...(message && { message }), ...(error && { error }) };
    return { kind: "ComponentStatus", apiVersion: "v1", metadata: { name: component }, conditions: [condition] };
  };
  if (verb === "list") {
    const { labelSelector, fieldSelector } = listOptions(request.query);
    const matches = matcher(resource, selectionOf(resource, "", { labelSelector, fieldSelector }));
    const items = await Promise.all(Object.keys(COMPONENTS).map(statusOf));
    const entries = items.map((item) => new Entry("", 0, deepFreeze(item as unknown as KubeObject)));
    return {
      kind: "list",
      resource,
      entries: matches === undefined ? entries : entries.filter(matches),
      metadata: {},
    };
  }
  // Upstream has the singular here.
  if (!Object.hasOwn(COMPONENTS, name)) throw notFound({ group: "", plural: "componentstatus" }, name);
  return { kind: "object", status: 200, object: await statusOf(name), resource };
};

async function partHealth({ options, net, clock }: Services, part: Part): Promise<Health> {
  if (options.partsHere?.includes(part) === true) return OK;
  const base = `https://127.0.0.1:${PORTS[part]}`;
  const client = net.httpClient({ base, tls: { insecureSkipVerify: true }, version: "1.1" });
  using limit = deadline(clock, PROBE_MS, new AbortController().signal);
  try {
    const { status, body } = await client.request({
      method: "GET",
      path: "/healthz",
      headers: {},
      signal: limit.signal,
    });
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    const said = Buffer.concat(chunks).subarray(0, BODY_MAX).toString();
    return status >= 200 && status < 400
      ? { status: "True", message: said }
      : { status: "False", message: `HTTP probe failed with statuscode: ${status}` };
  } catch (error) {
    return { status: "False", message: `Get "${base}/healthz": ${unreachable(error)}` };
  } finally {
    await client.close();
  }
}
