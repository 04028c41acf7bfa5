/**
 * Columns of `kubectl get` that most kinds share, and how ages, labels and selectors are formatted.
 * Upstream: pkg/printers/internalversion/printers.go, staging/src/k8s.io/apimachinery/pkg/util/duration
 */
import type { KubeObject } from "../machinery/meta/object.ts";
import type { Column } from "../machinery/resource.ts";
import { CREATED_FIELD, NAME_FIELD } from "./column-descriptions.ts";

export { formatLabelSelector as selectorText } from "../machinery/selector/labels.ts";

type Cell<T> = Column<T>["cell"];
type Options = Partial<Pick<Column<unknown>, "description" | "format" | "priority" | "isUntold">>;

export function column<T>(name: string, type: Column<T>["type"], cell: Cell<T>, options: Options = {}): Column<T> {
  return { name, type, priority: 0, ...options, cell };
}

/** A column that shows with `-o wide` only. */
export function wide<T>(name: string, type: Column<T>["type"], cell: Cell<T>, options: Options = {}): Column<T> {
  return column(name, type, cell, { ...options, priority: 1 });
}

export const nameColumn: Column<KubeObject> = column("Name", "string", ({ metadata }) => metadata.name, {
  format: "name",
  description: NAME_FIELD,
});
export const ageColumn: Column<KubeObject> = column(
  "Age",
  "string",
  ({ metadata }, now) => age(metadata.creationTimestamp, now),
  { description: CREATED_FIELD },
);

/** For kinds without columns of their own. */
export const defaultColumns: readonly Column<KubeObject>[] = [
  nameColumn,
  column("Created At", "date", ({ metadata }) => metadata.creationTimestamp ?? "0001-01-01T00:00:00Z", {
    description: CREATED_FIELD,
  }),
];

/** How long ago a time was, as `kubectl get` says it; `now` in milliseconds. */
export function age(time: string | null | undefined, now: number): string {
  if (time === undefined || time === null || time === "") return "<unknown>";
  return humanDuration(now - Date.parse(time));
}

/** Two units at most, and fewer the longer it takes: `119s`, `5m30s`, `3h`, `2d4h`, `400d`, `3y`. */
export function humanDuration(milliseconds: number): string {
  const seconds = Math.trunc(milliseconds / 1000);
  if (seconds < -1) return "<invalid>";
  if (seconds < 0) return "0s";
  if (seconds < 120) return `${seconds}s`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 10) return two(minutes, "m", seconds % 60, "s");
  if (minutes < 180) return `${minutes}m`;
  const hours = Math.floor(minutes / 60);
  if (hours < 8) return two(hours, "h", minutes % 60, "m");
  if (hours < 48) return `${hours}h`;
  const days = Math.floor(hours / 24);
  if (hours < 192) return two(days, "d", hours % 24, "h");
  if (hours < 24 * 365 * 2) return `${days}d`;
  const years = Math.floor(days / 365);
  if (hours < 24 * 365 * 8) return two(years, "y", days % 365, "d");
  return `${years}y`;
}

function two(large: number, largeUnit: string, small: number, smallUnit: string): string {
  return small === 0 ? `${large}${largeUnit}` : `${large}${largeUnit}${small}${smallUnit}`;
}

/** `a=b,c=d`, sorted. */
export function labelsText(labels: Readonly<Record<string, string>> | undefined): string {
  const pairs = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
  return pairs.length === 0 ? "<none>" : pairs.sort().join(",");
}

/** The text, or `<none>` for an empty one. */
export function orNone(text: string | undefined): string {
  return text === undefined || text === "" ? "<none>" : text;
}

/** The first three, and how many more there are. */
export function firstThree(texts: readonly string[]): string {
  return texts.length <= 3 ? texts.join(",") : `${texts.slice(0, 3).join(",")} + ${texts.length - 3} more...`;
}
