/** Upstream: pkg/apis/apiserverinternal/validation/validation.go */
import { checkText } from "../../../../machinery/validation/checks.ts";
import { duplicate, type FieldError, invalid, required } from "../../../../machinery/validation/field-error.ts";
import {
  isDns1035Label,
  isDns1123Subdomain,
  isQualifiedName,
  type NameRule,
} from "../../../../machinery/validation/names.ts";
import type { ServerStorageVersion, StorageVersion } from "../../../generated/apiserverinternal.v1alpha1.ts";

const API_VERSION_WORDS =
  "an apiVersion is a DNS-1035 label, which must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyVersion')";

export const storageVersionName: NameRule = (name) => {
  const dot = name.lastIndexOf(".");
  if (dot < 0) return ["name must be in the form of <group>.<resource>"];
  return [
    ...isDns1123Subdomain(name.slice(0, dot)).map((message) => `the group segment ${message}`),
    ...isDns1035Label(name.slice(dot + 1)).map((message) => `the resource segment ${message}`),
  ];
};

function isApiVersion(text: string): readonly string[] {
  const parts = text.split("/");
  if (parts.length > 2) return [API_VERSION_WORDS];
  const part = (words: string, value: string, rule: (value: string) => readonly string[]) =>
    value === "" ? [`${words} part: must be non-empty`] : rule(value).map((message) => `${words} part: ${message}`);
  return [
    ...(parts.length === 2 ? part("group", parts[0]!, isDns1123Subdomain) : []),
    ...part("version", parts.at(-1)!, isDns1035Label),
  ];
}

export function validateStorageVersion({ status }: StorageVersion): FieldError[] {
  const servers = status?.storageVersions ?? [];
  const ids = new Set<string>();
  const errors: FieldError[] = [];
  for (const [i, server] of servers.entries()) {
    const path = `status.storageVersions[${i}]`;
    const id = server.apiServerID ?? "";
    if (ids.has(id)) errors.push(duplicate(`${path}.apiServerID`, id));
    ids.add(id);
    errors.push(...validateServer(server, path));
  }
  errors.push(...validateCommonVersion(servers, status?.commonEncodingVersion));
  const types = new Map<string, number>();
  for (const [i, { type = "", status: state = "", reason, message }] of (status?.conditions ?? []).entries()) {
    // The path is upstream's, which leaves the conditions out.
    const path = `status[${i}]`;
    const first = types.get(type);
    if (first !== undefined)
      errors.push(
        invalid(
          `${path}.type`,
          type,
          `the type of the condition is not unique, it also appears in conditions[${first}]`,
        ),
      );
    types.set(type, i);
    errors.push(...checkText(type, `${path}.type`, isQualifiedName));
    errors.push(...checkText(state, `${path}.status`, isQualifiedName));
    if (!reason) errors.push(required(`${path}.reason`));
    if (!message) errors.push(required(`${path}.message`));
  }
  return errors;
}

function validateServer(server: ServerStorageVersion, path: string): FieldError[] {
  const { apiServerID = "", encodingVersion = "", decodableVersions: decodable = [], servedVersions = [] } = server;
  const errors = checkText(apiServerID, `${path}.apiServerID`, isDns1123Subdomain);
  const checkVersion = (version: string, at: string) => {
    const problems = isApiVersion(version);
    if (problems.length > 0) errors.push(invalid(at, version, problems.join(",")));
  };
  checkVersion(encodingVersion, `${path}.encodingVersion`);
  for (const [i, version] of decodable.entries()) checkVersion(version, `${path}.decodableVersions[${i}]`);
  if (!decodable.includes(encodingVersion))
    errors.push(
      invalid(
        `${path}.decodableVersions`,
        server.decodableVersions ?? null,
        `decodableVersions must include encodingVersion ${encodingVersion}`,
      ),
    );
  for (const [i, version] of servedVersions.entries()) {
    const at = `${path}.servedVersions[${i}]`;
    checkVersion(version, at);
    if (!decodable.includes(version))
      errors.push(
        invalid(
          at,
          version,
          `individual served version : ${version} must be included in decodableVersions : [${decodable.join(" ")}]`,
        ),
      );
  }
  return errors;
}

function validateCommonVersion(servers: readonly ServerStorageVersion[], said: string | undefined): FieldError[] {
  const path = "status.commonEncodingVersion";
  const first = servers.length === 0 ? undefined : (servers[0]!.encodingVersion ?? "");
  const actual = servers.every(({ encodingVersion = "" }) => encodingVersion === first) ? first : undefined;
  if (actual === said) return [];
  if (actual === undefined)
    return [
      invalid(
        path,
        said,
        "should be nil if servers do not agree on the same encoding version, or if there is no server reporting the supported versions yet",
      ),
    ];
  return said === undefined
    ? [invalid(path, null, `the common encoding version is ${actual}`)]
    : [invalid(path, said, `the actual common encoding version is ${actual}`)];
}
