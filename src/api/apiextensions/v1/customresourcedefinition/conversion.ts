/** The conversion strategy of a definition. Upstream: pkg/apis/apiextensions/validation/validation.go */
import { X509Certificate } from "node:crypto";
import { isTrue } from "../../../../machinery/meta/conditions.ts";
import { checkPlainWord } from "../../../../machinery/validation/checks.ts";
import { type FieldError, fieldForbidden, invalid, required } from "../../../../machinery/validation/field-error.ts";
import { isDns1035Label } from "../../../../machinery/validation/names.ts";
import { validateClientConfig } from "../../../admissionregistration/v1/validation.ts";
import type {
  CustomResourceConversion,
  CustomResourceDefinition,
  WebhookClientConfig,
} from "../../../generated/apiextensions.v1.ts";

/** What an update needn't mend. */
export interface ConversionOptions {
  readonly requireKnownReview: boolean;
  readonly mayHaveBadBundle: boolean;
}

export const NEW_CONVERSION: ConversionOptions = { requireKnownReview: true, mayHaveBadBundle: true };

export function conversionOptions({ spec, status }: CustomResourceDefinition): ConversionOptions {
  const { clientConfig, conversionReviewVersions = [] } = spec.conversion?.webhook ?? {};
  const { caBundle = "" } = clientConfig ?? {};
  return {
    requireKnownReview: conversionReviewVersions.length === 0 || conversionReviewVersions.some(isKnown),
    mayHaveBadBundle:
      isTrue(status, "Established") !== true || (caBundle !== "" && bundleError(caBundle) !== undefined),
  };
}

const KNOWN = ["v1", "v1beta1"];
const isKnown = (version: string): boolean => KNOWN.includes(version);

export function validateConversion(
  conversion: CustomResourceConversion,
  path: string,
  options: ConversionOptions,
): FieldError[] {
  const errors = checkPlainWord(conversion.strategy, `${path}.strategy`, ["None", "Webhook"]);
  const { clientConfig, conversionReviewVersions = [] } = conversion.webhook ?? {};
  const [ofClient, ofReviews] = [`${path}.webhookClientConfig`, `${path}.conversionReviewVersions`];
  if (conversion.strategy !== "Webhook") {
    const detail = "should not be set when strategy is not set to Webhook";
    if (clientConfig !== undefined) errors.push(fieldForbidden(ofClient, detail));
    if (conversionReviewVersions.length > 0) errors.push(fieldForbidden(ofReviews, detail));
    return errors;
  }
  if (clientConfig === undefined) errors.push(required(ofClient, "required when strategy is set to Webhook"));
  else errors.push(...validateClient(clientConfig, ofClient, options));
  return [...errors, ...validateReviews(conversionReviewVersions, ofReviews, options)];
}

function validateClient(
  config: WebhookClientConfig,
  path: string,
  { mayHaveBadBundle }: ConversionOptions,
): FieldError[] {
  const errors = validateClientConfig(config as Parameters<typeof validateClientConfig>[0], path);
  const { caBundle = "" } = config;
  const wrong = mayHaveBadBundle || caBundle === "" ? undefined : bundleError(caBundle);
  return wrong === undefined ? errors : [...errors, invalid(`${path}.caBundle`, caBundle, wrong)];
}

/** What Go says to certificates that it can't load. */
function bundleError(base64: string): string | undefined {
  const text = Buffer.from(base64, "base64").toString("latin1");
  const blocks = text.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
  if (blocks.some(isCertificate)) return undefined;
  const why = /-----BEGIN [^-]+-----[^-]*-----END [^-]+-----/.test(text)
    ? "failed to parse certificate: x509: malformed certificate"
    : "unable to parse bytes as PEM block";
  return `unable to load root certificates: ${why}`;
}

function isCertificate(pem: string): boolean {
  try {
    return new X509Certificate(pem).raw.length > 0;
  } catch {
    return false;
  }
}

function validateReviews(
  versions: readonly string[],
  path: string,
  { requireKnownReview }: ConversionOptions,
): FieldError[] {
  if (versions.length === 0) return [required(path)];
  const errors = versions.flatMap((version, i) =>
    versions.indexOf(version) < i
      ? [invalid(`${path}[${i}]`, version, "duplicate version")]
      : isDns1035Label(version).map((message) => invalid(`${path}[${i}]`, version, message)),
  );
  if (requireKnownReview && !versions.some(isKnown))
    errors.push(invalid(path, versions, `must include at least one of ${KNOWN.join(", ")}`));
  return errors;
}
