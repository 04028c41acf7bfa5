/** Asks an external service whether a pod may run its images. Upstream: plugin/pkg/admission/imagepolicy */
import { reviewClient } from "../../review-client.ts";
import type { ReviewClient } from "../../review-client.ts";
import { formatDuration } from "../../../machinery/meta/time.ts";
import type { AdmissionContext, AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission, refuse } from "../framework.ts";

const AUDIT_PREFIX = "imagepolicywebhook.image-policy.k8s.io/";
const ANSWERS_MAX = 1024;
const MINUTE = 60_000;

interface Settings {
  readonly allowMs: number;
  readonly denyMs: number;
  readonly backoffMs: number;
  readonly defaultAllow: boolean;
}

interface Kept {
  readonly status: AnyObject;
  readonly until: number;
}

export const imagePolicyWebhook = defineAdmission({
  name: "ImagePolicyWebhook",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE"], resources: ["pods"], subresources: ["ephemeralcontainers"] },
  configure({ configuration, target }) {
    if (configuration === undefined) throw new Error("no config specified");
    const settings = readSettings(configuration);
    const answers = new Map<string, Kept>();
    let client: ReviewClient | undefined;
    return {
      async validate(request, context) {
        const review = reviewOf(request);
        const key = JSON.stringify(review.spec);
        const now = context.clock.monotonic();
        let status = answers.get(key);
        if (status === undefined || status.until <= now) {
          client ??= reviewClient(target!, context, undefined, { firstWaitMs: settings.backoffMs, always: false });
          const asked = await client.review(review);
          if ("error" in asked) return failed(request, context, settings, asked.error);
          const answer: AnyObject = asked.answer["status"] ?? {};
          status = { status: answer, until: now + (answer.allowed === true ? settings.allowMs : settings.denyMs) };
          answers.delete(key);
          answers.set(key, status);
          if (answers.size > ANSWERS_MAX) answers.delete(answers.keys().next().value!);
        }
        const { allowed, reason, auditAnnotations = {} } = status.status;
        for (const [name, value] of Object.entries<string>(auditAnnotations))
          request.annotate?.(`${AUDIT_PREFIX}${name}`, value);
        if (allowed === true) return;
        throw refuse(
          request,
          reason
            ? `image policy webhook backend denied one or more images: ${reason}`
            : "one or more images rejected by webhook backend",
        );
      },
    };
  },
});

function failed(request: AdmissionRequest, { log }: AdmissionContext, settings: Settings, error: string): void {
  if (!settings.defaultAllow) throw refuse(request, error);
  log.info("Image policy webhook can't be asked, the pod may pass", { error });
  request.annotate?.(`${AUDIT_PREFIX}failed-open`, "true");
}

function reviewOf({ object: { metadata, spec }, namespace, subresource }: AdmissionRequest): AnyObject {
  const containers: readonly AnyObject[] =
    subresource === "" ? [...spec.containers, ...(spec.initContainers ?? [])] : (spec.ephemeralContainers ?? []);
  const annotations = Object.fromEntries(
    Object.entries(metadata.annotations ?? {}).filter(([key]) => key.includes(".image-policy.k8s.io/")),
  );
  return {
    kind: "ImageReview",
    apiVersion: "imagepolicy.k8s.io/v1alpha1",
    metadata: { creationTimestamp: null },
    spec: {
      containers: containers.map(({ image }) => ({ image })),
      ...(Object.keys(annotations).length > 0 && { annotations }),
      namespace,
    },
    status: { allowed: false },
  };
}

/** The file gives seconds, and milliseconds of waiting; 0 is the default, -1 none at all. */
function readSettings(configuration: AnyObject): Settings {
  const { allowTTL = 0, denyTTL = 0, retryBackoff = 0, defaultAllow = false } = configuration.imagePolicy ?? {};
  const within = (value: number, unitMs: number, min: number, max: number, otherwise: number): number => {
    if (value === -1) return 0;
    if (value === 0) return otherwise;
    const ms = value * unitMs;
    if (ms >= min && ms <= max) return ms;
    const show = (time: number) => formatDuration(time * 1e6);
    throw new Error(`valid value is between ${show(min)} and ${show(max)}, got ${show(ms)}`);
  };
  return {
    backoffMs: within(retryBackoff, 1, 1e-6, 5 * MINUTE, 500),
    allowMs: within(allowTTL, 1000, 1000, 30 * MINUTE, 5 * MINUTE),
    denyMs: within(denyTTL, 1000, 1000, 30 * MINUTE, 30_000),
    defaultAllow: defaultAllow === true,
  };
}
