/** The four types of patch, each as the `make` function of an update. Upstream: pkg/endpoints/handlers/patch.go. */
import { DecodeError } from "../../machinery/codec/decode.ts";
import { escaped, inGoOrder } from "../../machinery/codec/go-json.ts";
import { applyJsonPatch, jsonPatchText } from "../../machinery/patch/json-patch.ts";
import { applyMergePatch } from "../../machinery/patch/merge-patch.ts";
import { restoreError } from "../../machinery/patch/restore.ts";
import { applyStrategicMergePatch, show } from "../../machinery/patch/strategic.ts";
import type { Schema } from "../../machinery/schema/schema.ts";
import type { Resource } from "../../machinery/resource.ts";
import { StatusError } from "../../machinery/status.ts";
import type { FieldError } from "../../machinery/validation/field-error.ts";
import { fieldForbidden, invalid, invalidObject, required } from "../../machinery/validation/field-error.ts";
import type { RequestBody } from "../request.ts";
import type { WriteContext } from "./context.ts";
import { assertNamed } from "./update.ts";
import type { Expected } from "./decode.ts";
import { decodeTree, expectedOf, isCustom } from "./decode.ts";
import { applyConfiguration, recordUpdate } from "./managed-fields.ts";
import {
  APPLY_PATCH,
  APPLY_PATCH_CBOR,
  checkRepeated,
  isApply,
  JSON_PATCH,
  MERGE_PATCH,
  parsePatch,
  STRATEGIC_PATCH,
} from "./patch-document.ts";

export function patchTypes(resource: Resource, cbor: boolean): readonly string[] {
  return [
    JSON_PATCH,
    MERGE_PATCH,
    ...(isCustom(resource) ? [] : [STRATEGIC_PATCH]),
    APPLY_PATCH,
    ...(cbor ? [APPLY_PATCH_CBOR] : []),
  ];
}

export function assertPatchType(resource: Resource, body: RequestBody): void {
  const accepted = patchTypes(resource, body.kind === "bytes" && body.cbor === true);
  if (!accepted.includes(body.kind === "none" ? "" : body.contentType))
    throw new StatusError(
      "UnsupportedMediaType",
      `the body of the request was in an unknown format - accepted media types include: ${accepted.join(", ")}`,
    );
}

export interface PatchOptions {
  /** Undefined: not said. */
  readonly force: boolean | undefined;
  /** As in the request, before any default. */
  readonly fieldManager: string;
}

/** A function from what is there to what the patch makes of it. */
export function patcher(
  context: WriteContext,
  resource: Resource,
  subresource: string,
  body: RequestBody,
  options: PatchOptions,
): (current: any) => any {
  const type = body.kind === "none" ? "" : body.contentType;
  assertPatchType(resource, body);
  assertPatchOptions(type, options);
  const expected = expectedOf(resource);
  const { value: document, faults } = parsePatch(body, type, context.fieldValidation);
  const warn = once((text) => context.warn(text));

  if (isApply(type))
    return (current) => {
      const applied = applyConfiguration(context, resource, subresource, current, document, options.force === true);
      checkRepeated(faults, context.fieldValidation, warn);
      if (applied === current) return structuredClone(current);
      const draft = decodeApplied(applied, document, expected, context, warn);
      // Managed fields of the result are settled; decoding keeps them as they are.
      return draft;
    };
  return (stored) => {
    // A list that is not there is null to who patches it.
    const current: any = isCustom(resource) ? stored : inGoOrder(stored, resource.schema);
    let patched: unknown;
    switch (type) {
      case JSON_PATCH:
        patched = applyJsonPatch(current, document);
        break;
      case MERGE_PATCH:
        patched = applyMergePatch(current, document);
        break;
      default:
        patched = applyStrategicMergePatch(current, document ?? {}, resource.schema);
        assertRestorable(patched, document, resource.schema);
    }
    const text = () => (type === STRATEGIC_PATCH ? show(document) : shownPatched(current, document, type, resource));
    if (type !== STRATEGIC_PATCH) assertSameKind(patched, text, resource, context);
    // Without a version nothing of it can be read.
    const isRead =
      type === STRATEGIC_PATCH || isCustom(resource) || (isPlain(patched) && Boolean(patched["apiVersion"]));
    if (!isRead) {
      tellUnread(patched, faults, context, warn, text);
      assertNamed({}, current.metadata.name);
    }
    const draft = decodePatched(patched, expected, context, warn, faults, text);
    assertNamed(draft, current.metadata.name);
    return recordUpdate(context, resource, subresource, stored, draft);
  };
}

/** Upstream puts what a strategic merge patch made together without the detour over JSON, and shows the patch where it can't. */
function assertRestorable(patched: unknown, patch: unknown, schema: Schema): void {
  const wrong = restoreError(patched, schema);
  if (wrong !== undefined) throw invalidObject("", "", "", [invalid("patch", show(patch), wrong)]);
}

/** What a patch made, for a message about it: in the order of Go's fields, as far as the patch left that alone. */
function shownPatched(current: unknown, patch: unknown, type: string, resource: Resource): string {
  const ordered = inGoOrder(current, resource.schema);
  if (type === JSON_PATCH) return escaped(jsonPatchText(ordered, patch));
  const merged = applyMergePatch(ordered, patch);
  return escaped(JSON.stringify(isCustom(resource) ? sorted(merged) : touched(merged, patch)));
}

/** Upstream reads what a patch made by what it says that it is, and then wants it to be what it was. A strategic patch is put into the kind at hand. */
function assertSameKind(tree: any, text: () => string, resource: Resource, { services }: WriteContext): void {
  const custom = isCustom(resource);
  const refuse = (why: string) => invalidObject("", "", "", [invalid("patch", text(), why)]);
  if (Array.isArray(tree))
    throw refuse(
      'couldn\'t get version/kind; json parse error: json: cannot unmarshal array into Go value of type struct { APIVersion string "json:\\"apiVersion,omitempty\\""; Kind string "json:\\"kind,omitempty\\"" }',
    );
  const { kind, apiVersion } = tree ?? {};
  for (const [field, value] of Object.entries({ apiVersion, kind }))
    if (typeof value !== "string" && value !== undefined && value !== null)
      throw refuse(
        `couldn't get version/kind; json parse error: json: cannot unmarshal ${goType(value)} into Go struct field .${field} of type string`,
      );
  if (custom) {
    if (!kind) throw refuse(`Object 'Kind' is missing in '${text()}'`);
    const missing = "Object 'apiVersion' is missing in 'object has no apiVersion field'";
    if (!apiVersion)
      throw new StatusError("InternalError", `Internal error occurred: ${missing}`, { causes: [{ message: missing }] });
    return;
  }
  if (typeof kind !== "string" || kind === "" || typeof apiVersion !== "string" || apiVersion === "") return;
  const [version = "", group = ""] = apiVersion.split("/").reverse();
  if (kind === resource.kind && group === resource.group && version === resource.version) return;
  const known = services.registry.ofKind(group, version, kind);
  if (known !== undefined && kind === resource.kind && group === resource.group) return;
  const wrong =
    known === undefined || isCustom(known)
      ? `no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)} in scheme "pkg/runtime/scheme.go:111"`
      : `converting (${version}.${kind}) to (${resource.group.split(".")[0] || "core"}.${resource.kind}): unknown conversion`;
  throw refuse(wrong);
}

function goType(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return typeof value === "boolean" ? "bool" : typeof value;
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (!isPlain(value)) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key])]),
  );
}

/** As upstream's library writes it: what the patch has touched with its keys in the order of the alphabet, the rest as it was. */
function touched(tree: unknown, patch: unknown): unknown {
  if (Array.isArray(patch)) return sorted(tree);
  if (!isPlain(tree) || !isPlain(patch)) return tree;
  const keys = Object.keys(tree).sort();
  return Object.fromEntries(
    keys.map((key) => [key, Object.hasOwn(patch, key) ? touched(tree[key], patch[key]) : tree[key]]),
  );
}

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

/** Of what says no version nothing is known but that it may say a version and a kind. */
function tellUnread(
  tree: unknown,
  faults: readonly string[],
  context: WriteContext,
  warn: (text: string) => void,
  text: () => string,
): void {
  if (!isPlain(tree) || context.fieldValidation === "Ignore") return;
  const unknown = Object.keys(tree)
    .filter((name) => name !== "apiVersion" && name !== "kind")
    .sort()
    .map((name) => `unknown field ${JSON.stringify(name)}`);
  const wrong = [...faults, ...unknown];
  if (context.fieldValidation === "Warn") wrong.forEach(warn);
  else if (wrong.length > 0)
    throw invalidObject("", "", "", [invalid("patch", text(), `strict decoding error: ${wrong.join(", ")}`)]);
}

/** What an apply made is put together without the detour over JSON as well, and is no client's doing where that fails. */
function decodeApplied(
  tree: unknown,
  configuration: any,
  expected: Expected,
  context: WriteContext,
  warn: (text: string) => void,
): any {
  try {
    return decodeTree(tree, expected, context.fieldValidation, warn);
  } catch (error) {
    if (!(error instanceof DecodeError) || expected.custom === true) throw error;
    const { group, version, kind } = expected;
    const type = `${group}/${version}, Kind=${kind}`;
    const { namespace = "", name = "" } = configuration?.metadata ?? {};
    throw new StatusError(
      "Unknown",
      `failed to convert new object (${namespace}/${name}; ${type}) to proper version: unable to convert unstructured object to ${type}: ${restoreError(tree, expected.schema) ?? error.message}`,
    );
  }
}

/** What a patch made, as an object of its kind. `faults` are the patch's own, told before the object's. */
export function decodePatched(
  tree: unknown,
  expected: Expected,
  context: WriteContext,
  warn: (text: string) => void,
  faults: readonly string[] = [],
  text = () => JSON.stringify(tree),
): any {
  try {
    return decodeTree(tree, expected, context.fieldValidation, warn, faults);
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error;
    throw invalidObject("", "", "", [invalid("patch", text(), error.message)]);
  }
}

export function checkPatchOptions(type: string, { force, fieldManager }: PatchOptions): readonly FieldError[] {
  if (isApply(type)) return fieldManager === "" ? [required("fieldManager", "is required for apply patch")] : [];
  return force === undefined ? [] : [fieldForbidden("force", "may not be specified for non-apply patch")];
}

/** The same, for good. */
export function assertPatchOptions(type: string, options: PatchOptions): void {
  const errors = checkPatchOptions(type, options);
  if (errors.length > 0) throw invalidObject("meta.k8s.io", "PatchOptions", "", errors);
}

/** Warnings of a patch that is made again are the same ones. */
function once(warn: (text: string) => void): (text: string) => void {
  const said = new Set<string>();
  return (text) => {
    if (said.has(text)) return;
    said.add(text);
    warn(text);
  };
}
