/**
 * The tables that `kubectl get` prints: the kind's columns, one row for each object.
 * Upstream: pkg/printers/storage, pkg/endpoints/handlers/response.go.
 */
import type { KubeObject } from "../machinery/meta/object.ts";
import type { Column, Resource } from "../machinery/resource.ts";
import { inGoOrder } from "../machinery/codec/go-json.ts";
import { CREATED_FIELD } from "../api/column-descriptions.ts";
import { nameColumn } from "../api/columns.ts";
import { schemaOf } from "../api/schemas.ts";
import type { ListResponse } from "./request.ts";

const OBJECT_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta";

export interface TableOptions {
  readonly apiVersion: string;
  readonly includeObject: "None" | "Metadata" | "Object";
  readonly nowMs: number;
  readonly describe?: Describe | undefined;
}

/** The words that upstream's documentation has for a field of a type. */
export type Describe = (type: string, field: string) => string | undefined;

/** What tables are made with. */
export interface Printing {
  readonly nowMs: number;
  readonly describe: Describe | undefined;
}

const CREATED: Column<any> = {
  name: "Created At",
  type: "date",
  description: CREATED_FIELD,
  priority: 0,
  cell: (object) => object.metadata.creationTimestamp ?? "<unknown>",
};

export function tableOf(
  resource: Resource,
  objects: readonly KubeObject[],
  list: ListResponse["metadata"] | undefined,
  options: TableOptions,
): { readonly kind: string; readonly [field: string]: unknown } {
  const columns = columnsOf(resource);
  return {
    kind: "Table",
    apiVersion: options.apiVersion,
    metadata: list ?? versionOf(objects[0]),
    columnDefinitions: columns
      .filter(({ isUntold }) => isUntold !== true)
      .map(({ name, type, format, description = "", priority }) => ({
        name,
        type,
        format: format ?? "",
        description:
          typeof description === "string"
            ? description
            : (options.describe?.(description.type, description.field) ?? ""),
        priority,
      })),
    rows: rowsOf(resource, objects, options),
  };
}

function versionOf(object: KubeObject | undefined): object {
  const version = object?.metadata.resourceVersion ?? "";
  return version === "" ? {} : { resourceVersion: version };
}

export function rowsOf(resource: Resource, objects: readonly KubeObject[], options: TableOptions): readonly object[] {
  const columns = columnsOf(resource);
  const ordered = resource.rowOrder === undefined ? objects : objects.toSorted(resource.rowOrder);
  return ordered.map((object) => rowOf(resource, columns, object, options));
}

const columnsOf = (resource: Resource) => (resource.columns.length > 0 ? resource.columns : [nameColumn, CREATED]);

function rowOf(
  { rowConditions }: Resource,
  columns: readonly Column<any>[],
  object: KubeObject,
  options: TableOptions,
): object {
  // A watch's bookmark has no name, which prints as an empty one.
  const { metadata } = object;
  const named = metadata.name === undefined ? { ...object, metadata: { ...metadata, name: "" } } : object;
  const conditions = rowConditions?.(object) ?? [];
  return {
    cells: columns.map((column) => column.cell(named, options.nowMs)),
    ...(conditions.length > 0 && { conditions }),
    ...(options.includeObject === "Metadata" && { object: partialMetadata(object, options.apiVersion) }),
    ...(options.includeObject === "Object" && { object }),
    ...(options.includeObject === "None" && { object: null }),
  };
}

export function partialMetadata(
  object: KubeObject,
  apiVersion: string,
): { readonly kind: string; readonly [field: string]: unknown } {
  return { kind: "PartialObjectMetadata", apiVersion, metadata: inGoOrder(object.metadata, schemaOf(OBJECT_META)) };
}
