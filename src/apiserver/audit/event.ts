/** An audit event as upstream writes it, with its keys in upstream's order. Upstream: pkg/apis/audit/v1/types.go, pkg/audit/{request,format}.go */
import { formatMicroTime } from "../../machinery/meta/time.ts";
import type { UserInfo } from "../authn/user.ts";
import { formatNanoTime } from "../flow-control/nano-time.ts";
import type { Level, Stage } from "./policy.ts";

export interface AuditUser {
  readonly username?: string;
  readonly uid?: string;
  readonly groups?: readonly string[];
  readonly extra?: Readonly<Record<string, readonly string[]>>;
}

/** Fields that aren't known stay out. Times are milliseconds until they are written. */
export interface AuditEvent {
  readonly level: Level;
  readonly auditID: string;
  readonly stage: Stage;
  readonly requestURI: string;
  readonly verb: string;
  readonly user: AuditUser;
  readonly impersonatedUser?: AuditUser;
  readonly authenticationMetadata?: { readonly impersonationConstraint: string };
  readonly sourceIPs?: readonly string[];
  readonly userAgent?: string;
  readonly objectRef?: ObjectRef;
  readonly responseStatus?: object;
  readonly requestObject?: unknown;
  readonly responseObject?: unknown;
  readonly receivedMs: number;
  readonly stageMs: number;
  readonly annotations?: Readonly<Record<string, string>>;
}

export interface ObjectRef {
  readonly resource?: string;
  readonly namespace?: string;
  readonly name?: string;
  readonly uid?: string;
  readonly apiGroup?: string;
  readonly apiVersion?: string;
  readonly resourceVersion?: string;
  readonly subresource?: string;
}

export function auditUser({ name, uid, groups, extra }: UserInfo): AuditUser {
  return {
    username: name,
    ...(uid !== undefined && uid !== "" && { uid }),
    ...(groups.length > 0 && { groups }),
    ...(extra !== undefined && Object.keys(extra).length > 0 && { extra }),
  };
}

/** As JSON: in a list of events `kind` and `apiVersion` are left out. */
export function eventJson(event: AuditEvent, inList = false): string {
  const { receivedMs, stageMs, annotations, ...rest } = event;
  const { level, auditID, stage, requestURI, verb, user, impersonatedUser, authenticationMetadata, ...more } = rest;
  const { sourceIPs, userAgent, objectRef, responseStatus, requestObject, responseObject } = more;
  return JSON.stringify({
    ...(!inList && { kind: "Event", apiVersion: "audit.k8s.io/v1" }),
    level,
    auditID,
    stage,
    requestURI,
    verb,
    user,
    impersonatedUser,
    authenticationMetadata,
    sourceIPs,
    userAgent: userAgent || undefined,
    objectRef,
    responseStatus,
    requestObject,
    responseObject,
    requestReceivedTimestamp: formatMicroTime(receivedMs),
    stageTimestamp: formatMicroTime(stageMs),
    annotations: sorted(annotations),
  });
}

/** Go writes a map in the order of its keys. */
function sorted(map: Readonly<Record<string, string>> | undefined): object | undefined {
  const entries = Object.entries(map ?? {});
  if (entries.length === 0) return undefined;
  return Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** The line of `--audit-log-format=legacy`. */
export function eventLine(event: AuditEvent): string {
  const { user, impersonatedUser, objectRef, responseStatus } = event;
  const quote = (text: string) => JSON.stringify(text);
  const list = (groups: readonly string[]) => groups.map(quote).join(",");
  const groups = user.username && (user.groups ?? []).length > 0 ? list(user.groups!) : "<none>";
  const asGroups = impersonatedUser?.groups === undefined ? "<lookup>" : list(impersonatedUser.groups);
  const response = (responseStatus as { code?: number } | undefined)?.code;
  return [
    `${formatNanoTime(event.receivedMs)} AUDIT:`,
    `id=${quote(event.auditID)}`,
    `stage=${quote(event.stage)}`,
    `ip=${quote(event.sourceIPs?.[0] ?? "<unknown>")}`,
    `method=${quote(event.verb)}`,
    `user=${quote(user.username || "<none>")}`,
    `groups=${quote(groups)}`,
    `as=${quote(impersonatedUser?.username ?? "<self>")}`,
    `asgroups=${quote(asGroups)}`,
    `user-agent=${quote(event.userAgent ?? "")}`,
    `namespace=${quote(objectRef?.namespace || "<none>")}`,
    `uri=${quote(event.requestURI)}`,
    `response="${response ?? "<deferred>"}"`,
  ].join(" ");
}
