/**
 * Converts custom objects between versions through the definition's webhook: a ConversionReview over HTTPS, whose response may change anything but
 * the identity of an object.
 * Upstream: apiextensions-apiserver/pkg/apiserver/conversion/webhook_converter.go.
 */
import type { CustomResourceDefinition } from "../../api/generated/apiextensions.v1.ts";
import { readObject } from "../../machinery/codec/custom.ts";
import type { Resource } from "../../machinery/resource.ts";
import { StatusError } from "../../machinery/status.ts";
import { validateAnnotations, validateLabels } from "../../machinery/validation/object-meta.ts";
import type { ClientRequest } from "../../world/net.ts";
import { deadline } from "../../world/time.ts";
import { uuid } from "../../world/world.ts";
import type { Services } from "../registry/context.ts";
import { callFollowing } from "../redirects.ts";
import { destinationOf, unreachable } from "../webhook-destination.ts";
import { structureOf } from "./structure.ts";

const TIMEOUT_SECONDS = 30;
const REVIEW_GROUP = "apiextensions.k8s.io";
const SUPPORTED = ["v1", "v1beta1"];

type Convert = NonNullable<Resource["storage"]["convert"]>;

/** Undefined where objects are the same in all versions. */
export function conversionOf(services: Services, definition: CustomResourceDefinition): Convert | undefined {
  const { conversion, versions } = definition.spec;
  const webhook = conversion?.webhook;
  if (conversion?.strategy !== "Webhook" || webhook === undefined) return undefined;
  return async (objects, apiVersion) => {
    const reviewVersion = webhook.conversionReviewVersions.find((one) => SUPPORTED.includes(one));
    if (reviewVersion === undefined) throw failed("no supported conversion review versions");
    const asked = objects.filter((object) => object.apiVersion !== apiVersion);
    if (asked.length === 0) return objects;
    const { apiVersion: from, kind } = asked[0];
    const name = `conversion webhook for ${from}, Kind=${kind}`;
    const review = {
      kind: "ConversionReview",
      apiVersion: `${REVIEW_GROUP}/${reviewVersion}`,
      request: { uid: uuid(services.random), desiredAPIVersion: apiVersion, objects: asked },
    };
    let answered: readonly any[];
    try {
      answered = convertedObjects(await post(services, webhook.clientConfig, review), review);
    } catch (error) {
      throw failed(`${name} failed: ${error instanceof Error ? error.message : String(error)}`);
    }
    if (answered.length !== asked.length)
      throw failed(`${name} returned ${answered.length} objects, expected ${asked.length}`);
    const known = versions.find((version) => `${definition.spec.group}/${version.name}` === apiVersion);
    const structure = structureOf(known?.schema?.openAPIV3Schema, { defaults: false });
    const made = answered.map((object, i) => readObject(accepted(asked[i], object, apiVersion, name), structure, true));
    let next = 0;
    return objects.map((object) => (object.apiVersion === apiVersion ? object : made[next++]));
  };
}

/** Upstream gives no reason: the error is not a Status of its own. */
function failed(message: string): StatusError {
  return new StatusError("Unknown", message, {}, { code: 500 });
}

/** What a review's answer holds, if it is one. Pure. */
function convertedObjects(
  answer: any,
  { apiVersion, request }: { readonly apiVersion: string; readonly request: { readonly uid: string } },
): readonly any[] {
  const isV1 = apiVersion === `${REVIEW_GROUP}/v1`;
  if (isV1 && (answer?.apiVersion !== apiVersion || answer?.kind !== "ConversionReview"))
    throw new Error(
      `expected webhook response of ${apiVersion}, Kind=ConversionReview, got ${answer?.apiVersion ?? ""}, Kind=${answer?.kind ?? ""}`,
    );
  const { response } = answer;
  if (response === undefined || response === null) throw new Error("no response provided");
  if (isV1 && response.uid !== request.uid)
    throw new Error(`expected response.uid=${JSON.stringify(request.uid)}, got ${JSON.stringify(response.uid ?? "")}`);
  const { status = "", message = "" } = response.result ?? {};
  if (status !== "Success")
    throw new Error(message !== "" ? message : `response.result.status was '${status}', not 'Success'`);
  return response.convertedObjects ?? [];
}

/** The converted object with the original's metadata, of which only labels and annotations may be new. Pure. */
function accepted(original: any, converted: any, apiVersion: string, name: string): any {
  const refuse = (what: string, why: string) => failed(`${name} returned invalid ${what}: ${why}`);
  if (converted?.apiVersion !== apiVersion)
    throw refuse(
      "object at index 0",
      `invalid groupVersion (expected ${apiVersion}, received ${converted?.apiVersion ?? ""})`,
    );
  if (converted.kind !== original.kind)
    throw refuse("object at index 0", `invalid kind (expected ${original.kind}, received ${converted.kind ?? ""})`);
  for (const [field, shown] of IDENTITY) {
    const expected = original.metadata[field] ?? "";
    const got = converted.metadata?.[field] ?? "";
    if (expected !== got) throw refuse("object", `must have the same ${shown}: ${expected} != ${got}`);
  }
  try {
    return { ...converted, metadata: restored(original.metadata, converted.metadata) };
  } catch (error) {
    throw refuse("metadata", (error as Error).message);
  }
}

const IDENTITY = [
  ["name", "name"],
  ["namespace", "namespace"],
  ["uid", "UID"],
] as const;

function restored(original: any, said: any): any {
  if (said === undefined) throw new Error("missing metadata in converted object");
  if (typeof said !== "object" || said === null || Array.isArray(said))
    throw new Error(`invalid metadata of type ${goType(said)} in converted object`);
  const metadata = { ...original };
  for (const field of ["labels", "annotations"] as const) {
    const wanted = said[field];
    delete metadata[field];
    if (wanted === undefined || wanted === null) continue;
    if (typeof wanted !== "object" || Array.isArray(wanted))
      throw new Error(`invalid metadata.${field} of type ${goType(wanted)} in converted object`);
    for (const [key, value] of Object.entries(wanted))
      if (typeof value !== "string")
        throw new Error(`metadata.${field}[${key}] must be a string, but is ${goType(value)} in converted object`);
    const before = original[field] ?? {};
    const keys = Object.keys(wanted);
    if (keys.length !== Object.keys(before).length || keys.some((key) => before[key] !== wanted[key])) {
      const errors =
        field === "labels"
          ? validateLabels(wanted, "metadata.labels")
          : validateAnnotations(wanted, "metadata.annotation");
      if (errors.length > 0)
        throw new Error(errors.length === 1 ? shown(errors[0]!) : `[${errors.map(shown).join(", ")}]`);
    }
    metadata[field] = wanted;
  }
  return metadata;
}

const shown = ({ field, message }: { readonly field: string; readonly message: string }) => `${field}: ${message}`;

function goType(value: unknown): string {
  if (value === null) return "<nil>";
  if (Array.isArray(value)) return "[]interface {}";
  if (typeof value === "number") return Number.isInteger(value) ? "int64" : "float64";
  return { string: "string", boolean: "bool" }[typeof value as "string"] ?? "map[string]interface {}";
}

async function post(
  { webhooks, clock, cluster, random }: Services,
  clientConfig: any,
  review: object,
): Promise<unknown> {
  const { base, path, serverName, url } = destinationOf(clientConfig, TIMEOUT_SECONDS, { cluster, random }, "");
  const ca = Buffer.from(clientConfig.caBundle ?? "", "base64")
    .toString()
    .trim();
  const options = { base, tls: { ...(ca !== "" && { ca }), ...(serverName !== undefined && { serverName }) } };
  const fail = (why: string) => new Error(`Post "${url}": ${why}`);
  using limit = deadline(clock, TIMEOUT_SECONDS * 1000, undefined, fail("context deadline exceeded"));
  const request: ClientRequest = {
    method: "POST",
    path,
    headers: { "content-type": "application/json", accept: "application/json, */*" },
    body: JSON.stringify(review),
    signal: limit.signal,
    repeatable: true,
  };
  const lost = (error: unknown): never => {
    throw limit.signal.aborted ? limit.signal.reason : fail(unreachable(error));
  };
  return await callFollowing(webhooks, { options, request }, "", lost, async (response) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    if (response.status < 200 || response.status >= 300) throw new Error(refused(response.status, text));
    return JSON.parse(text);
  });
}

function refused(status: number, text: string): string {
  if (status === 500 || status === 503)
    return `an error on the server (${JSON.stringify(text.trim().slice(0, 2048))}) has prevented the request from succeeding`;
  if (status === 404) return "the server could not find the requested resource";
  return `the server responded with the status code ${status} but did not return more information`;
}
