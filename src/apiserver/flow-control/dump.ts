/** The present contents of the queues as tables, for `/debug/api_priority_and_fairness/`. Upstream: pkg/util/flowcontrol/apf_controller_debug.go */
import { formatNanoTime } from "./nano-time.ts";
import { formatDuration } from "../../machinery/meta/time.ts";
import type { ApiRequest, ApiResponse } from "../request.ts";
import { text } from "../request.ts";
import type { FlowControl, Level } from "./flow-control.ts";
import type { Ticket } from "./queue-set.ts";

/** Undefined where there is no such page. `wallMs` turns the scheduler's clock into the wall's. */
export function dumpPage(
  flow: FlowControl,
  path: string,
  query: URLSearchParams,
  wallMs: (monotonic: number) => number,
): ApiResponse | undefined {
  const levels = [...flow.levels.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  switch (path.slice("/debug/api_priority_and_fairness/".length)) {
    case "dump_priority_levels":
      return page(priorityLevels(levels));
    case "dump_queues":
      return page(queues(levels));
    case "dump_requests":
      return page(requests(levels, (query.get("includeRequestDetails") ?? "") !== "", wallMs));
    default:
      return undefined;
  }
}

const page = (rows: readonly (readonly string[])[]): ApiResponse => text(200, tabulate(rows));

/** Cells end in a comma and are padded to the widest of their column, the last but for it. */
export function tabulate(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]!.map((_, column) => Math.max(8, ...rows.map((row) => row[column]!.length + 2)));
  return rows
    .map((row) =>
      row.map((cell, column) => (column === row.length - 1 ? cell : `${cell},`.padEnd(widths[column]!))).join(""),
    )
    .map((line) => `${line}\n`)
    .join("");
}

function priorityLevels(levels: readonly Level[]): string[][] {
  return [
    [
      "PriorityLevelName",
      "ActiveQueues",
      "IsIdle",
      "IsQuiescing",
      "WaitingRequests",
      "ExecutingRequests",
      "DispatchedRequests",
      "RejectedRequests",
      "TimedoutRequests",
      "CancelledRequests",
    ],
    ...levels.map(({ name, queues, quiescing }) => [
      name,
      String(queues.queues.filter(({ waiting }) => waiting.length > 0).length),
      String(queues.idle),
      String(quiescing),
      String(queues.waiting),
      String(queues.executing),
      String(queues.dispatched),
      String(queues.rejected),
      String(queues.timedOut),
      String(queues.cancelled),
    ]),
  ];
}

const seatSeconds = (value: number) => `${value.toFixed(8)}ss`;

function queues(levels: readonly Level[]): string[][] {
  return [
    [
      "PriorityLevelName",
      "Index",
      "PendingRequests",
      "ExecutingRequests",
      "SeatsInUse",
      "NextDispatchR",
      "InitialSeatsSum",
      "MaxSeatsSum",
      "TotalWorkSum",
    ],
    ...levels.flatMap(({ name, queues: set }) =>
      set.queues.map((queue) => [
        name,
        String(queue.index),
        String(queue.waiting.length),
        String(queue.executing.size),
        String(queue.seatsInUse),
        seatSeconds(queue.nextDispatchR),
        String(queue.initialSeatsWaiting),
        String(queue.seatsWaiting),
        seatSeconds(queue.workWaiting),
      ]),
    ),
  ];
}

function requests(
  levels: readonly Level[],
  details: boolean,
  wallMs: (monotonic: number) => number,
): readonly string[][] {
  const row = (level: string, queue: number, place: number, ticket: Ticket): string[] => {
    const { flow, work, arrivedAt, startedAt } = ticket;
    const { info, user } = ticket.about as ApiRequest;
    return [
      level,
      flow.schema,
      String(queue),
      String(place),
      flow.distinguisher,
      formatNanoTime(wallMs(arrivedAt)),
      String(work.initialSeats),
      String(work.finalSeats),
      formatDuration(Math.round(work.additionalLatencyMs * 1e6)),
      ticket.state === "waiting" ? "0001-01-01T00:00:00Z" : formatNanoTime(wallMs(startedAt)),
      ...(details
        ? [
            user?.name ?? "",
            info.verb,
            info.path,
            info.namespace,
            info.name,
            info.apiGroup === "" ? info.apiVersion : `${info.apiGroup}/${info.apiVersion}`,
            info.resource,
            info.subresource,
          ]
        : []),
    ];
  };
  return [
    [
      "PriorityLevelName",
      "FlowSchemaName",
      "QueueIndex",
      "RequestIndexInQueue",
      "FlowDistingsher",
      "ArriveTime",
      "InitialSeats",
      "FinalSeats",
      "AdditionalLatency",
      "StartTime",
      ...(details ? ["UserName", "Verb", "APIPath", "Namespace", "Name", "APIVersion", "Resource", "SubResource"] : []),
    ],
    ...levels.flatMap(({ name, queues: set }) => [
      ...set.queues.flatMap((queue) => [
        ...queue.waiting.map((ticket, place) => row(name, queue.index, place, ticket)),
        ...[...queue.executing].map((ticket) => row(name, queue.index, -1, ticket)),
      ]),
      ...[...set.queueless].map((ticket) => row(name, -1, -1, ticket)),
    ]),
  ];
}
