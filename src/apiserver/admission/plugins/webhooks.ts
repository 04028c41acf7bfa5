/**
 * Admission webhooks: AdmissionReview over HTTPS. Mutating webhooks are called one after another in the order of their names, validating ones in
 * parallel.
 * Upstream: staging/src/k8s.io/apiserver/pkg/admission/plugin/webhook.
 */
import { applyJsonPatch } from "../../../machinery/patch/json-patch.ts";
import { DecodeError } from "../../../machinery/codec/decode.ts";
import { syntaxError } from "../../../machinery/codec/json-text.ts";
import { StatusError } from "../../../machinery/status.ts";
import type { ClientRequest } from "../../../world/net.ts";
import { deadline } from "../../../world/time.ts";
import { uuid } from "../../../world/world.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject, PluginConfiguration } from "../framework.ts";
import type { Half } from "../metrics.ts";
import { requestOf, timedMatch } from "../expressions.ts";
import { takeObject } from "../mutation.ts";
import { Rounds } from "../reinvocation.ts";
import { askedAs, seenAs } from "../selection.ts";
import { defineAdmission, refuse } from "../framework.ts";
import { callFollowing } from "../../redirects.ts";
import { destinationOf, unreachable } from "../../webhook-destination.ts";

const GROUP = "admissionregistration.k8s.io";
const MUTATING = `mutatingwebhookconfigurations.${GROUP}`;
const VALIDATING = `validatingwebhookconfigurations.${GROUP}`;
const DEFAULT_TIMEOUT_SECONDS = 10;

interface Webhook {
  readonly configuration: string;
  readonly hook: AnyObject;
}

export const mutatingWebhook = defineAdmission({
  name: "MutatingAdmissionWebhook",
  onByDefault: true,
  reads: ["namespaces", MUTATING],
  handles: { operations: ["CREATE", "UPDATE", "DELETE", "CONNECT"] },
  configure: ({ identify }) => ({
    admit(request, context) {
      const hooks = hooksFor(request, context, MUTATING);
      return hooks.length === 0 ? undefined : mutateAll(hooks, request, { ...context, half: "admit", identify });
    },
  }),
});

/** What is known where a webhook is called. */
interface Calling extends AdmissionContext {
  readonly half: Half;
  /** What this server shows to it. */
  readonly identify: PluginConfiguration["identify"];
}

async function mutateAll(hooks: readonly Webhook[], request: AdmissionRequest, context: Calling): Promise<void> {
  const rounds = (request.rounds ??= new Rounds());
  const reinvocable = rounds.of("MutatingAdmissionWebhook", request);
  reinvocable.begin();
  for (const [index, webhook] of hooks.entries()) {
    const { configuration, hook } = webhook;
    const name = `${configuration}/${hook.name}`;
    if (!reinvocable.isAsked(name)) continue;
    const seen = await seenBy(hook, request, context, "admit");
    if (seen === undefined) continue;
    const before = JSON.stringify(request.object);
    await mutate(webhook, request, seen, context, `round_${rounds.isAgain ? 1 : 0}_index_${index}`);
    reinvocable.asked(name, hook.reinvocationPolicy, before !== JSON.stringify(request.object));
  }
  reinvocable.end();
}

export const validatingWebhook = defineAdmission({
  name: "ValidatingAdmissionWebhook",
  onByDefault: true,
  reads: ["namespaces", VALIDATING],
  handles: { operations: ["CREATE", "UPDATE", "DELETE", "CONNECT"] },
  configure: ({ identify }) => ({
    validate(request, context) {
      const hooks = hooksFor(request, context, VALIDATING);
      return hooks.length === 0 ? undefined : validateAll(hooks, request, { ...context, half: "validate", identify });
    },
  }),
});

async function validateAll(all: readonly Webhook[], request: AdmissionRequest, context: Calling): Promise<void> {
  const hooks: { readonly hook: AnyObject; readonly seen: AdmissionRequest }[] = [];
  for (const { hook } of all) {
    const seen = await seenBy(hook, request, context, "validate");
    if (seen !== undefined) hooks.push({ hook, seen });
  }
  await Promise.all(
    hooks.map(async ({ hook, seen }, index) => {
      const place = `failed-open.validating.webhook.admission.k8s.io/round_0_index_${index}`;
      await call(hook, request, seen, context, place);
    }),
  );
}

/** All webhooks, by the names of their configurations; none for the objects that configure them, lest one lock itself out. */
function hooksFor(request: AdmissionRequest, { cluster }: AdmissionContext, plural: string): readonly Webhook[] {
  if (request.resource.group === GROUP) return [];
  return cluster
    .list(plural)
    .flatMap((configuration) =>
      (configuration.webhooks ?? []).map((hook: AnyObject) => ({ configuration: configuration.metadata.name, hook })),
    );
}

/** The request as a webhook sees it, in the version that its rules name; undefined where it isn't asked. */
async function seenBy(
  hook: AnyObject,
  request: AdmissionRequest,
  context: AdmissionContext,
  half: Half,
): Promise<AdmissionRequest | undefined> {
  const resource = askedAs(hook, hook.rules ?? [], request, context);
  if (resource === undefined) return undefined;
  const seen = await seenAs(resource, request, context);
  if ((hook.matchConditions ?? []).length === 0) return seen;
  const result = await timedMatch(context, { name: hook.name, kind: "webhook", half }, hook, seen);
  if ("error" in result) throw refuse(request, result.error);
  return result.matches ? seen : undefined;
}

/** `place` says in the audit which call it was. */
async function mutate(
  { configuration, hook }: Webhook,
  request: AdmissionRequest,
  seen: AdmissionRequest,
  context: Calling,
  place: string,
): Promise<void> {
  const note = (mutated: boolean) =>
    request.annotate?.(
      `mutation.webhook.admission.k8s.io/${place}`,
      JSON.stringify({ configuration, webhook: hook.name, mutated }),
    );
  const response = await call(hook, request, seen, context, `failed-open.mutation.webhook.admission.k8s.io/${place}`);
  if (response?.patch === undefined) {
    note(false);
    return;
  }
  const { patch } = response;
  if (patch.length === 0) {
    note(false);
    return;
  }
  if (request.object === undefined)
    throw internal(
      `admission webhook ${JSON.stringify(hook.name)} attempted to modify the object, which is not supported for this operation`,
    );
  const before = JSON.stringify(request.object);
  try {
    takeObject(seen, applyJsonPatch(seen.object, patch), context);
  } catch (error) {
    if (error instanceof StatusError && error.cause instanceof Error) throw internal(error.cause.message);
    throw error instanceof DecodeError ? internal(error.message) : error;
  }
  if (seen !== request)
    request.object =
      (seen.object.kind ?? seen.resource.kind) === seen.resource.kind
        ? structuredClone(await context.carryOver(seen.object, seen.resource, request.resource))
        : seen.object;
  note(before !== JSON.stringify(request.object));
  request.annotate?.(
    `patch.webhook.admission.k8s.io/${place}`,
    JSON.stringify({ configuration, webhook: hook.name, patch, patchType: "JSONPatch" }),
    "Request",
  );
}

function internal(why: string): StatusError {
  return new StatusError("InternalError", `Internal error occurred: ${why}`, { causes: [{ message: why }] });
}

/** Undefined where the webhook can't be reached and its policy is to go on without it. */
async function call(
  hook: AnyObject,
  request: AdmissionRequest,
  seen: AdmissionRequest,
  context: Calling,
  /** What the audit says where it goes on without. */
  failedOpen: string,
): Promise<AnyObject> {
  if (request.dryRun && !["None", "NoneOnDryRun"].includes(hook.sideEffects))
    throw new StatusError("BadRequest", `admission webhook ${JSON.stringify(hook.name)} does not support dry run`);
  const seconds: number = hook.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS;
  const { metrics, clock, half } = context;
  const { operation } = request;
  const started = clock.monotonic();
  const observe = (rejected: boolean, code: number) =>
    metrics.webhook(hook.name, half, operation, rejected, code, clock.monotonic() - started);
  let response: AnyObject;
  try {
    const asked = review(hook, seen, context);
    response = verified(await exchange(hook, asked, seconds, request.signal, context), asked, half === "admit");
  } catch (error) {
    const ignored = hook.failurePolicy === "Ignore";
    observe(!ignored, error instanceof Answered ? error.code : 0);
    if (ignored) {
      metrics.webhookFailOpen(hook.name, half);
      request.annotate?.(failedOpen, hook.name);
      context.log.info("Failed calling webhook, failing open", { webhook: hook.name, error: String(error) });
      return undefined;
    }
    metrics.webhookRejection(hook.name, half, operation, "calling_webhook_error", 0);
    if (error instanceof StatusError) throw error;
    const why = `failed calling webhook ${JSON.stringify(hook.name)}: ${error instanceof Error ? error.message : String(error)}`;
    throw internal(why);
  }
  for (const [key, value] of Object.entries<string>(response.auditAnnotations ?? {}))
    request.annotate?.(`${hook.name}/${key}`, value);
  for (const warning of response.warnings ?? []) request.warn(warning);
  if (response.allowed === true) {
    observe(false, 200);
    return response;
  }
  const refusal = denial(hook, response.status ?? {});
  observe(true, refusal.code);
  metrics.webhookRejection(hook.name, half, operation, "no_error", refusal.code);
  throw refusal;
}

/** An answer that is none. */
class Answered extends Error {
  readonly code: number;
  constructor(code: number, message: string) {
    super(message);
    this.code = code;
  }
}

function denial(hook: AnyObject, status: AnyObject): StatusError {
  const head = `admission webhook ${JSON.stringify(hook.name)} denied the request`;
  const message = status.message
    ? `${head}: ${status.message}`
    : status.reason
      ? `${head}: ${status.reason}`
      : `${head} without explanation`;
  return new Refusal(message, status);
}

/** Says what the webhook says, reasons included that nobody else knows. */
class Refusal extends StatusError {
  readonly #reason: string;
  constructor(message: string, { reason = "", details, code = 400 }: AnyObject) {
    super(StatusError.from({ reason } as never).reason, message, details, {
      code: Math.max(code, 400),
      isForeign: true,
    });
    this.#reason = reason;
  }

  override toStatus() {
    const { code, ...status } = super.toStatus();
    return { ...status, ...(this.#reason !== "" && { reason: this.#reason as never }), code };
  }
}

const VERSIONS = ["v1", "v1beta1"];

/** In the first version that the webhook names of those there are. */
function review(hook: AnyObject, seen: AdmissionRequest, { random }: AdmissionContext): AnyObject {
  const asked: readonly string[] = hook.admissionReviewVersions ?? ["v1"];
  const version = asked.find((one) => VERSIONS.includes(one));
  if (version === undefined) throw new Error("webhook does not accept known AdmissionReview versions (v1, v1beta1)");
  const { object, oldObject } = seen;
  const { dryRun, options, ...what } = requestOf(seen);
  return {
    kind: "AdmissionReview",
    apiVersion: `admission.k8s.io/${version}`,
    request: {
      uid: uuid(random),
      ...what,
      object: object ?? null,
      oldObject: oldObject ?? null,
      dryRun,
      options,
    },
  };
}

async function exchange(
  hook: AnyObject,
  asked: AnyObject,
  seconds: number,
  signal: AbortSignal,
  context: Calling,
): Promise<AnyObject> {
  const { base, path, serverName, url } = destinationOf(hook.clientConfig, seconds, context);
  const ca: string | undefined =
    hook.clientConfig.caBundle && Buffer.from(hook.clientConfig.caBundle, "base64").toString();
  const target = new URL(url).port === "" ? `${new URL(url).hostname}:443` : new URL(url).host;
  const shown = context.identify?.(target);
  const options = {
    base,
    tls: { ...(ca !== undefined && { ca }), ...(serverName !== undefined && { serverName }), ...shown?.tls },
  };
  const fail = (why: string) => new Error(`failed to call webhook: Post "${url}": ${why}`);
  using limit = deadline(context.clock, seconds * 1000, signal, fail("context deadline exceeded"));
  const request: ClientRequest = {
    method: "POST",
    path,
    headers: {
      "content-type": "application/json",
      accept: "application/json, */*",
      ...(shown?.token !== undefined && { authorization: `Bearer ${shown.token}` }),
    },
    body: JSON.stringify(asked),
    signal: limit.signal,
    repeatable: true,
  };
  const lost = (error: unknown): never => {
    throw limit.signal.aborted ? limit.signal.reason : fail(unreachable(error));
  };
  return await callFollowing(context.webhooks, { options, request }, target, lost, async (response) => {
    const chunks: Uint8Array[] = [];
    for await (const chunk of response.body) chunks.push(chunk);
    const text = Buffer.concat(chunks).toString();
    const failed = (why: string) => new Answered(response.status, `failed to call webhook: ${why}`);
    if (response.status < 200 || response.status >= 300) throw failed(errorOf(response.status, text));
    if (text === "")
      throw failed(`0-length response with status code: ${response.status} and content type: application/json`);
    const broken = syntaxError(text);
    if (broken !== undefined) throw failed(`couldn't get version/kind; json parse error: ${broken}`);
    return JSON.parse(text) as AnyObject;
  });
}

/** What client-go makes of an answer that is no success. */
function errorOf(status: number, text: string): string {
  try {
    const { kind, message } = JSON.parse(text);
    if (kind === "Status" && typeof message === "string" && message !== "") return message;
  } catch {
    // Plain text: the code says it.
  }
  const words: Readonly<Record<number, string>> = {
    400: "the server rejected our request for an unknown reason",
    401: "the server has asked for the client to provide credentials",
    403: `${text.trim() || "unknown"}`,
    404: "the server could not find the requested resource",
    405: "the server does not allow this method on the requested resource",
    409: "the server reported a conflict",
    429: "the server has received too many requests and has asked us to try again later",
    500: `an error on the server (${JSON.stringify(text.trim() || "unknown")}) has prevented the request from succeeding`,
    503: "the server is currently unable to handle the request",
    504: `the server was unable to return a response in the time allotted, but may still be processing the request`,
  };
  return words[status] ?? `the server responded with the status code ${status} but did not return more information`;
}

/** The response in an answer, if it is one to what was asked. */
function verified(answer: AnyObject, asked: AnyObject, mutating: boolean): AnyObject {
  const invalid = (why: string) => new Error(`received invalid webhook response: ${why}`);
  const { apiVersion = "", kind = "", response } = answer;
  const old = asked.apiVersion === "admission.k8s.io/v1beta1";
  if (apiVersion !== "" && kind !== "" && (apiVersion !== asked.apiVersion || kind !== "AdmissionReview")) {
    const version = apiVersion.split("/").at(-1);
    const known = kind === "AdmissionReview" && /^admission\.k8s\.io\/v1(beta1)?$/.test(apiVersion);
    throw new Error(
      `failed to call webhook: ${known ? `converting (${version}.${kind}) to (${asked.apiVersion.split("/")[1]}.AdmissionReview): unknown conversion` : `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/runtime/scheme.go:111"`}`,
    );
  }
  if (response === undefined || response === null) throw invalid("webhook response was absent");
  const { patch = "", patchType } = response;
  // The old version asked for neither kind nor uid.
  if (!old) {
    if (response.uid !== asked.request.uid)
      throw invalid(`expected response.uid="${asked.request.uid}", got ${JSON.stringify(response.uid ?? "")}`);
    if (apiVersion !== asked.apiVersion || kind !== "AdmissionReview") {
      const got = apiVersion.includes("/") ? apiVersion : `/${apiVersion}`;
      throw invalid(`expected webhook response of ${asked.apiVersion}, Kind=AdmissionReview, got ${got}, Kind=${kind}`);
    }
    if (!mutating && patch !== "") throw invalid("validating webhook may not return response.patch");
    if (!mutating && patchType !== undefined) throw invalid("validating webhook may not return response.patchType");
    if (patch !== "" && patchType === undefined)
      throw invalid("webhook returned response.patch but not response.patchType");
    if (patch === "" && patchType !== undefined)
      throw invalid("webhook returned response.patchType but not response.patch");
    if (patchType === "") throw invalid('webhook returned invalid response.patchType of ""');
  }
  if (patch === "" || response.allowed !== true) return { ...response, patch: undefined };
  const text = Buffer.from(patch, "base64").toString();
  const undecodable = (why: string) => new Error(`received undecodable patch in webhook response: ${why}`);
  const broken = syntaxError(text);
  if (broken !== undefined) throw undecodable(broken);
  const operations: unknown = JSON.parse(text);
  if (operations === null) return { ...response, patch: [] };
  if (!Array.isArray(operations)) {
    const shape =
      typeof operations === "object" ? "object" : typeof operations === "boolean" ? "bool" : typeof operations;
    throw undecodable(`json: cannot unmarshal ${shape} into Go value of type jsonpatch.Patch`);
  }
  if (operations.length > 0 && !old && patchType !== "JSONPatch")
    throw new Error(`unsupported patch type ${JSON.stringify(patchType)}`);
  return { ...response, patch: operations };
}
