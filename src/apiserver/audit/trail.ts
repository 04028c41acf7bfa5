/** The audit event of one request: what is recorded on the way, and emitted at each stage. Upstream: pkg/audit/{context,request}.go */
import type { Resource } from "../../machinery/resource.ts";
import { StatusError } from "../../machinery/status.ts";
import type { AnyObject } from "../admission/framework.ts";
import type { UserInfo } from "../authn/user.ts";
import type { ApiRequest, ApiResponse, Outcome } from "../request.ts";
import { listObject } from "../responses.ts";
import { orderedStatus } from "../status-order.ts";
import type { AuditEvent, AuditUser, ObjectRef } from "./event.ts";
import { auditUser } from "./event.ts";
import type { Level, Stage, Verdict } from "./policy.ts";
import { LEVELS } from "./policy.ts";

const USER_AGENT_MAX = 1024;

export class AuditTrail {
  readonly #verdict: Verdict;
  readonly #auditId: string;
  readonly #uri: string;
  readonly #verb: string;
  readonly #user: AuditUser;
  readonly #receivedMs: number;
  readonly #sourceIps: readonly string[];
  readonly #userAgent: string;
  #objectRef: ObjectRef | undefined;
  #impersonated: AuditUser | undefined;
  #constraint = "";
  #requestObject: unknown;
  #responseObject: unknown;
  #responseStatus: object | undefined;
  readonly #annotations: Record<string, string> = {};

  constructor(verdict: Verdict, request: ApiRequest, auditId: string, receivedMs: number) {
    const { info, exchange, query, user } = request;
    this.#verdict = verdict;
    this.#auditId = auditId;
    const search = query.toString();
    this.#uri = exchange?.request.url ?? (search === "" ? request.path : `${request.path}?${search}`);
    this.#verb = info.verb;
    this.#user = user === undefined ? {} : auditUser(user);
    this.#receivedMs = receivedMs;
    this.#sourceIps = sourceIps(request);
    const agent = request.header("user-agent") ?? "";
    this.#userAgent = agent.length > USER_AGENT_MAX ? `${agent.slice(0, USER_AGENT_MAX)}...TRUNCATED` : agent;
    if (info.isResourceRequest)
      this.#objectRef = without({
        resource: info.resource,
        namespace: info.namespace,
        name: info.name,
        apiGroup: info.apiGroup,
        apiVersion: info.apiVersion,
        subresource: info.subresource,
      });
  }

  /** Whether events of this level say so much. */
  covers(level: Level): boolean {
    return LEVELS.indexOf(this.#verdict.level) >= LEVELS.indexOf(level);
  }

  impersonated(user: UserInfo, constraint = ""): void {
    this.#impersonated = auditUser(user);
    this.#constraint = constraint;
  }

  /** The first value of a key stays. */
  annotate(key: string, value: string, level: Level = "Metadata"): void {
    if (this.covers(level) && !(key in this.#annotations)) this.#annotations[key] = value;
  }

  /** What the client sent, decoded. */
  requestObject(object: any): void {
    const { namespace, name, uid, resourceVersion } = object?.metadata ?? {};
    this.#objectRef = {
      ...without({ namespace, name, uid, resourceVersion }),
      ...this.#objectRef,
    };
    if (this.covers("Request")) this.#requestObject = this.#shown(object);
  }

  requestPatch(patch: unknown): void {
    if (this.covers("Request")) this.#requestObject = patch;
  }

  /** What the handler gives back, before it is written. */
  response(response: ApiResponse): void {
    if (response.kind === "object") {
      const { object, status } = response;
      if (isStatus(object)) this.#responseStatus = { ...statusOf(object), code: status };
      if (this.covers("RequestResponse")) this.#responseObject = this.#shown(object);
    } else if (response.kind === "list" && this.covers("RequestResponse"))
      this.#responseObject = this.#shown(itemsUnnamed(listObject(response), response.resource));
  }

  /** How it ended, for the client. */
  outcome({ code, error }: Outcome): void {
    if (error instanceof StatusError) {
      const status = orderedStatus(error);
      this.#responseStatus = statusOf(status);
      if (this.covers("RequestResponse")) this.#responseObject = status;
    } else if (error !== undefined) {
      const message = `APIServer panic'd: ${error instanceof Error ? error.message : String(error)}`;
      this.#responseStatus = {
        metadata: {},
        status: "Failure",
        message,
        reason: "InternalError",
        code: 500,
      };
    } else this.#responseStatus ??= { metadata: {}, code };
  }

  omits(stage: Stage): boolean {
    return this.#verdict.omitStages.has(stage);
  }

  event(stage: Stage, nowMs: number): AuditEvent {
    const annotations = { ...this.#annotations };
    return {
      level: this.#verdict.level,
      auditID: this.#auditId,
      stage,
      requestURI: this.#uri,
      verb: this.#verb,
      user: this.#user,
      ...(this.#impersonated && { impersonatedUser: this.#impersonated }),
      ...(this.#constraint !== "" && { authenticationMetadata: { impersonationConstraint: this.#constraint } }),
      sourceIPs: this.#sourceIps,
      userAgent: this.#userAgent,
      ...(this.#objectRef && { objectRef: ordered(this.#objectRef) }),
      ...(this.#responseStatus && { responseStatus: this.#responseStatus }),
      ...(this.#requestObject !== undefined && { requestObject: this.#requestObject }),
      ...(this.#responseObject !== undefined && { responseObject: this.#responseObject }),
      receivedMs: this.#receivedMs,
      stageMs: stage === "RequestReceived" ? this.#receivedMs : nowMs,
      annotations,
    };
  }

  /** Without what the policy leaves out. */
  #shown(object: any): unknown {
    if (!this.#verdict.omitManagedFields) return object;
    if (Array.isArray(object?.items)) return { ...object, items: object.items.map(withoutManagedFields) };
    return withoutManagedFields(object);
  }
}

/** In a list of a built-in kind the items don't say what they are. */
function itemsUnnamed(list: object, { schema }: Resource): object {
  if (schema.name === undefined) return list;
  const { items, ...rest } = list as { readonly items: readonly AnyObject[] };
  return { ...rest, items: items.map(({ kind: _kind, apiVersion: _apiVersion, ...item }) => item) };
}

function withoutManagedFields(object: any): unknown {
  if (object?.metadata?.managedFields === undefined) return object;
  const { managedFields: _managedFields, ...metadata } = object.metadata;
  return { ...object, metadata };
}

function isStatus(object: unknown): object is { readonly kind: "Status" } {
  return (object as { kind?: string } | undefined)?.kind === "Status";
}

/** Of a Status only what is bounded. */
function statusOf(status: any): object {
  const { status: word, message, reason, details, code } = status;
  return {
    metadata: {},
    ...without({ status: word, message, reason }),
    ...(details !== undefined && {
      details: Object.fromEntries(Object.entries(details).filter(([, value]) => value !== "")),
    }),
    code,
  };
}

function without<T extends Readonly<Record<string, string | undefined>>>(fields: T): Partial<T> {
  return Object.fromEntries(
    Object.entries(fields).filter(([, value]) => value !== undefined && value !== ""),
  ) as Partial<T>;
}

function ordered(ref: ObjectRef): ObjectRef {
  const { resource, namespace, name, uid, apiGroup, apiVersion, resourceVersion, subresource } = ref;
  return without({ resource, namespace, name, uid, apiGroup, apiVersion, resourceVersion, subresource });
}

/** What proxies say, and at the end who is really at the other side. */
function sourceIps(request: ApiRequest): readonly string[] {
  const remote = request.peer?.address.host ?? "::1";
  const forwarded = (request.header("x-forwarded-for") ?? "")
    .split(",")
    .map((text) => text.trim())
    .filter((text) => IP.test(text));
  const real = (request.header("x-real-ip") ?? "").trim();
  const ips = [...forwarded];
  if (IP.test(real) && !ips.includes(real)) ips.push(real);
  if (ips.at(-1) !== remote) ips.push(remote);
  return ips;
}
const IP = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$/;
