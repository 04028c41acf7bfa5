/**
 * Spans of requests and of their calls to etcd and admission, exported to a collector. The current span follows asynchronous work by itself; where
 * tracing is off, none of this is on any path.
 * Upstream: staging/src/k8s.io/component-base/tracing, go.opentelemetry.io/otel/sdk/trace
 */
import { AsyncLocalStorage } from "node:async_hooks";
import { parse } from "yaml";
import { invalid } from "../../machinery/validation/field-error.ts";
import type { Logger } from "../../observe/log.ts";
import type { KeyValue, OtlpSpan } from "../../protocols/otlp/service.ts";
import { connectCollector } from "../../protocols/otlp/service.ts";
import { every } from "../../world/time.ts";
import type { World } from "../../world/world.ts";

export interface TracingConfiguration {
  readonly endpoint: string;
  /** Undefined: only what a caller wants traced. */
  readonly samplingRatePerMillion: number | undefined;
}

const BATCH_MS = 5_000;
const BATCH_MAX = 512;
const QUEUE_MAX = 2_048;
const EXPORT_MS = 10_000;
const SERVER = 2;
const CLIENT = 3;
const INTERNAL = 1;

/** Throws with upstream's words. */
export function parseTracing(text: string): TracingConfiguration {
  const value: any = parse(text) ?? {};
  const { apiVersion = "", kind = "", endpoint, samplingRatePerMillion: rate } = value;
  if (kind !== "TracingConfiguration" || !/^apiserver\.(?:config\.)?k8s\.io\/(?:v1|v1beta1|v1alpha1)$/.test(apiVersion))
    throw new Error(
      `failed to read tracing config: unable to decode tracing configuration data: no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`,
    );
  const errors = [];
  if (rate !== undefined && rate < 0)
    errors.push(invalid("samplingRatePerMillion", rate, "sampling rate must be positive"));
  if (rate > 1_000_000)
    errors.push(
      invalid("samplingRatePerMillion", rate, "sampling rate per million must be less than or equal to one million"),
    );
  const scheme = /^([a-z-]+):\/\//.exec(endpoint ?? "")?.[1];
  if (scheme !== undefined && !["dns", "unix", "unix-abstract"].includes(scheme))
    errors.push(
      invalid("endpoint", endpoint, `unsupported scheme: ${scheme}.  Options are none, dns, unix, or unix-abstract`),
    );
  if (errors.length > 0)
    throw new Error(
      `failed to validate tracing configuration: ${errors.map(({ field, message }) => `${field}: ${message}`).join(", ")}`,
    );
  return { endpoint: endpoint ?? "localhost:4317", samplingRatePerMillion: rate };
}

export interface SpanContext {
  readonly traceId: Uint8Array;
  readonly spanId: Uint8Array;
  readonly sampled: boolean;
}

export type Attributes = Readonly<Record<string, string | number | boolean | undefined>>;

/** One piece of work. One that isn't sampled only carries its context on. */
export interface Span {
  readonly context: SpanContext;
  set(attributes: Attributes): void;
  fail(error: unknown): void;
  end(): void;
}

export interface TracingDeps extends Pick<World, "clock" | "random" | "net"> {
  readonly log: Logger;
}

export class Tracing {
  readonly #deps: TracingDeps;
  readonly #configuration: TracingConfiguration;
  readonly #resource: readonly KeyValue[];
  readonly #current = new AsyncLocalStorage<Span>();
  #ended: OtlpSpan[] = [];
  readonly #epochMs: number;

  constructor(configuration: TracingConfiguration, instance: string, deps: TracingDeps) {
    this.#configuration = configuration;
    this.#deps = deps;
    this.#epochMs = deps.clock.now() - deps.clock.monotonic();
    this.#resource = keyValues({ "service.name": "apiserver", "service.instance.id": instance });
  }

  /** Runs `work` in a span below the one at work. Without one above there is nothing to be part of. */
  async within<T>(name: string, attributes: Attributes, work: (span: Span | undefined) => Promise<T>): Promise<T> {
    const above = this.#current.getStore();
    if (above === undefined) return work(undefined);
    return this.#run(this.#start(name, attributes, INTERNAL, above.context, undefined), work);
  }

  /** As `within`, of a call to another: what to send along is in `traceparent`. */
  async calling<T>(name: string, attributes: Attributes, work: (traceparent?: string) => Promise<T>): Promise<T> {
    const above = this.#current.getStore();
    if (above === undefined) return work();
    const span = this.#start(name, attributes, CLIENT, above.context, undefined);
    return this.#run(span, () => work(formatTraceparent(span.context)));
  }

  /** The span of a request. It continues the trace of a trusted client, and only links to that of any other. */
  serve<T>(
    name: string,
    attributes: Attributes,
    from: { readonly traceparent: string | undefined; readonly trusted: boolean },
    work: (span: Span) => Promise<T>,
  ): Promise<T> {
    const remote = from.traceparent === undefined ? undefined : parseTraceparent(from.traceparent);
    const span = from.trusted
      ? this.#start(name, attributes, SERVER, remote, undefined)
      : this.#start(name, attributes, SERVER, undefined, remote);
    return this.#current.run(span, () => work(span));
  }

  #run<T>(span: Span, work: (span: Span) => Promise<T>): Promise<T> {
    return this.#current.run(span, async () => {
      try {
        return await work(span);
      } catch (error) {
        span.fail(error);
        throw error;
      } finally {
        span.end();
      }
    });
  }

  #start(
    name: string,
    attributes: Attributes,
    kind: number,
    parent: SpanContext | undefined,
    link: SpanContext | undefined,
  ): Span {
    const { random } = this.#deps;
    const traceId = parent?.traceId ?? random.bytes(16);
    const sampled = parent?.sampled ?? this.#isSampled(traceId);
    const context = { traceId, spanId: random.bytes(8), sampled };
    if (!sampled) return { context, set() {}, fail() {}, end() {} };
    const started = this.#nanoseconds();
    let more = attributes;
    let status: OtlpSpan["status"];
    let ended = false;
    return {
      context,
      set: (added) => void (more = { ...more, ...added }),
      fail: (error) => void (status = { code: 2, message: error instanceof Error ? error.message : String(error) }),
      end: () => {
        if (ended) return;
        ended = true;
        if (this.#ended.length >= QUEUE_MAX) return;
        this.#ended.push({
          trace_id: traceId,
          span_id: context.spanId,
          trace_state: "",
          parent_span_id: parent?.spanId ?? new Uint8Array(),
          name,
          kind,
          start_time_unix_nano: started,
          end_time_unix_nano: this.#nanoseconds(),
          attributes: keyValues(more),
          links: link === undefined ? [] : [{ trace_id: link.traceId, span_id: link.spanId }],
          status,
        });
      },
    };
  }

  /** The second half of the trace's id decides: all who see it decide alike. */
  #isSampled(traceId: Uint8Array): boolean {
    const rate = this.#configuration.samplingRatePerMillion ?? 0;
    if (rate <= 0) return false;
    if (rate >= 1_000_000) return true;
    const half = Buffer.from(traceId.buffer, traceId.byteOffset + 8, 8).readBigUInt64BE() >> 1n;
    return Number(half) < (rate / 1_000_000) * 2 ** 63;
  }

  #nanoseconds(): number {
    return Math.round((this.#epochMs + this.#deps.clock.monotonic()) * 1e6);
  }

  /** Sends what has ended every five seconds; what can't be sent is lost. */
  async run(signal: AbortSignal): Promise<void> {
    const { clock, log } = this.#deps;
    const client = connectCollector(this.#deps, this.#configuration.endpoint);
    const send = async () => {
      while (this.#ended.length > 0) {
        const spans = this.#ended.slice(0, BATCH_MAX);
        this.#ended = this.#ended.slice(spans.length);
        try {
          await client.Export(
            {
              resource_spans: [
                {
                  resource: { attributes: this.#resource },
                  scope_spans: [{ scope: { name: "k8s.io/apiserver" }, spans }],
                },
              ],
            },
            { timeoutMs: EXPORT_MS },
          );
        } catch (error) {
          log.v(1).info("Spans can't be sent", { count: spans.length, error: String(error) });
        }
      }
    };
    try {
      await every(clock, BATCH_MS, signal, send);
      await send();
    } finally {
      await client.close();
    }
  }
}

const TRACEPARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

export function parseTraceparent(text: string): SpanContext | undefined {
  const match = TRACEPARENT.exec(text.trim());
  if (match === null || match[1] === "ff" || (match[1] === "00" && match[5] !== undefined)) return undefined;
  if (/^0+$/.test(match[2]!) || /^0+$/.test(match[3]!)) return undefined;
  return {
    traceId: Buffer.from(match[2]!, "hex"),
    spanId: Buffer.from(match[3]!, "hex"),
    sampled: (Number.parseInt(match[4]!, 16) & 1) === 1,
  };
}

export function formatTraceparent({ traceId, spanId, sampled }: SpanContext): string {
  const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
  return `00-${hex(traceId)}-${hex(spanId)}-0${sampled ? 1 : 0}`;
}

function keyValues(attributes: Attributes): readonly KeyValue[] {
  return Object.entries(attributes).flatMap(([key, value]): readonly KeyValue[] => {
    if (value === undefined) return [];
    if (typeof value === "string") return [{ key, value: { string_value: value } }];
    return [{ key, value: typeof value === "boolean" ? { bool_value: value } : { int_value: value } }];
  });
}
