/** Upstream: pkg/apis/core/validation/validation.go (ValidateSecret) */
import { syntaxError } from "../../../../machinery/codec/json-text.ts";
import { checkText } from "../../../../machinery/validation/checks.ts";
import { type FieldError, invalid, required, tooLong } from "../../../../machinery/validation/field-error.ts";
import { isConfigMapKey } from "../../../../machinery/validation/names.ts";
import { immutableField, sortedEntries } from "../../../../machinery/validation/object-meta.ts";
import { decodedLength, MAX_DATA_BYTES, validateImmutable } from "../configmap/validation.ts";
import type { Secret } from "../../../generated/core.v1.ts";

export function validateSecret(secret: Secret): FieldError[] {
  const errors: FieldError[] = [];
  const data = secret.data ?? {};
  let bytes = 0;
  for (const [key, base64] of sortedEntries(data)) {
    errors.push(...checkText(key, `data[${key}]`, isConfigMapKey));
    bytes += decodedLength(base64);
  }
  if (bytes > MAX_DATA_BYTES) errors.push(tooLong("data", MAX_DATA_BYTES));
  return [...errors, ...validateContent(secret, data)];
}

/** The types that others read promise certain keys. */
function validateContent({ type, metadata }: Secret, data: Readonly<Record<string, string>>): FieldError[] {
  const missing = (...keys: readonly string[]) =>
    keys.filter((key) => data[key] === undefined).map((key) => required(`data[${key}]`));
  switch (type) {
    case "kubernetes.io/service-account-token":
      return metadata.annotations?.["kubernetes.io/service-account.name"]
        ? []
        : [required("metadata.annotations[kubernetes.io/service-account.name]")];
    case "kubernetes.io/dockercfg":
      return validateJson(data, ".dockercfg");
    case "kubernetes.io/dockerconfigjson":
      return validateJson(data, ".dockerconfigjson");
    case "kubernetes.io/basic-auth":
      return data["username"] === undefined && data["password"] === undefined ? missing("username", "password") : [];
    case "kubernetes.io/ssh-auth":
      return data["ssh-privatekey"] ? [] : [required("data[ssh-privatekey]")];
    case "kubernetes.io/tls":
      return missing("tls.crt", "tls.key");
    default:
      return [];
  }
}

function validateJson(data: Readonly<Record<string, string>>, key: string): FieldError[] {
  const base64 = data[key];
  if (base64 === undefined) return [required(`data[${key}]`)];
  const problem = jsonProblem(Buffer.from(base64, "base64").toString());
  return problem === undefined ? [] : [invalid(`data[${key}]`, "<secret contents redacted>", problem)];
}

/** In the words of Go's decoder. */
function jsonProblem(text: string): string | undefined {
  const problem = syntaxError(text);
  if (problem !== undefined) return problem;
  const value: unknown = JSON.parse(text);
  if (value === null || (typeof value === "object" && !Array.isArray(value))) return undefined;
  const type = Array.isArray(value) ? "array" : typeof value === "boolean" ? "bool" : typeof value;
  return `json: cannot unmarshal ${type} into Go value of type map[string]interface {}`;
}

export function validateSecretUpdate(secret: Secret, old: Secret): FieldError[] {
  return [
    ...immutableField(secret.type, old.type, "type"),
    ...validateImmutable(secret, old, ["data"]),
    ...validateSecret(secret),
  ];
}
