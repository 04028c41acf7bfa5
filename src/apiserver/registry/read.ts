/**
 * Get, list and watch. The watch cache serves all three; the resourceVersion in the request says how fresh the result must be.
 * Upstream: pkg/endpoints/handlers/get.go, pkg/storage/cacher/delegator.
 */
import { posix } from "node:path";
import { parseJson } from "../../machinery/codec/json.ts";
import type { Resource } from "../../machinery/resource.ts";
import { badRequest, notFound, StatusError } from "../../machinery/status.ts";
import type { FieldError } from "../../machinery/validation/field-error.ts";
import { fieldForbidden, invalidObject, notSupported } from "../../machinery/validation/field-error.ts";
import { RpcError } from "../../wire/rpc/service.ts";
import { randomInt } from "../../world/world.ts";
import type { ApiRequest, ListResponse, WatchResponse } from "../request.ts";
import { isTrue } from "../request-info.ts";
import type { Entry } from "../storage/entry.ts";
import { prepareViews } from "../storage/entry.ts";
import type { WatchItem, WatchStart } from "../storage/cache-watcher.ts";
import { CacheWatcher, keyTopic, nodeTopic, prefixTopic } from "../storage/cache-watcher.ts";
import { CorruptObject } from "../storage/corrupt.ts";
import { keyFor, prefixFor } from "../storage/keys.ts";
import type { Store } from "../storage/store.ts";
import type { WatchCache } from "../storage/watch-cache.ts";
import { tooLarge } from "../storage/watch-cache.ts";
import type { Services } from "./context.ts";
import type { Predicate } from "./selection.ts";
import { checkGrammar, parseSelection } from "./selection.ts";

/** An object: linearisable without a resourceVersion, from the cache with one. */
export async function get(
  { registry }: Services,
  resource: Resource,
  namespace: string,
  name: string,
  resourceVersion: string,
): Promise<Entry> {
  const { store, cache } = registry.storage(resource);
  const key = keyFor(resource, namespace, name);
  let entry: Entry | undefined;
  // A cache that can't be filled is no reason not to answer.
  if (resourceVersion === "" || (resourceVersion === "0" && cache.failure !== undefined)) {
    entry = await readStored(store, key, cache.get(key));
  } else {
    await cache.waitUntil(parseRevision(resourceVersion));
    entry = cache.get(key);
  }
  if (entry === undefined) throw notFound(resource, name);
  await prepareViews(resource, [entry]);
  return entry;
}

/** What is in etcd now. */
export async function readStored(store: Store, key: string, cached: Entry | undefined): Promise<Entry | undefined> {
  try {
    return (await store.get(key, cached)).entry;
  } catch (error) {
    throw error instanceof CorruptObject ? error.toRead() : error;
  }
}

/** Reads a resourceVersion as upstream's cache does: nonsense is a plain 500 there. */
function parseRevision(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  throw new StatusError("Unknown", unreadable(text), {}, { code: 500 });
}

function unreadable(text: string): string {
  const quoted = JSON.stringify(text);
  return `resourceVersion: Invalid value: ${quoted}: strconv.ParseUint: parsing ${quoted}: invalid syntax`;
}

export interface ListOptions {
  readonly labelSelector: string;
  readonly fieldSelector: string;
  readonly resourceVersion: string;
  readonly resourceVersionMatch: string;
  readonly limit: number;
  readonly continue: string;
  readonly allowWatchBookmarks: boolean;
  readonly sendInitialEvents: boolean | undefined;
  readonly timeoutSeconds: number | undefined;
  /** Asked for as a list, by a path that makes a watch of it: `/api/v1/watch/pods`. */
  readonly isList?: boolean;
}

export function listOptions(query: URLSearchParams): ListOptions {
  const text = (name: string) => query.get(name) ?? "";
  const initial = query.get("sendInitialEvents");
  return {
    labelSelector: text("labelSelector"),
    fieldSelector: text("fieldSelector"),
    resourceVersion: text("resourceVersion"),
    resourceVersionMatch: text("resourceVersionMatch"),
    limit: integer(query, "limit") ?? 0,
    continue: text("continue"),
    allowWatchBookmarks: isTrue(query.get("allowWatchBookmarks")),
    sendInitialEvents: initial === null ? undefined : isTrue(initial),
    timeoutSeconds: integer(query, "timeoutSeconds"),
  };
}

function integer(query: URLSearchParams, name: string): number | undefined {
  const text = query.get(name);
  if (text === null) return undefined;
  const refused = (why: string) => badRequest(`strconv.ParseInt: parsing ${JSON.stringify(text)}: ${why}`);
  if (!/^[+-]?\d+$/.test(text)) throw refused("invalid syntax");
  if (BigInt.asIntN(64, BigInt(text.replace("+", ""))) !== BigInt(text.replace("+", "")))
    throw refused("value out of range");
  return Number(text);
}

export async function list(
  services: Services,
  resource: Resource,
  namespace: string,
  name: string,
  options: ListOptions,
): Promise<ListResponse> {
  const response = await listStored(services, resource, namespace, name, options);
  await prepareViews(resource, response.entries);
  return response;
}

async function listStored(
  services: Services,
  resource: Resource,
  namespace: string,
  name: string,
  options: ListOptions,
): Promise<ListResponse> {
  checkListOptions(options, false);
  const { store, cache } = services.registry.storage(resource);
  const predicate = selectionOf(resource, name, options);
  const single =
    predicate.name !== undefined && options.continue === "" && (resource.scope === "Cluster" || namespace !== "");
  const prefix = single ? keyFor(resource, namespace, predicate.name!) : prefixFor(resource, namespace);
  const matches = matcher(resource, predicate);
  const { resourceVersion, limit } = options;

  const from = options.continue === "" ? undefined : decodeContinue(options.continue, prefix);
  if (from !== undefined && resourceVersion !== "" && resourceVersion !== "0")
    throw badRequest("specifying resource version is not allowed when using continue");
  const wanted = from?.revision ?? (exactAsked(options, single) ? Number(resourceVersion) : undefined);
  const read: ListRead = { resource, prefix, single, predicate, matches, start: from?.start };
  const { counts } = cache;
  const fromEtcd = () => listFromEtcd(services, read, limit, Math.max(wanted ?? 0, 0));
  const paged = async (...page: [entries: readonly Entry[], revision: number, limit: number, count?: () => number]) => {
    const answer = await pageOf(read, ...page);
    counts.listed("cache", page[0].length, answer.entries.length);
    return answer;
  };
  if (wanted !== undefined && wanted >= 0) {
    if (single || wanted === 0) return fromEtcd();
    if (wanted > cache.revision) await cache.waitUntil(wanted);
    if (!cache.reachesBack(wanted)) return fromEtcd();
    return paged(cache.listAt(wanted, prefix, read.start ?? prefix), wanted, limit);
  }
  if (cache.failure !== undefined && ["", "0"].includes(resourceVersion)) return fromEtcd();
  if (resourceVersion === "" || wanted !== undefined) {
    const now = await store.currentRevision(prefix);
    try {
      await cache.waitUntil(now);
      counts.consistent(false);
    } catch (error) {
      if (!(error instanceof StatusError) || error.reason !== "Timeout") throw error;
      // A cache that can't keep up is no reason not to answer.
      counts.consistent(true);
      return fromEtcd();
    }
  } else await cache.waitUntil(parseRevision(resourceVersion));
  // With resourceVersion 0 any state will do, and upstream's cache gives it all at once.
  const page = limit > 0 && resourceVersion !== "0" ? limit : 0;
  // Where nothing is left out, no more is looked at than goes along.
  const entries = cache.list({ prefix }, matches === undefined && page > 0 ? page + 1 : undefined, read.start);
  const count = () => cache.count(prefix, read.start);
  const { revision, state } = cache;
  const isAll = !single && matches === undefined && page === 0 && read.start === undefined;
  const response = await paged(single ? entries.filter(({ key }) => key === prefix) : entries, revision, page, count);
  return isAll ? { ...response, source: { state, prefix } } : response;
}

/** What of a resource is listed. */
interface ListRead {
  readonly resource: Resource;
  readonly prefix: string;
  /** Whether the prefix is the one key there can be. */
  readonly single: boolean;
  readonly predicate: Predicate;
  readonly matches: ((entry: Entry) => boolean) | undefined;
  /** Where a page begins that isn't the first. */
  readonly start: string | undefined;
}

/** A list's page from the cache: of all that is left of the list, or of enough to know that there is more. */
async function pageOf(
  { resource, prefix, matches, predicate }: ListRead,
  entries: readonly Entry[],
  revision: number,
  limit: number,
  count = () => entries.length,
): Promise<ListResponse> {
  if (predicate.fields !== undefined) await prepareViews(resource, entries);
  const whole = { kind: "list", resource, metadata: { resourceVersion: String(revision) } } as const;
  if (limit === 0) return { ...whole, entries: matches === undefined ? entries : entries.filter(matches) };
  const picked: Entry[] = [];
  for (let i = 0; i < entries.length; i++) {
    const entry = entries[i]!;
    if (matches !== undefined && !matches(entry)) continue;
    picked.push(entry);
    if (picked.length < limit || i + 1 === entries.length) continue;
    const metadata = {
      ...whole.metadata,
      // Upstream's cache knows the prefix without the slash at its end.
      continue: encodeContinue(revision, entry.key, prefix.slice(0, -1)),
      ...(matches === undefined && { remainingItemCount: count() - i - 1 }),
    };
    return { ...whole, entries: picked, metadata };
  }
  return { ...whole, entries: picked };
}

/** Exactly one revision is asked for: by name, or by the old rule that a limit with a resourceVersion pins it. */
function exactAsked({ resourceVersion, resourceVersionMatch, limit }: ListOptions, single: boolean): boolean {
  if (resourceVersion === "" || resourceVersion === "0") return false;
  return resourceVersionMatch === "Exact" || (resourceVersionMatch === "" && limit > 0 && !single);
}

/** From the past that only etcd knows, or where the cache can't keep up (0) from now. */
async function listFromEtcd(services: Services, read: ListRead, limit: number, wanted: number): Promise<ListResponse> {
  const { counts } = services.registry.storage(read.resource).cache;
  let fetched = 0;
  const answer = await readFromEtcd(services, read, limit, wanted, (entries) => (fetched += entries));
  counts.listed("etcd", fetched, answer.entries.length);
  return answer;
}

async function readFromEtcd(
  { registry }: Services,
  { resource, prefix, predicate, matches, start }: ListRead,
  limit: number,
  wanted: number,
  fetched: (entries: number) => void,
): Promise<ListResponse> {
  const { store, cache } = registry.storage(resource);
  const known = (key: string) => cache.get(key);
  const picked: Entry[] = [];
  let from = start ?? prefix;
  let revision = wanted;
  try {
    for (;;) {
      const page = await store.list(prefix, { start: from, limit, revision }, known);
      fetched(page.entries.length);
      if (revision === 0) revision = page.revision;
      if (wanted > page.revision) throw tooLarge(wanted, page.revision, 0);
      if (predicate.fields !== undefined) await prepareViews(resource, page.entries);
      for (let i = 0; i < page.entries.length; i++) {
        const entry = page.entries[i]!;
        if (matches === undefined || matches(entry)) picked.push(entry);
        const last = i + 1 === page.entries.length;
        if (limit > 0 && picked.length === limit && (!last || page.more))
          return {
            kind: "list",
            resource,
            entries: picked,
            metadata: {
              resourceVersion: String(revision),
              continue: encodeContinue(revision, entry.key, prefix),
              ...(matches === undefined && { remainingItemCount: page.count - i - 1 }),
            },
          };
      }
      if (!page.more) break;
      from = `${page.entries.at(-1)!.key}\0`;
    }
  } catch (error) {
    if (error instanceof RpcError && error.message.includes("compacted")) throw expired(start, prefix);
    if (error instanceof RpcError && error.message.includes("future revision"))
      throw tooLarge(wanted, cache.revision, 0);
    throw error;
  }
  return { kind: "list", resource, entries: picked, metadata: { resourceVersion: String(revision) } };
}

function expired(start: string | undefined, prefix: string): StatusError {
  if (start === undefined) return new StatusError("Expired", "The resourceVersion for the provided list is too old.");
  const error = new StatusError(
    "Expired",
    "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.",
  );
  const token = encodeContinue(-1, start.replace(/\0$/, ""), prefix);
  const status = error.toStatus.bind(error);
  // The one Status that carries list metadata: where an inconsistent continuation may begin.
  error.toStatus = () => ({ ...status(), metadata: { continue: token } });
  return error;
}

/** Upstream's token: where to go on, and at which revision (-1: whatever is there now). */
function encodeContinue(revision: number, lastKey: string, prefix: string): string {
  const start = `${lastKey.slice(prefix.length)}\0`;
  return Buffer.from(JSON.stringify({ v: "meta.k8s.io/v1", rv: revision, start })).toString("base64url");
}

const TOKEN_FIELDS = [
  ["v", "string", ""],
  ["rv", "int64", 0],
  ["start", "string", ""],
] as const;

/** How Go's reader of JSON calls what it found. */
function goKind(value: unknown): string {
  return Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
}

function decodeContinue(token: string, prefix: string): { readonly revision: number; readonly start: string } {
  const bad = (why: string) => badRequest(`invalid continue token: continue key is not valid${why}`);
  const illegal = /[^\w-]/.exec(token)?.index ?? (token.length % 4 === 1 ? token.length - 1 : -1);
  if (illegal >= 0) throw bad(`: illegal base64 data at input byte ${illegal}`);
  let parsed: unknown;
  try {
    parsed = parseJson(Buffer.from(token, "base64url").toString("latin1"));
  } catch (error) {
    throw bad(`: ${(error as Error).message}`);
  }
  if (typeof parsed !== "object" || Array.isArray(parsed))
    throw bad(`: json: cannot unmarshal ${goKind(parsed)} into Go value of type storage.continueToken`);
  const { v, rv, start } = TOKEN_FIELDS.reduce<Record<string, any>>((fields, [name, type, zero]) => {
    const value = (parsed as Record<string, unknown> | null)?.[name] ?? zero;
    if (typeof value !== typeof zero || (typeof value === "number" && !Number.isInteger(value))) {
      const what = `${goKind(value)}${typeof value === "number" && type === "int64" ? ` ${value}` : ""}`;
      throw bad(`: json: cannot unmarshal ${what} into Go struct field continueToken.${name} of type ${type}`);
    }
    return { ...fields, [name]: value };
  }, {});
  if (v !== "meta.k8s.io/v1") throw bad(`: server does not recognize this encoded version ${v}`);
  if (rv === 0) throw bad(": incorrect encoded start resourceVersion (version meta.k8s.io/v1)");
  if (start === "") throw bad(": encoded start key empty (version meta.k8s.io/v1)");
  const key = start.startsWith("/") ? start : `/${start}`;
  if (posix.normalize(key) !== key || (key.length > 1 && key.endsWith("/"))) throw bad(`: ${start}`);
  return { revision: rv, start: prefix + key.slice(1) };
}

/** Watches without a timeout live half an hour to an hour, so that a restart's reconnections don't come back together. */
const MIN_WATCH_MS = 1_800_000;

export async function watch(
  services: Services,
  resource: Resource,
  namespace: string,
  name: string,
  asked: ListOptions,
  signal: ApiRequest["signal"],
): Promise<WatchResponse> {
  const options = services.featureGates.get("WatchList") === false ? asked : withInitialEvents(asked);
  checkListOptions(options, options.isList !== true);
  const { store, cache } = services.registry.storage(resource);
  const predicate = selectionOf(resource, name, options);
  const prefix = prefixFor(resource, namespace);
  const revision = options.resourceVersion === "" ? undefined : parseRevision(options.resourceVersion);
  const sendInitialEvents = options.sendInitialEvents === true;
  if (cache.failure !== undefined)
    throw new StatusError(
      "TooManyRequests",
      `storage is (re)initializing: failed to list ${goType(resource)}: ${cache.failure.message}`,
      { retryAfterSeconds: RELIST_SECONDS },
    );
  if (!cache.isReady) await cache.waitUntil(0);
  if (sendInitialEvents && revision === undefined) await cache.waitUntil(await store.currentRevision(prefix));
  else if (sendInitialEvents && revision! > 0) await cache.waitUntil(revision!);
  else if (options.sendInitialEvents === undefined && revision === undefined)
    await cache.waitUntil(await store.currentRevision(prefix));
  const converts = resource.storage.convert !== undefined;
  const { fields, ...rest } = predicate;
  // What is converted by others can't be looked into before it is: fields are compared afterwards.
  const matches = matcher(resource, converts ? rest : predicate);
  const start: WatchStart = {
    prefix,
    ...(converts && { prepare: converter(resource, fields === undefined ? undefined : { fields }) }),
    ...(matches !== undefined && { matches }),
    // Without initial events and without a start, the watch begins with what comes next.
    revision: options.sendInitialEvents === false && (revision ?? 0) === 0 ? cache.revision : revision,
    sendInitialEvents,
    bookmarks: options.allowWatchBookmarks,
    ...topicOf(resource, namespace, predicate),
  };
  const { timeoutSeconds = 0 } = options;
  // Where its time is over before it begins, whoever waited for the newest state is told so.
  const late = revision === undefined ? new StatusError("InternalError", "context deadline exceeded") : undefined;
  const watcher = isOverAtOnce(timeoutSeconds) ? over(start, late) : begin(cache, start);
  watcher.closeWith(signal);
  const minSeconds = (services.options.minRequestTimeoutMs ?? MIN_WATCH_MS) / 1000;
  const seconds = timeoutSeconds > 0 ? timeoutSeconds : minSeconds + randomInt(services.random, minSeconds);
  return {
    kind: "watch",
    resource,
    watcher,
    timeoutMs: seconds * 1000,
    bookmarks: options.allowWatchBookmarks,
    revision: () => cache.revision,
  };
}

/** A watch without a start begins with what there is, and says when it has told all of that. */
function withInitialEvents(options: ListOptions): ListOptions {
  const { isList, sendInitialEvents, resourceVersionMatch, resourceVersion } = options;
  const isSaid = isList === true || sendInitialEvents !== undefined || resourceVersionMatch !== "";
  if (isSaid || (resourceVersion !== "" && resourceVersion !== "0")) return options;
  return { ...options, sendInitialEvents: true, resourceVersionMatch: "NotOlderThan" };
}

/** In nanoseconds, as 64 bits hold them; the largest number of seconds is one less than none there. */
function isOverAtOnce(seconds: number): boolean {
  return !Number.isSafeInteger(seconds) || BigInt.asIntN(64, BigInt(seconds) * 1_000_000_000n) < 0n;
}

const RELIST_SECONDS = 30;

/** As Go calls a kind inside the server. */
const goType = ({ group, kind, storage }: Resource): string =>
  storage.convert === undefined ? `*${group.split(".")[0] || "core"}.${kind}` : "*unstructured.Unstructured";

/** Converts what a watcher has waiting, all at once, and leaves out what its fields don't match. */
function converter(
  resource: Resource,
  selection: Predicate | undefined,
): (items: readonly WatchItem[]) => Promise<readonly WatchItem[]> {
  const matches = selection && matcher(resource, selection);
  return async (items) => {
    const events = items.filter((item) => item.type !== "BOOKMARK");
    const before = matches === undefined ? [] : events.flatMap(({ source }) => source?.old ?? []);
    await prepareViews(resource, [...events.map(({ entry }) => entry), ...before]);
    if (matches === undefined) return items;
    return items.flatMap((item): readonly WatchItem[] => {
      if (item.type === "BOOKMARK") return [item];
      const is = item.type !== "DELETED" && matches(item.entry);
      const old = item.source?.old;
      const was = item.type !== "ADDED" && old !== undefined && matches(old);
      if (is) return [{ ...item, type: was ? "MODIFIED" : "ADDED" }];
      return was ? [{ ...item, type: "DELETED" }] : [];
    });
  };
}

/** The narrowest thing that all the watch can see has in common. */
function topicOf(resource: Resource, namespace: string, { name, nodeName }: Predicate): { readonly topic?: string } {
  if (name !== undefined && (resource.scope === "Cluster" || namespace !== ""))
    return { topic: keyTopic(keyFor(resource, namespace, name)) };
  if (nodeName !== undefined && resource.kind === "Pod") return { topic: nodeTopic(nodeName) };
  return namespace === "" ? {} : { topic: prefixTopic(prefixFor(resource, namespace)) };
}

/** A watch that can't begin where it should is one that says so and ends. */
function begin(cache: WatchCache, start: WatchStart): CacheWatcher {
  try {
    return cache.watch(start);
  } catch (error) {
    return over(start, error);
  }
}

function over(start: WatchStart, error: unknown): CacheWatcher {
  const watcher = new CacheWatcher(start, 0, () => {});
  watcher.close(error);
  return watcher;
}

export function selectionOf(
  resource: Resource,
  name: string,
  options: Pick<ListOptions, "labelSelector" | "fieldSelector">,
): Predicate {
  const predicate = parseSelection(resource, options.labelSelector, options.fieldSelector);
  if (name === "") return predicate;
  if (/[^,]/.test(options.fieldSelector) && predicate.name !== name)
    throw badRequest("fieldSelector metadata.name doesn't match requested name");
  return { ...predicate, name };
}

/** Whether an entry is in a selection; undefined where everything is. */
export function matcher(resource: Resource, predicate: Predicate): ((entry: Entry) => boolean) | undefined {
  const { name, labels, fields } = predicate;
  if (name === undefined && labels === undefined && fields === undefined) return undefined;
  return (entry) => {
    if (name !== undefined && entry.stored.metadata.name !== name) return false;
    if (labels !== undefined && !labels(entry.stored.metadata.labels ?? {})) return false;
    return fields === undefined || fields(entry.view(resource));
  };
}

function checkListOptions(options: ListOptions, isWatch: boolean): void {
  // What can't be read at all comes before what doesn't go together.
  checkGrammar(options.labelSelector);
  const { resourceVersion, resourceVersionMatch: match, sendInitialEvents } = options;
  const errors: FieldError[] = [];
  const field = "resourceVersionMatch";
  const pinned = () =>
    errors.push(fieldForbidden(field, "resourceVersionMatch is forbidden when continue is provided"));
  if (isWatch) {
    if (sendInitialEvents !== undefined && match !== "NotOlderThan")
      errors.push(fieldForbidden(field, "sendInitialEvents requires setting resourceVersionMatch to NotOlderThan"));
    if (match !== "") {
      if (sendInitialEvents === undefined)
        errors.push(
          fieldForbidden(field, "resourceVersionMatch is forbidden for watch unless sendInitialEvents is provided"),
        );
      if (match !== "NotOlderThan") errors.push(notSupported(field, match, ["NotOlderThan"]));
      if (options.continue !== "") pinned();
    }
  } else {
    if (match !== "") {
      if (resourceVersion === "")
        errors.push(fieldForbidden(field, "resourceVersionMatch is forbidden unless resourceVersion is provided"));
      if (options.continue !== "") pinned();
      if (match !== "Exact" && match !== "NotOlderThan")
        errors.push(notSupported(field, match, ["Exact", "NotOlderThan", ""]));
      if (match === "Exact" && resourceVersion === "0")
        errors.push(fieldForbidden(field, 'resourceVersionMatch "exact" is forbidden for resourceVersion "0"'));
    }
    if (sendInitialEvents !== undefined)
      errors.push(fieldForbidden("sendInitialEvents", "sendInitialEvents is forbidden for list"));
  }
  if (errors.length > 0) throw invalidObject("meta.k8s.io", "ListOptions", "", errors);
  if (isWatch || options.isList === true) return;
  if (options.continue === "" && resourceVersion !== "" && !/^\d+$/.test(resourceVersion))
    throw badRequest(`invalid resource version: ${unreadable(resourceVersion)}`);
}
