/** The scale subresource of any kind that has replicas. Upstream: pkg/registry/apps/deployment/storage (ScaleREST), apiextensions scale. */
import { ageColumn, column, nameColumn } from "../../../api/columns.ts";
import type { Column, Resource } from "../../../machinery/resource.ts";
import { apiVersionOf } from "../../../machinery/resource.ts";
import { applyJsonPatch } from "../../../machinery/patch/json-patch.ts";
import { applyMergePatch } from "../../../machinery/patch/merge-patch.ts";
import { withManagedFields } from "../../../machinery/patch/apply/managed-fields.ts";
import { applyStrategicMergePatch } from "../../../machinery/patch/strategic.ts";
import { selectorOf } from "../../../machinery/selector/labels.ts";
import { badRequest, StatusError } from "../../../machinery/status.ts";
import { invalid, invalidObject } from "../../../machinery/validation/field-error.ts";
import { nameIsSubdomain } from "../../../machinery/validation/names.ts";
import { validateKubeObjectMeta } from "../../../machinery/validation/object-meta.ts";
import { writeContext } from "../../handlers/options.ts";
import type { ApiRequest, ObjectResponse, RequestBody } from "../../request.ts";
import { isTrue } from "../../request-info.ts";
import type { WriteContext } from "../context.ts";
import { applyScale, recordScale } from "../managed-fields.ts";
import { assertPatchOptions, assertPatchType, decodePatched } from "../patch.ts";
import {
  APPLY_PATCH,
  checkRepeated,
  isApply,
  JSON_PATCH,
  MERGE_PATCH,
  notePatch,
  parsePatch,
} from "../patch-document.ts";
import { isCustom } from "../decode.ts";
import { get } from "../read.ts";
import { assertNamed, checkPlace, update } from "../update.ts";
import { decoded, noteBody, SCALE } from "./body.ts";
import type { SpecialSubresource } from "./index.ts";
import { fromScaleFields, toScaleFields } from "./scale-fields.ts";

const BUILT_IN = { specReplicas: "spec.replicas", statusReplicas: "status.replicas" } as const;

export const scale: SpecialSubresource = {
  verbs: ["get", "update", "patch"],
  async handle(services, request, resource, namespace) {
    const { verb, name } = request.info;
    if (verb === "get") {
      const entry = await get(services, resource, namespace, name, request.query.get("resourceVersion") ?? "");
      const parent: any = entry.view(resource);
      if (lacksReplicas(resource, parent))
        throw new StatusError(
          "InternalError",
          `Internal error occurred: the spec replicas field ${shownPath(resource)} does not exist`,
          { causes: [{ message: `the spec replicas field ${shownPath(resource)} does not exist` }] },
        );
      return answer(resource, parent);
    }
    const context = writeContext(services, request, verb === "update" ? "UpdateOptions" : "PatchOptions");
    const wanted = verb === "update" ? await decoded(request, context, SCALE) : undefined;
    if (wanted !== undefined) {
      noteBody(request, { ...wanted, status: wanted.status ?? { replicas: 0 } });
      assertNamed(wanted, name);
      checkPlace({ resource, namespace, name }, wanted);
    }
    const body = await request.body();
    if (verb === "patch") notePatch(request, body);
    const path = (resource.scale ?? BUILT_IN).specReplicas;
    let asked: any;
    const updated = await update(context, {
      resource,
      subresource: "",
      namespace,
      name,
      onMissing: "fail",
      view: {
        subresource: "scale",
        of: (parent) => scaleOf(resource, parent),
        asked: () => asked,
        fold: ({ spec }, draft) => setPath(draft, path, spec?.replicas ?? 0),
      },
      make(current) {
        const { managedFields } = current.metadata;
        const now = withManagedFields(patchable(resource, current), toScaleFields(managedFields, path));
        const isApplied = body.kind !== "none" && isApply(body.contentType);
        let next: any;
        if (isApplied) next = applied(context, resource, now, body, request);
        else {
          next = wanted ?? patched(resource, body, now, context);
          if (next.spec?.replicas === NEVER_SET)
            throw badRequest(`the spec replicas field ${shownPath(resource)} cannot be empty`);
        }
        assertNamed(next, name);
        checkPlace({ resource, namespace, name }, next);
        if (!isApplied) next = recordScale(context, now, next);
        asked = next;
        checked(resource, next, name);
        const draft = setPath(structuredClone(current), path, next.spec?.replicas ?? 0);
        draft.metadata.resourceVersion = next.metadata.resourceVersion || current.metadata.resourceVersion;
        draft.metadata.uid = next.metadata.uid || current.metadata.uid;
        const owned = fromScaleFields(managedFields, next.metadata.managedFields, path, apiVersionOf(resource));
        return withManagedFields(draft, owned);
      },
    });
    return answer(resource, updated.entry.view(resource));
  },
};

/** What a patch finds where there is no number yet, so that a patch of something else is known. */
const NEVER_SET = -2_147_483_648;

function patchable(resource: Resource, parent: any): any {
  const scale = scaleOf(resource, parent);
  return lacksReplicas(resource, parent) ? { ...scale, spec: { replicas: NEVER_SET } } : scale;
}

/** A custom kind whose objects needn't say how many there should be. */
const lacksReplicas = ({ scale }: Resource, parent: object): boolean =>
  scale !== undefined && getPath(parent, scale.specReplicas) === undefined;
const shownPath = ({ scale }: Resource): string => JSON.stringify(`.${scale!.specReplicas}`);

const COLUMNS: readonly Column<any>[] = [
  { ...nameColumn, format: "" },
  column<any>("Desired", "integer", ({ spec }) => spec.replicas ?? 0),
  column<any>("Available", "integer", ({ status }) => status.replicas),
  ageColumn,
];

const CUSTOM_COLUMNS: readonly Column<any>[] = [nameColumn, ...COLUMNS.slice(1, -1), { ...ageColumn, type: "date" }];

/** Tables and protobuf show it as the Scale that it is. */
function answer(resource: Resource, parent: any): ObjectResponse {
  const shown = isCustom(resource)
    ? { ...resource, kind: SCALE.kind, columns: CUSTOM_COLUMNS }
    : { ...resource, kind: SCALE.kind, schema: SCALE.schema, columns: COLUMNS };
  return { kind: "object", status: 200, object: scaleOf(resource, parent), resource: shown };
}

/** The Scale with a configuration of it applied. */
function applied(context: WriteContext, resource: Resource, now: any, body: RequestBody, { query }: ApiRequest): any {
  const force = query.get("force");
  const type = body.kind === "none" ? APPLY_PATCH : body.contentType;
  assertPatchOptions(type, {
    force: force === null ? undefined : isTrue(force),
    fieldManager: query.get("fieldManager") ?? "",
  });
  const { value: document, faults } = parsePatch(body, type, context.fieldValidation);
  // Of a custom kind a Scale can be applied that says what is so, and nothing else.
  const refuse = (what: string) => {
    if (!isCustom(resource)) return;
    const version = apiVersionOf(SCALE);
    const words = `${what}; ${version}, Kind=${SCALE.kind}) to proper version: request to convert CR to an invalid group/version: ${version}`;
    throw new StatusError("Unknown", words);
  };
  if (now.metadata.managedFields === undefined)
    refuse("failed to create manager for existing fields: failed to convert live object (/");
  const next = applyScale(context, now, document, isTrue(force));
  if (next.spec?.replicas !== now.spec?.replicas)
    refuse(`failed to convert new object (${now.metadata.namespace ?? ""}/${now.metadata.name}`);
  checkRepeated(faults, context.fieldValidation, (text) => context.warn(text));
  return decodePatched(next, SCALE, context, (text) => context.warn(text));
}

function checked(resource: Resource, { metadata, spec }: any, name: string): void {
  const replicas: number = spec?.replicas ?? 0;
  // A custom kind is asked as itself, at the place that it keeps the number in.
  if (resource.scale !== undefined && isCustom(resource)) {
    if (replicas >= 0) return;
    throw invalidObject(resource.group, resource.kind, name, [
      invalid(`.${resource.scale.specReplicas}`, replicas, "should be a non-negative integer"),
    ]);
  }
  const errors = validateKubeObjectMeta(metadata, true, nameIsSubdomain);
  if (replicas < 0) errors.push(invalid("spec.replicas", replicas, "must be greater than or equal to 0"));
  if (errors.length > 0) throw invalidObject("autoscaling", "Scale", name, errors);
}

function patched(resource: Resource, body: RequestBody, current: any, context: WriteContext): any {
  const type = body.kind === "none" ? "" : body.contentType;
  assertPatchType(resource, body);
  const { value: document, faults } = parsePatch(body, type, context.fieldValidation);
  const next =
    type === JSON_PATCH
      ? applyJsonPatch(current, document)
      : type === MERGE_PATCH
        ? applyMergePatch(current, document)
        : applyStrategicMergePatch(current, document, SCALE.schema);
  return decodePatched(next, SCALE, context, (text) => context.warn(text), faults);
}

function scaleOf(resource: Resource, parent: any): any {
  const paths = resource.scale ?? BUILT_IN;
  const { name, namespace, uid, resourceVersion, creationTimestamp } = parent.metadata;
  const replicas = getPath(parent, paths.specReplicas);
  const selector = selectorText(resource, parent);
  return {
    kind: "Scale",
    apiVersion: apiVersionOf(SCALE),
    metadata: { name, ...(namespace !== undefined && { namespace }), uid, resourceVersion, creationTimestamp },
    spec: { ...(replicas !== undefined && replicas !== 0 && { replicas }) },
    status: { replicas: getPath(parent, paths.statusReplicas) ?? 0, ...(selector !== "" && { selector }) },
  };
}

function selectorText(resource: Resource, parent: any): string {
  if (resource.scale?.selector !== undefined) {
    const value = getPath(parent, resource.scale.selector);
    if (typeof value === "string" || value === undefined) return value ?? "";
    return selectorOf(resource.kind === "ReplicationController" ? { matchLabels: value } : value).toString();
  }
  const selector = parent.spec?.selector;
  if (selector === undefined) return "";
  return selectorOf(resource.kind === "ReplicationController" ? { matchLabels: selector } : selector).toString();
}

function getPath(object: any, path: string): any {
  return path
    .replace(/^\./, "")
    .split(".")
    .reduce((inner, key) => inner?.[key], object);
}

function setPath(object: any, path: string, value: unknown): any {
  const keys = path.replace(/^\./, "").split(".");
  const last = keys.pop()!;
  let inner = object;
  for (const key of keys) inner = inner[key] ??= {};
  inner[last] = value;
  return object;
}
