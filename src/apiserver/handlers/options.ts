/** The query parameters of writes, validated as upstream validates CreateOptions, UpdateOptions, PatchOptions and DeleteOptions. */
import { schemaOf } from "../../api/schemas.ts";
import { decodeCbor } from "../../machinery/codec/cbor.ts";
import { bodyFormat } from "../../machinery/codec/content.ts";
import { decodeJson } from "../../machinery/codec/json.ts";
import { decodeYaml } from "../../machinery/codec/yaml.ts";
import { badRequest, StatusError } from "../../machinery/status.ts";
import type { FieldError } from "../../machinery/validation/field-error.ts";
import { invalidObject, notSupported } from "../../machinery/validation/field-error.ts";
import { validateFieldManager } from "../../machinery/validation/object-meta.ts";
import type { ApiRequest } from "../request.ts";
import { isTrue } from "../request-info.ts";
import { Conversions } from "../registry/conversions.ts";
import type { FieldValidation, Services, WriteContext } from "../registry/context.ts";
import { bodyFormats } from "../registry/decode.ts";
import type { DeleteOptions } from "../registry/delete.ts";
import { checkDeleteOptions, checkDryRun } from "../registry/delete.ts";
import { checkPatchOptions } from "../registry/patch.ts";
import { UNSAFE } from "../registry/unsafe-delete.ts";
import { UNSAFE_DELETE_GATE } from "../storage/corrupt.ts";

const MANAGER_MAX = 128;

export function writeContext(services: Services, request: ApiRequest, kind: string): WriteContext {
  const { query } = request;
  const errors: FieldError[] = [];
  const fieldManager = query.get("fieldManager") ?? "";
  if (kind === "PatchOptions") errors.push(...patchErrors(request));
  errors.push(...validateFieldManager(fieldManager, "fieldManager"));
  const dryRun = query.getAll("dryRun").filter((value) => value !== "");
  errors.push(...checkDryRun(dryRun));
  const fieldValidation = query.get("fieldValidation") ?? "";
  if (!["", "Ignore", "Warn", "Strict"].includes(fieldValidation))
    errors.push(notSupported("fieldValidation", fieldValidation, ["", "Ignore", "Strict", "Warn"]));
  // Those of a delete may be in the body, and then these here don't count.
  if (errors.length > 0 && kind !== "DeleteOptions") throw invalidObject("meta.k8s.io", kind, "", errors);
  return {
    services,
    user: request.user!,
    get signal() {
      return request.signal;
    },
    dryRun: dryRun.length > 0,
    verb: request.info.verb,
    said: { ...(fieldManager !== "" && { fieldManager }), ...(fieldValidation !== "" && { fieldValidation }) },
    fieldManager: fieldManager === "" ? managerOf(request.header("user-agent")) : fieldManager,
    fieldValidation: (fieldValidation === "" ? "Warn" : fieldValidation) as FieldValidation,
    conversions: new Conversions(),
    annotate: (key, value, level) => request.audit?.annotate(key, value, level),
    warn: (text) => {
      if (!request.warnings.includes(text)) request.warnings.push(text);
    },
  };
}

/** A body that is in this process already has no type among the headers: it is asked the same later on. */
function patchErrors(request: ApiRequest): readonly FieldError[] {
  const { query } = request;
  const type = request.header("content-type")?.split(";")[0]!.trim();
  if (type === undefined) return [];
  const force = query.get("force");
  return checkPatchOptions(type, {
    force: force === null ? undefined : isTrue(force),
    fieldManager: query.get("fieldManager") ?? "",
  });
}

/** A client without a manager's name is known by its program's. */
function managerOf(userAgent: string | undefined): string {
  const name = (userAgent ?? "").split("/")[0]!;
  return name === "" ? "unknown" : name.slice(0, MANAGER_MAX);
}

/** From the body where there is one, else from the query. */
export async function deleteOptions({ featureGates }: Services, request: ApiRequest): Promise<DeleteOptions> {
  const { [UNSAFE]: unsafe, ...rest } = await readDeleteOptions(request);
  const offered = unsafe !== undefined && featureGates.get(UNSAFE_DELETE_GATE) === true;
  const options = { ...rest, ...(offered && { [UNSAFE]: unsafe }) };
  checkDeleteOptions(options);
  return options;
}

async function readDeleteOptions(request: ApiRequest): Promise<DeleteOptions> {
  const body = await request.body();
  if (body.kind === "object" && typeof body.value === "object" && body.value !== null)
    return body.value as DeleteOptions;
  if (body.kind === "bytes" && body.bytes.length > 0) {
    let parsed: unknown;
    let prefix = "couldn't get version/kind; json parse error: ";
    try {
      const schema = schemaOf("io.k8s.apimachinery.pkg.apis.meta.v1.DeleteOptions");
      const format = bodyFormat(body.contentType, bodyFormats(body.cbor === true, false));
      if (format === "cbor") prefix = "unable to determine group/version/kind: ";
      else if (format === "protobuf") prefix = "";
      if (format === "cbor") parsed = decodeCbor(body.bytes, schema).object;
      else if (format === "protobuf") parsed = body.codec.decode(body.bytes, schema).object;
      else parsed = (format === "yaml" ? decodeYaml : decodeJson)(body.bytes, schema).object;
    } catch (error) {
      if (error instanceof StatusError) throw error;
      throw badRequest(`${prefix}${(error as Error).message}`);
    }
    if (typeof parsed !== "object" || parsed === null)
      throw badRequest("decoded object cannot be converted to DeleteOptions");
    const { kind } = parsed as { kind?: string };
    if (kind !== undefined && kind !== "DeleteOptions")
      throw badRequest("decoded object cannot be converted to DeleteOptions");
    return parsed as DeleteOptions;
  }
  const { query } = request;
  const grace = query.get("gracePeriodSeconds");
  if (grace !== null && grace !== "" && !/^[+-]?\d+$/.test(grace))
    throw badRequest(`strconv.ParseInt: parsing ${JSON.stringify(grace)}: invalid syntax`);
  const orphan = query.get("orphanDependents");
  const policy = query.get("propagationPolicy");
  const unsafe = query.get(UNSAFE);
  return {
    ...(grace !== null && grace !== "" && { gracePeriodSeconds: Number(grace) }),
    ...(orphan !== null && { orphanDependents: isTrue(orphan) }),
    ...(policy !== null && policy !== "" && { propagationPolicy: policy }),
    dryRun: query.getAll("dryRun"),
    ...(unsafe !== null && { [UNSAFE]: isTrue(unsafe) }),
  };
}
