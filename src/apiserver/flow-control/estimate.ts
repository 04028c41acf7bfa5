/** Estimates how many seats a request takes, from what it asks for. Upstream: pkg/util/flowcontrol/request */
import type { RequestInfo } from "../request-info.ts";
import { isTrue } from "../request-info.ts";
import type { Work } from "./queue-set.ts";
import { ONE_SEAT } from "./queue-set.ts";

const LIST_SEATS_MAX = 100;
const MUTATING_SEATS_MAX = 10;
const BYTES_PER_SEAT = 100_000;
/** A list from the cache is written piece by piece: so much of it is in memory at once. */
const CACHED_LIST_BYTES_MAX = 1_000_000;
/** What an object is taken for whose size nobody knows. */
const OBJECT_BYTES_MAX = 1_500_000;
const WATCHERS_PER_SEAT = 10;
const EVENT_MS = 5;

/** What is stored of a resource. */
export interface Stored {
  readonly objects: number;
  /** 0: unknown. */
  readonly averageBytes: number;
}

export interface EstimateInput {
  readonly info: RequestInfo;
  readonly query: URLSearchParams;
  /** The level's bound; 0: none. */
  readonly maxSeats: number;
  /** Undefined where another server has the resource, or none. */
  stored(): Stored | undefined;
  /** Watches that a change would reach. */
  watchers(): number;
}

export function estimateWork(input: EstimateInput): Work {
  switch (input.info.verb) {
    case "list":
    case "watch":
      return input.info.isResourceRequest ? seats(listSeats(input)) : ONE_SEAT;
    case "create":
    case "update":
    case "patch":
    case "delete":
      return input.info.isResourceRequest ? mutatingWork(input) : ONE_SEAT;
    default:
      return ONE_SEAT;
  }
}

const seats = (count: number): Work => (count === 1 ? ONE_SEAT : { ...ONE_SEAT, initialSeats: count });

const capped = (max: number, limit: number) => (max === 0 || max > limit ? limit : max);

function listSeats({ info, query, maxSeats, stored }: EstimateInput): number {
  const max = capped(maxSeats, LIST_SEATS_MAX);
  const limitText = query.get("limit") ?? "";
  // A limit that is no number is refused further on.
  if (limitText !== "" && !/^[+-]?\d+$/.test(limitText)) return max;
  const version = query.get("resourceVersion") ?? "";
  if (info.verb === "watch") {
    const initialEvents = query.has("sendInitialEvents") && isTrue(query.get("sendInitialEvents"));
    if (!initialEvents && version !== "" && version !== "0") return 1;
  }
  const stats = stored();
  if (stats === undefined) return 1;
  const limit = Number(limitText);
  const limited = limit > 0 && limit < stats.objects ? limit : stats.objects;
  const fromCache = info.verb === "watch" || isFromCache(query, version, limit);
  let loaded = limited;
  if (info.name !== "") loaded = 1;
  else if (!fromCache && (info.fieldSelector !== "" || info.labelSelector !== ""))
    loaded = Math.max(limited, Math.floor(stats.objects / 2));
  const size = stats.averageBytes > 0 || stats.objects === 0 ? stats.averageBytes : OBJECT_BYTES_MAX;
  let bytes = loaded * size;
  if (fromCache) bytes = Math.min(bytes, CACHED_LIST_BYTES_MAX);
  return Math.min(Math.max(1, Math.ceil(bytes / BYTES_PER_SEAT)), max);
}

function isFromCache(query: URLSearchParams, version: string, limit: number): boolean {
  if ((query.get("continue") ?? "") !== "") return false;
  const match = query.get("resourceVersionMatch") ?? "";
  if (match === "Exact") return false;
  // Without a match, a limit at a version asks for exactly that one.
  return !(match === "" && limit > 0 && version !== "" && version !== "0");
}

/** A write is over with its answer, but for the watchers that its event goes to. */
function mutatingWork({ info, maxSeats, watchers }: EstimateInput): Work {
  if (info.resource === "serviceaccounts" && info.subresource === "token") return ONE_SEAT;
  const count = watchers();
  if (count < WATCHERS_PER_SEAT) return ONE_SEAT;
  const wanted = Math.ceil(count / WATCHERS_PER_SEAT);
  const finalSeats = Math.min(wanted, capped(maxSeats, MUTATING_SEATS_MAX));
  return { initialSeats: 1, finalSeats, additionalLatencyMs: (wanted * EVENT_MS) / finalSeats };
}
