/**
 * Volumes put together from several sources: each brings files, and no two may bring the same.
 * Upstream: pkg/apis/core/validation/validation.go (validateProjectionSources)
 */
import { checkSignerName, checkText, validateLabelSelector } from "../../../../../machinery/validation/checks.ts";
import {
  type FieldError,
  fieldForbidden,
  invalid,
  notSupported,
  required,
  tooLong,
} from "../../../../../machinery/validation/field-error.ts";
import { isDns1123Subdomain, isQualifiedName } from "../../../../../machinery/validation/names.ts";
import { sortedEntries } from "../../../../../machinery/validation/object-meta.ts";
import type {
  ClusterTrustBundleProjection,
  PodCertificateProjection,
  ProjectedVolumeSource,
  ServiceAccountTokenProjection,
  VolumeProjection,
} from "../../../../generated/core.v1.ts";
import { internalValue, selectorValue } from "../../../../internal-value.ts";
import { checkMode, validateDownwardFile, validateKeyToPath } from "./volume-files.ts";
import { isNonReservedPath } from "./volume-sources.ts";

/** What one source says is wrong, and the files it brings: each with the value that a clash is told with. */
interface Files {
  take(file: string, shown?: string): readonly FieldError[];
}

export function validateProjected(
  { sources = [], defaultMode }: ProjectedVolumeSource,
  path: string,
  { allowOddTokenPath }: { readonly allowOddTokenPath: boolean },
): FieldError[] {
  const taken = new Set<string>();
  const files: Files = {
    take(file, shown = file) {
      if (taken.has(file)) return [invalid(path, shown, "conflicting duplicate paths")];
      taken.add(file);
      return [];
    },
  };
  return [
    ...checkMode(defaultMode, `${path}.defaultMode`),
    ...sources.flatMap((source, i) => {
      const at = `${path}.sources[${i}]`;
      const { serviceAccountToken, clusterTrustBundle, podCertificate } = source;
      return [
        ...validateKeys(source, at, files),
        ...validateDownward(source, at, files),
        ...(serviceAccountToken === undefined
          ? []
          : validateToken(serviceAccountToken, `${at}.serviceAccountToken`, path, allowOddTokenPath)),
        ...(clusterTrustBundle === undefined
          ? []
          : validateTrustBundle(clusterTrustBundle, `${at}.clusterTrustBundle`, files)),
        ...(podCertificate === undefined ? [] : validatePodCertificate(podCertificate, `${at}.podCertificate`, files)),
        ...(Object.values(source).filter((one) => one !== undefined).length > 1
          ? [fieldForbidden(at, "may not specify more than 1 volume type per source")]
          : []),
      ];
    }),
  ];
}

function validateKeys(source: VolumeProjection, path: string, files: Files): FieldError[] {
  const errors: FieldError[] = [];
  for (const kind of ["secret", "configMap"] as const) {
    const projection = source[kind];
    if (projection === undefined) continue;
    if (!projection.name) errors.push(required(`${path}.${kind}.name`));
    for (const [i, item] of (projection.items ?? []).entries()) {
      errors.push(...validateKeyToPath(item, `${path}.${kind}.items[${i}]`));
      if (item.path) errors.push(...files.take(item.path, projection.name ?? ""));
    }
  }
  return errors;
}

function validateDownward({ downwardAPI }: VolumeProjection, path: string, files: Files): FieldError[] {
  return (downwardAPI?.items ?? []).flatMap((file) => [
    ...validateDownwardFile(file, `${path}.downwardAPI`),
    ...(file.path ? files.take(file.path) : []),
  ]);
}

/** The path of a token's file is told at the volume. */
function validateToken(
  { expirationSeconds = 3600, path: file }: ServiceAccountTokenProjection,
  path: string,
  volumePath: string,
  allowOddPath: boolean,
): FieldError[] {
  const errors: FieldError[] = [];
  const at = `${path}.expirationSeconds`;
  if (expirationSeconds < 600)
    errors.push(invalid(at, expirationSeconds, "may not specify a duration less than 10 minutes"));
  if (expirationSeconds > 2 ** 32)
    errors.push(invalid(at, expirationSeconds, "may not specify a duration larger than 2^32 seconds"));
  if (!file) errors.push(required(`${volumePath}.path`));
  else if (!allowOddPath) errors.push(...checkText(file, `${volumePath}.path`, isNonReservedPath));
  return errors;
}

function validateTrustBundle(bundle: ClusterTrustBundleProjection, path: string, files: Files): FieldError[] {
  const { name, signerName, labelSelector, path: file } = bundle;
  const errors: FieldError[] = [];
  if (name !== undefined && signerName !== undefined)
    errors.push(
      invalid(
        path,
        internalValue(bundle, "io.k8s.api.core.v1.ClusterTrustBundleProjection"),
        "only one of name and signerName may be used",
      ),
    );
  else if (name !== undefined) {
    if (name === "") errors.push(required(`${path}.name`, "must be a valid object name"));
    // The name of a signer's bundle starts with the signer's.
    for (const message of isDns1123Subdomain(name.slice(name.lastIndexOf(":") + 1)))
      errors.push(invalid(`${path}.name`, name, `not a valid clustertrustbundlename: ${message}`));
    if (labelSelector !== undefined)
      errors.push(
        invalid(
          `${path}.labelSelector`,
          selectorValue(labelSelector),
          "labelSelector must be unset if name is specified",
        ),
      );
  } else if (signerName !== undefined) {
    if (signerName === "") errors.push(required(`${path}.signerName`, "must be a valid signer name"));
    errors.push(
      ...checkSignerName(signerName, `${path}.signerName`),
      ...validateLabelSelector(labelSelector, `${path}.labelSelector`),
    );
  } else errors.push(required(path, "either name or signerName must be specified"));
  if (!file) errors.push(required(`${path}.path`));
  return [...errors, ...checkText(file ?? "", `${path}.path`, isNonReservedPath), ...files.take(file ?? "")];
}

const KEY_TYPES: readonly string[] = ["RSA3072", "RSA4096", "ECDSAP256", "ECDSAP384", "ECDSAP521", "ED25519"];
const MIN_EXPIRATION = 3600;
const MAX_EXPIRATION = 91 * 86400;
/** What is signed by the cluster's own signers lives a day. */
const MAX_OWN_EXPIRATION = 86400;
const MAX_ANNOTATIONS = 262144;

function validatePodCertificate(certificate: PodCertificateProjection, path: string, files: Files): FieldError[] {
  const { signerName = "", keyType, maxExpirationSeconds, userAnnotations } = certificate;
  const errors = checkSignerName(signerName, `${path}.signerName`);
  if (userAnnotations !== undefined)
    errors.push(...validateUserAnnotations(userAnnotations, `${path}.userAnnotations`));
  if (!KEY_TYPES.includes(keyType)) errors.push(notSupported(`${path}.keyType`, keyType ?? "", KEY_TYPES));
  if (maxExpirationSeconds !== undefined) {
    const at = `${path}.maxExpirationSeconds`;
    const host = signerName.split("/", 1)[0]!;
    const own = host === "kubernetes.io" || host.endsWith(".kubernetes.io");
    const most = own ? MAX_OWN_EXPIRATION : MAX_EXPIRATION;
    if (maxExpirationSeconds < MIN_EXPIRATION)
      errors.push(invalid(at, maxExpirationSeconds, `if provided, maxExpirationSeconds must be >= ${MIN_EXPIRATION}`));
    if (maxExpirationSeconds > most)
      errors.push(invalid(at, maxExpirationSeconds, `if provided, maxExpirationSeconds must be <= ${most}`));
  }
  const fields = ["credentialBundlePath", "keyPath", "certificateChainPath"] as const;
  for (const field of fields) {
    const file = certificate[field];
    if (file) errors.push(...checkText(file, `${path}.${field}`, isNonReservedPath), ...files.take(file));
  }
  if (fields.every((field) => !certificate[field]))
    errors.push(required(path, "specify at least one of credentialBundlePath, keyPath, and certificateChainPath"));
  return errors;
}

function validateUserAnnotations(annotations: Readonly<Record<string, string>>, path: string): FieldError[] {
  const entries = sortedEntries(annotations);
  const size = entries.reduce((sum, [key, value]) => sum + Buffer.byteLength(key) + Buffer.byteLength(value), 0);
  return [
    ...entries.flatMap(([key]) => checkDomainPrefixedKey(key.toLowerCase(), path)),
    ...(size > MAX_ANNOTATIONS ? [tooLong(path, MAX_ANNOTATIONS)] : []),
  ];
}

function checkDomainPrefixedKey(key: string, path: string): FieldError[] {
  if (key === "") return [required(path)];
  const errors = checkText(key, path, isQualifiedName);
  if (errors.length > 0 || key.includes("/")) return errors;
  return [invalid(path, key, 'must be a domain-prefixed key (such as "acme.io/foo")')];
}
