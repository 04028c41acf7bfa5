/** Parses the body of a patch and reports what is wrong with it. Upstream: pkg/endpoints/handlers/patch.go. */
import { isCbor, parseCbor } from "../../machinery/codec/cbor.ts";
import { parseJson, textOf } from "../../machinery/codec/json.ts";
import { infiniteNumber, repeatedFields, strictErrors } from "../../machinery/codec/json-text.ts";
import type { Schema } from "../../machinery/schema/schema.ts";
import { badRequest } from "../../machinery/status.ts";
import type { ApiRequest, RequestBody } from "../request.ts";
import type { FieldValidation } from "./context.ts";
import { yamlOf } from "./decode.ts";

export const JSON_PATCH = "application/json-patch+json";
export const MERGE_PATCH = "application/merge-patch+json";
export const STRATEGIC_PATCH = "application/strategic-merge-patch+json";
export const APPLY_PATCH = "application/apply-patch+yaml";
export const APPLY_PATCH_CBOR = "application/apply-patch+cbor";

export function isApply(type: string): boolean {
  return type === APPLY_PATCH || type === APPLY_PATCH_CBOR;
}

export interface PatchDocument {
  readonly value: unknown;
  /** What is said twice in it, or is no part of a patch: lines of libyaml for an apply, else upstream's strict decoding errors. */
  readonly faults: readonly string[];
}

/** For the audit: a patch that can't be read is refused further on. */
export function notePatch({ audit }: Pick<ApiRequest, "audit">, body: RequestBody): void {
  if (audit?.covers("Request") !== true || body.kind === "none") return;
  let value: unknown;
  try {
    value = body.kind === "object" ? body.value : isCbor(body.bytes) ? parseCbor(body.bytes) : yamlOf(body).value;
  } catch {
    return;
  }
  audit.requestPatch(value);
}

export function parsePatch(body: RequestBody, type: string, validation: FieldValidation): PatchDocument {
  if (body.kind === "object") return { value: body.value, faults: [] };
  if (body.kind === "none") return { value: undefined, faults: [] };
  if (type === APPLY_PATCH_CBOR) {
    try {
      return { value: parseCbor(body.bytes), faults: [] };
    } catch (error) {
      // Upstream's word, whatever it was.
      throw badRequest(`error decoding YAML: ${(error as Error).message}`);
    }
  }
  if (type === APPLY_PATCH) {
    try {
      const { value, duplicates } = yamlOf(body);
      return { value, faults: duplicates };
    } catch (error) {
      throw badRequest(`error decoding YAML: error converting YAML to JSON: ${(error as Error).message}`);
    }
  }
  // Upstream reads it as any JSON first, for what is unknown or double in it; only without that check the merge itself complains.
  const prefix = validation === "Ignore" || type === STRATEGIC_PATCH ? "" : "error decoding patch: ";
  const list = validation === "Ignore" ? "jsonpatch.Patch" : "[]handlers.jsonPatchOp";
  let document: unknown;
  // Upstream's library for merge patches has one word for all that is wrong.
  const isLoose = validation === "Ignore" && type === MERGE_PATCH;
  try {
    document = parseJson(body.bytes);
  } catch (error) {
    const { message } = error as Error;
    throw badRequest(isLoose ? "Invalid JSON Patch" : prefix + message);
  }
  const infinite = infiniteNumber(textOf(body.bytes));
  if (infinite !== undefined) throw badRequest(prefix + infinite);
  const isList = Array.isArray(document);
  if (isLoose && isList) return { value: document, faults: [] };
  if (isLoose && document !== null && typeof document !== "object") throw badRequest("Invalid JSON Patch");
  if (type === JSON_PATCH && isList) checkOperations(document as readonly unknown[], prefix, validation);
  if (document !== null && (typeof document !== "object" || isList !== (type === JSON_PATCH)))
    throw badRequest(
      `${prefix}json: cannot unmarshal ${isList ? "array" : jsonType(document)} into Go value of type ${type === JSON_PATCH ? list : "map[string]interface {}"}`,
    );
  return { value: document, faults: validation === "Ignore" ? [] : faultsOf(textOf(body.bytes), document, type) };
}

function checkOperations(operations: readonly unknown[], prefix: string, validation: FieldValidation): void {
  const refuse = (value: unknown, where: string) => {
    const found = Array.isArray(value) ? "array" : jsonType(value);
    throw badRequest(`${prefix}json: cannot unmarshal ${found} into Go ${where}`);
  };
  for (const operation of operations) {
    if (operation === null) continue;
    if (typeof operation !== "object" || Array.isArray(operation))
      refuse(operation, `value of type ${validation === "Ignore" ? "jsonpatch.Operation" : "handlers.jsonPatchOp"}`);
    if (validation === "Ignore") continue;
    for (const [name, value] of Object.entries(operation as object))
      if (name !== "value" && ["op", "path", "from"].includes(name) && value !== null && typeof value !== "string")
        refuse(value, `struct field jsonPatchOp.${name} of type string`);
  }
}

/** An apply that says something twice is refused or warned of once it has been merged. */
export function checkRepeated(
  faults: readonly string[],
  validation: FieldValidation,
  warn: (text: string) => void,
): void {
  if (faults.length === 0 || validation === "Ignore") return;
  if (validation === "Warn") for (const fault of faults) warn(fault);
  else
    throw badRequest(
      `error strict decoding YAML: error converting YAML to JSON: yaml: unmarshal errors:\n${faults.map((line) => `  ${line}`).join("\n")}`,
    );
}

const ANYTHING: Schema = { type: "object", preserveUnknownFields: true };
const OPERATIONS: Schema = {
  type: "array",
  items: { type: "object", properties: new Map(["op", "path", "from", "value"].map((name) => [name, ANYTHING])) },
};

function faultsOf(text: string, document: unknown, type: string): readonly string[] {
  if (type !== JSON_PATCH) return repeatedFields(text, document);
  return strictErrors(text, OPERATIONS).map((fault) => `json patch ${fault}`);
}

function jsonType(value: unknown): string {
  return typeof value === "boolean" ? "bool" : typeof value;
}
