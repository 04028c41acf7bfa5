/** EncryptionConfiguration: which resources are encrypted with which providers. Upstream: pkg/apis/apiserver/validation/validation_encryption.go */
import type { Schema } from "../../machinery/schema/schema.ts";
import { parseDuration } from "../../machinery/meta/time.ts";
import type { FieldError } from "../../machinery/validation/field-error.ts";
import { invalid, required } from "../../machinery/validation/field-error.ts";
import { parseGoUrl } from "../../machinery/validation/go-url.ts";
import { decodeConfiguration, listOf, objectSchema, text } from "../configuration-file.ts";

interface Key {
  readonly name: string;
  readonly secret: string;
}
export interface KmsConfiguration {
  readonly apiVersion: string;
  readonly name: string;
  readonly endpoint: string;
  readonly timeout: string;
  readonly cachesize?: number;
}
export interface Provider {
  readonly aescbc?: { readonly keys: readonly Key[] };
  readonly aesgcm?: { readonly keys: readonly Key[] };
  readonly secretbox?: { readonly keys: readonly Key[] };
  readonly kms?: KmsConfiguration;
  readonly identity?: object;
}
export interface ResourceRule {
  readonly resources: readonly string[];
  readonly providers: readonly Provider[];
}
export interface EncryptionConfiguration {
  readonly resources: readonly ResourceRule[];
}

const KINDS = ["kms", "aesgcm", "aescbc", "secretbox", "identity"] as const;
/** How many keys a plugin of the first version has remembered. */
const CACHE_SIZE = 1000;
/** Upstream tells of a provider by the fields of its own type. */
const NO_PROVIDER = { AESGCM: null, AESCBC: null, Secretbox: null, Identity: null, KMS: null };
const NONE = "provider does not contain any of the expected providers: KMS, AESGCM, AESCBC, Secretbox, Identity";
const KMS_V1 =
  "KMSv1 is deprecated and will only receive security updates going forward. Use KMSv2 instead.  Set --feature-gates=KMSv1=true to use the deprecated KMSv1 feature.";

/** Throws all that is wrong, in upstream's words. */
export function parseEncryption(text: string, path: string, reload = false): EncryptionConfiguration {
  const configuration = withDefaults(decode(text, path));
  const errors = check(configuration, reload);
  if (errors.length > 0) {
    const words = errors.map(({ field, message }) => `${field}: ${message}`);
    throw failed(words.length === 1 ? words[0]! : `[${words.join(", ")}]`);
  }
  if (configuration.resources.some(({ providers }) => providers.some(({ kms }) => kms?.apiVersion === "v1")))
    throw new Error(`error while building transformers: ${KMS_V1}`);
  masked(configuration);
  return configuration;
}

const failed = (why: string) => new Error(`error while parsing file: ${why}`);

type Written = { readonly resources?: readonly Partial<ResourceRule>[] };

function decode(text: string, path: string): Written {
  if (text === "") throw failed(`error while loading file: encryption provider configuration file "${path}" is empty`);
  let other: string | undefined;
  try {
    const decoded = decodeConfiguration<Written>(text, (apiVersion, kind) => {
      if (isEncryption(apiVersion, kind)) return SCHEMA;
      if (!OTHERS.has(`${apiVersion}, Kind=${kind}`)) return undefined;
      other = `${apiVersion}, Kind=${kind}`;
      return ANY;
    });
    if (other === undefined) return decoded.object;
  } catch (error) {
    throw failed(
      `error decoding encryption provider configuration file ${JSON.stringify(path)}: ${(error as Error).message}`,
    );
  }
  throw failed(`got unexpected config type: ${other}`);
}

/** Before it had a group it went by another name, which is still read. */
const isEncryption = (apiVersion: string, kind: string): boolean =>
  (apiVersion === "apiserver.config.k8s.io/v1" && kind === "EncryptionConfiguration") ||
  (apiVersion === "v1" && kind === "EncryptionConfig");

/** What else its group has. */
const OTHERS: ReadonlySet<string> = new Set(
  ["AdmissionConfiguration", "AuthenticationConfiguration", "AuthorizationConfiguration", "TracingConfiguration"].map(
    (kind) => `apiserver.config.k8s.io/v1, Kind=${kind}`,
  ),
);
const ANY: Schema = { type: "object", preserveUnknownFields: true };

const named = (name: string) => `io.k8s.apiserver.pkg.apis.apiserver.v1.${name}`;
const pointer = (schema: Schema): Schema => ({ ...schema, pointer: true, omitEmpty: true });
const KEYS = listOf(
  objectSchema(named("Key"), [
    ["name", text],
    ["secret", text],
  ]),
);
const keysOf = (name: string) => pointer(objectSchema(named(name), [["keys", KEYS]]));
const SCHEMA: Schema = objectSchema(named("EncryptionConfiguration"), [
  ["apiVersion", text],
  ["kind", text],
  [
    "resources",
    listOf(
      objectSchema(named("ResourceConfiguration"), [
        ["resources", listOf(text)],
        [
          "providers",
          listOf(
            objectSchema(named("ProviderConfiguration"), [
              ["aesgcm", keysOf("AESConfiguration")],
              ["aescbc", keysOf("AESConfiguration")],
              ["secretbox", keysOf("SecretboxConfiguration")],
              ["identity", pointer(objectSchema(named("IdentityConfiguration"), []))],
              [
                "kms",
                pointer(
                  objectSchema(named("KMSConfiguration"), [
                    ["apiVersion", text],
                    ["name", text],
                    ["cachesize", pointer({ type: "integer", format: "int32" })],
                    ["endpoint", text],
                    ["timeout", pointer({ type: "string", format: "duration" })],
                  ]),
                ),
              ],
            ]),
          ),
        ],
      ]),
    ),
  ],
]);

/** Plugins are of the first version unless they say otherwise. */
function withDefaults({ resources = [] }: Written): EncryptionConfiguration {
  return {
    resources: resources.map((rule) => ({
      resources: rule?.resources ?? [],
      providers: (rule?.providers ?? []).map((provider) => {
        const { kms } = provider ?? {};
        if (kms === undefined) return provider ?? {};
        const apiVersion = kms.apiVersion || "v1";
        const cachesize = kms.cachesize ?? (apiVersion === "v1" ? CACHE_SIZE : undefined);
        return {
          ...provider,
          kms: {
            ...(cachesize !== undefined && { cachesize }),
            apiVersion,
            name: kms.name ?? "",
            endpoint: kms.endpoint ?? "",
            timeout: kms.timeout ?? "3s",
          },
        };
      }),
    })),
  };
}

function check({ resources }: EncryptionConfiguration, reload: boolean): FieldError[] {
  if (resources.length === 0) return [required("resources", "at least one resources is required")];
  const names = new Set<string>();
  return resources.flatMap((rule, i) => {
    const at = `resources[${i}].resources`;
    const providersAt = `resources[${i}].providers`;
    const errors: FieldError[] = [];
    if (rule.resources.length === 0) errors.push(required(at, `at least one ${at} is required`));
    errors.push(
      ...checkOverlap(rule.resources, at),
      ...rule.resources.flatMap((name, j) => checkName(name, `${at}[${j}]`)),
    );
    if (rule.providers.length === 0) errors.push(required(providersAt, `at least one ${providersAt} is required`));
    rule.providers.forEach((provider, j) => {
      const path = `${providersAt}[${j}]`;
      const found = KINDS.filter((kind) => provider[kind] !== undefined);
      if (found.length === 0) errors.push(invalid(path, NO_PROVIDER, NONE));
      else if (found.length > 1)
        errors.push(
          invalid(
            path,
            "REDACTED", // Upstream shows the keys.
            "more than one provider specified in a single element, should split into different list elements",
          ),
        );
      const { kms, aesgcm, aescbc, secretbox } = provider;
      if (kms !== undefined) {
        errors.push(...checkKms(kms, `${path}.kms`, names, reload));
        names.add(kms.name);
      } else if (aesgcm !== undefined) errors.push(...checkKeys(aesgcm.keys, `${path}.aesgcm.keys`, [16, 24, 32]));
      else if (aescbc !== undefined) errors.push(...checkKeys(aescbc.keys, `${path}.aescbc.keys`, [16, 24, 32]));
      else if (secretbox !== undefined) errors.push(...checkKeys(secretbox.keys, `${path}.secretbox.keys`, [32]));
    });
    return errors;
  });
}

export interface GroupResource {
  readonly group: string;
  readonly resource: string;
}
/** `secrets`, `deployments.apps`, `*.apps`, `*.` (the core group), `*.*` */
export function parseGroupResource(text: string): GroupResource {
  const dot = text.indexOf(".");
  return dot < 0 ? { resource: text, group: "" } : { resource: text.slice(0, dot), group: text.slice(dot + 1) };
}

function checkOverlap(resources: readonly string[], at: string): FieldError[] {
  const parsed = resources.map(parseGroupResource);
  let twice = false;
  let overlap = false;
  parsed.forEach((a, i) =>
    parsed.forEach((b, j) => {
      if (i === j) return;
      const same = a.group === b.group && a.resource === b.resource;
      if (same && !twice) twice = true;
      else if (a.group === "*" && a.resource === "*") overlap = true;
      else if (a.group === b.group && (a.resource === "*" || b.resource === "*")) overlap = true;
    }),
  );
  return [
    ...(twice ? [invalid(at, resources, "the same resource cannot be specified multiple times")] : []),
    ...(overlap
      ? [
          invalid(
            at,
            resources,
            "using overlapping resources such as 'secrets' and '*.' in the same resource list is not allowed as they will be masked",
          ),
        ]
      : []),
  ];
}

function checkName(name: string, at: string): FieldError[] {
  const { group, resource } = parseGroupResource(name);
  const wrong =
    name.toLowerCase() !== name
      ? "resource name should not contain capital letters"
      : name === "*"
        ? "use '*.' to encrypt all the resources from core API group or *.* to encrypt all resources"
        : ["apiserveripinfo", "serviceipallocations", "servicenodeportallocations"].includes(name)
          ? "resources which do not have REST API/s cannot be encrypted"
          : group === "events.k8s.io"
            ? "'*.events.k8s.io' objects are stored using the 'events' API group in etcd. Use 'events' instead in the config file"
            : group === "extensions"
              ? "'extensions' group has been removed and cannot be used for encryption"
              : group === "*" && resource !== "*"
                ? "encrypting the same resource across groups is not supported"
                : undefined;
  return wrong === undefined ? [] : [invalid(at, name, wrong)];
}

function checkKeys(keys: readonly Key[] | undefined, at: string, sizes: readonly number[]): FieldError[] {
  if (keys === undefined || keys.length === 0) return [required(at, "at least one keys is required")];
  return keys.flatMap(({ name, secret }, i) => {
    const path = `${at}[${i}]`;
    const errors: FieldError[] = [];
    if ((name ?? "") === "") errors.push(required(`${path}.name`, "name is a mandatory field for a key"));
    if ((secret ?? "") === "") errors.push(required(`${path}.secret`, "secret is a mandatory field for a key"));
    else if (!/^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(secret.replaceAll(/[\r\n]/g, "")))
      errors.push(invalid(`${path}.secret`, "REDACTED", "secrets must be base64 encoded"));
    else {
      const { length } = Buffer.from(secret, "base64");
      if (!sizes.includes(length))
        errors.push(
          invalid(
            `${path}.secret`,
            "REDACTED",
            `secret is not of the expected length, got ${length}, expected one of [${sizes.join(" ")}]`,
          ),
        );
    }
    return errors;
  });
}

function checkKms(kms: KmsConfiguration, path: string, names: ReadonlySet<string>, reload: boolean): FieldError[] {
  const { name, apiVersion, endpoint, timeout, cachesize } = kms;
  const errors: FieldError[] = [];
  if (name === "") errors.push(required(`${path}.name`, "name is a mandatory field for a provider"));
  if (apiVersion !== "v1" && name.includes(":"))
    errors.push(invalid(`${path}.name`, name, `invalid KMS provider name ${name}, must not contain ':'`));
  if ((reload || apiVersion !== "v1") && names.has(name))
    errors.push(invalid(`${path}.name`, name, `duplicate KMS provider name ${name}, names must be unique`));
  if (durationMs(timeout) <= 0) errors.push(invalid(`${path}.timeout`, timeout, "timeout should be a positive value"));
  errors.push(...checkEndpoint(endpoint, `${path}.endpoint`));
  if (apiVersion !== "v1" && cachesize !== undefined)
    errors.push(invalid(`${path}.cachesize`, cachesize, "cachesize is not supported in v2"));
  if (apiVersion === "v1" && cachesize === 0)
    errors.push(
      invalid(`${path}.cachesize`, cachesize, "cachesize should be a positive value, or negative to disable"),
    );
  if (apiVersion !== "v1" && apiVersion !== "v2")
    errors.push(
      invalid(
        `${path}.apiVersion`,
        apiVersion,
        "unsupported apiVersion apiVersion for KMS provider, only v1 and v2 are supported",
      ),
    );
  return errors;
}

function checkEndpoint(endpoint: string, at: string): FieldError[] {
  if (endpoint === "") return [invalid(at, "", "endpoint is a mandatory field for a kms")];
  const url = parseGoUrl(endpoint);
  if (typeof url === "string") return [invalid(at, endpoint, `invalid endpoint for kms provider, error: ${url}`)];
  if (url.scheme === "unix") return [];
  const why = `unsupported scheme ${JSON.stringify(url.scheme)} for KMS provider, only unix is supported`;
  return [invalid(at, endpoint, why)];
}

export function durationMs(text: string): number {
  try {
    return parseDuration(text) / 1e6;
  } catch {
    return 0;
  }
}

/** A rule that an earlier one leaves nothing to. */
function masked({ resources }: EncryptionConfiguration): void {
  const seen = new Set<string>();
  for (const rule of resources)
    for (const text of rule.resources) {
      const { group } = parseGroupResource(text);
      for (const earlier of [`*.${group}`, "*.*"])
        if (seen.has(earlier))
          throw new Error(
            `error while building transformers: resource ${JSON.stringify(text)} is masked by earlier rule ${JSON.stringify(earlier)}`,
          );
      seen.add(text);
    }
}
