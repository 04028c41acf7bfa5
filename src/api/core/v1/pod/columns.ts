/** The columns of `kubectl get pods`: one word sums up the state of the whole pod. Upstream: pkg/printers/internalversion/printers.go (printPod) */
import { isTrue } from "../../../../machinery/meta/conditions.ts";
import type { Column, RowCondition } from "../../../../machinery/resource.ts";
import { ageColumn, column, humanDuration, nameColumn, orNone, wide } from "../../../columns.ts";
import type { ContainerState, ContainerStatus, Pod } from "../../../generated/core.v1.ts";
import { isSidecar } from "./resources.ts";

interface Summary {
  readonly ready: string;
  readonly status: string;
  readonly restarts: number;
  /** When a container last ended, in milliseconds. */
  readonly lastRestart: number | undefined;
}

/** Also for `describe` and the dashboard: the words and counts of one row. */
function summarizePod(pod: Pod): Summary {
  const { spec } = pod;
  const status = pod.status ?? {};
  const sidecars = new Set((spec.initContainers ?? []).filter(isSidecar).map(({ name }) => name));
  const total = (spec.containers ?? []).length + sidecars.size;
  let text = status.reason || status.phase || "";
  if (status.conditions?.some(({ type, reason }) => type === "PodScheduled" && reason === "SchedulingGated"))
    text = "SchedulingGated";
  let ready = 0;
  let all = { restarts: 0, last: undefined as number | undefined };
  let besides = { restarts: 0, last: undefined as number | undefined };
  let initializing = false;
  for (const [i, container] of (status.initContainerStatuses ?? []).entries()) {
    const sidecar = sidecars.has(container.name);
    all = addRestarts(all, container);
    if (sidecar) besides = addRestarts(besides, container);
    const { terminated, waiting } = container.state ?? {};
    if (terminated !== undefined && terminated.exitCode === 0) continue;
    if (sidecar && container.started === true) {
      if (container.ready) ready++;
      continue;
    }
    if (terminated !== undefined) text = `Init:${terminated.reason || endOf(terminated)}`;
    else if (waiting?.reason && waiting.reason !== "PodInitializing") text = `Init:${waiting.reason}`;
    else text = `Init:${i}/${(spec.initContainers ?? []).length}`;
    initializing = true;
    break;
  }
  if (!initializing || isTrue(status, "Initialized")) {
    all = besides;
    let hasRunning = false;
    let failure = "";
    for (const container of [...(status.containerStatuses ?? [])].reverse()) {
      all = addRestarts(all, container);
      const { waiting, terminated, running } = container.state ?? {};
      if (waiting?.reason) text = waiting.reason;
      else if (terminated !== undefined) {
        text = terminated.reason || endOf(terminated);
        if (terminated.exitCode !== 0) failure = text;
      } else if (container.ready && running !== undefined) {
        hasRunning = true;
        ready++;
      }
    }
    if (text === "Completed") {
      if (hasRunning && isTrue(status, "Ready")) text = "Running";
      else if (failure !== "") text = failure;
      else if (hasRunning) text = "NotReady";
    }
  }
  if (pod.metadata.deletionTimestamp !== undefined) {
    if (status.reason === "NodeLost") text = "Unknown";
    else if (status.phase !== "Succeeded" && status.phase !== "Failed") text = "Terminating";
  }
  return { ready: `${ready}/${total}`, status: text, restarts: all.restarts, lastRestart: all.last };
}

function addRestarts(
  { restarts, last }: { restarts: number; last: number | undefined },
  container: ContainerStatus,
): { restarts: number; last: number | undefined } {
  const finished = container.lastState?.terminated?.finishedAt;
  const at = finished === undefined ? undefined : Date.parse(finished);
  return {
    restarts: restarts + (container.restartCount ?? 0),
    last: at !== undefined && (last === undefined || at > last) ? at : last,
  };
}

const endOf = ({ signal, exitCode }: NonNullable<ContainerState["terminated"]>): string =>
  signal ? `Signal:${signal}` : `ExitCode:${exitCode}`;

function restartsText({ restarts, lastRestart }: Summary, now: number): string {
  if (restarts === 0 || lastRestart === undefined) return String(restarts);
  return `${restarts} (${humanDuration(now - lastRestart)} ago)`;
}

function readinessGates(pod: Pod): string {
  const gates = pod.spec.readinessGates ?? [];
  if (gates.length === 0) return "<none>";
  const met = gates.filter(({ conditionType }) => isTrue(pod.status, conditionType));
  return `${met.length}/${gates.length}`;
}

/** A row of a pod that is done says so, for those who show such rows apart. */
export function podRowConditions({ status }: Pod): readonly RowCondition[] {
  const row = (reason: string, message: string) => [{ type: "Completed", status: "True", reason, message }];
  if (status?.phase === "Succeeded") return row("Succeeded", "The pod has completed successfully.");
  if (status?.phase === "Failed") return row("Failed", "The pod failed.");
  return [];
}

export const podColumns: readonly Column<Pod>[] = [
  nameColumn,
  column("Ready", "string", (pod) => summarizePod(pod).ready),
  column("Status", "string", (pod) => summarizePod(pod).status),
  column("Restarts", "string", (pod, now) => restartsText(summarizePod(pod), now)),
  ageColumn,
  wide("IP", "string", (pod) => orNone(pod.status?.podIPs?.[0]?.ip)),
  wide("Node", "string", (pod) => orNone(pod.spec.nodeName)),
  wide("Nominated Node", "string", (pod) => orNone(pod.status?.nominatedNodeName)),
  wide("Readiness Gates", "string", readinessGates),
];
