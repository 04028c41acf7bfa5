/**
 * Limits the rate of event writes: for the whole server, per namespace, per user, or per source and object.
 * Upstream: plugin/pkg/admission/eventratelimit
 */
import { StatusError } from "../../../machinery/status.ts";
import type { FieldError } from "../../../machinery/validation/field-error.ts";
import { invalid, notSupported } from "../../../machinery/validation/field-error.ts";
import type { AdmissionRequest, AnyObject } from "../framework.ts";
import { defineAdmission } from "../framework.ts";
import { listErrors } from "../configuration.ts";

const TYPES = ["Namespace", "Server", "SourceAndObject", "User"] as const;
type Type = (typeof TYPES)[number];
const CACHE_SIZE = 4096;

interface Limit {
  readonly type: Type;
  readonly qps: number;
  readonly burst: number;
  readonly cacheSize: number;
}

export const eventRateLimit = defineAdmission({
  name: "EventRateLimit",
  onByDefault: false,
  handles: { operations: ["CREATE", "UPDATE"], resources: ["events", "events.events.k8s.io"] },
  configure({ configuration }) {
    const limiters = readLimits(configuration).map((limit) => new Limiter(limit));
    return {
      validate(request, { clock }) {
        if (request.dryRun) return;
        const now = clock.monotonic();
        // Each counts it, whether another refuses it or not.
        const reached = limiters.flatMap((limiter) => limiter.refuses(request, now) ?? []);
        if (reached.length > 0) throw new StatusError("TooManyRequests", listErrors(reached));
      },
    };
  },
});

function readLimits(configuration: AnyObject): readonly Limit[] {
  const limits: readonly AnyObject[] = configuration?.limits ?? [];
  const errors: FieldError[] = [];
  if (limits.length === 0) errors.push(invalid("limits", null, "must not be empty"));
  for (const [i, { type = "", burst = 0, qps = 0, cacheSize = 0 }] of limits.entries()) {
    if (!TYPES.includes(type)) errors.push(notSupported(`limits[${i}].type`, type, TYPES));
    if (burst <= 0) errors.push(invalid(`limits[${i}].burst`, burst, "must be positive"));
    if (qps <= 0) errors.push(invalid(`limits[${i}].qps`, qps, "must be positive"));
    if (type !== "Server" && cacheSize < 0)
      errors.push(invalid(`limits[${i}].cacheSize`, cacheSize, "must not be negative"));
  }
  if (errors.length > 0) throw new Error(listErrors(errors.map(({ field, message }) => `${field}: ${message}`)));
  return limits.map(({ type, qps, burst, cacheSize }) => ({ type, qps, burst, cacheSize: cacheSize || CACHE_SIZE }));
}

/** A bucket of allowances for each key, filled at a steady pace; of many keys the one longest unused is forgotten. */
class Limiter {
  readonly #limit: Limit;
  readonly #buckets = new Map<string, { allowance: number; at: number }>();

  constructor(limit: Limit) {
    this.#limit = limit;
  }

  refuses(request: AdmissionRequest, now: number): string | undefined {
    const { type, qps, burst, cacheSize } = this.#limit;
    const key = keyOf(type, request);
    const bucket = this.#buckets.get(key) ?? { allowance: burst, at: now };
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > cacheSize) this.#buckets.delete(this.#buckets.keys().next().value!);
    bucket.allowance = Math.min(burst, bucket.allowance + ((now - bucket.at) / 1000) * qps);
    bucket.at = now;
    if (bucket.allowance < 1) return `limit reached on type ${type} for key ${key}`;
    bucket.allowance--;
    return undefined;
  }
}

function keyOf(type: Type, { namespace, user, object }: AdmissionRequest): string {
  switch (type) {
    case "Server":
      return "";
    case "Namespace":
      return namespace;
    case "User":
      return user.name;
    case "SourceAndObject": {
      // The two groups of events call them by different names.
      const source = object.source ?? object.deprecatedSource ?? {};
      const about = object.involvedObject ?? object.regarding ?? {};
      return [source.component, source.host, about.kind, about.namespace, about.name, about.uid, about.apiVersion].join(
        "",
      );
    }
  }
}
