/** The part of OTLP over gRPC that an exporter of spans uses. Upstream: github.com/open-telemetry/opentelemetry-proto */
import type { Codec } from "../../wire/rpc/codec.ts";
import { createCodec } from "../../wire/rpc/codec.ts";
import { grpcClient } from "../../wire/rpc/grpc-client.ts";
import type { Client, MessageField, MessageType } from "../../wire/rpc/service.ts";
import { defineService, unary } from "../../wire/rpc/service.ts";
import type { World } from "../../world/world.ts";

export interface AnyValue {
  readonly string_value?: string;
  readonly bool_value?: boolean;
  readonly int_value?: number;
}
export interface KeyValue {
  readonly key: string;
  readonly value: AnyValue | undefined;
}
export interface OtlpSpan {
  readonly trace_id: Uint8Array;
  readonly span_id: Uint8Array;
  readonly trace_state: string;
  readonly parent_span_id: Uint8Array;
  readonly name: string;
  /** 1 internal, 2 server, 3 client */
  readonly kind: number;
  readonly start_time_unix_nano: number;
  readonly end_time_unix_nano: number;
  readonly attributes: readonly KeyValue[];
  readonly links: readonly { readonly trace_id: Uint8Array; readonly span_id: Uint8Array }[];
  /** Code 0 unset, 2 error. */
  readonly status: { readonly message: string; readonly code: number } | undefined;
}
export interface ExportRequest {
  readonly resource_spans: readonly {
    readonly resource: { readonly attributes: readonly KeyValue[] } | undefined;
    readonly scope_spans: readonly {
      readonly scope: { readonly name: string } | undefined;
      readonly spans: readonly OtlpSpan[];
    }[];
  }[];
}
export type ExportResponse = Readonly<Record<string, never>>;

const TRACE = "opentelemetry.proto.trace.v1";
const COMMON = "opentelemetry.proto.common.v1";
const COLLECTOR = "opentelemetry.proto.collector.trace.v1";

const field = (name: string, number: number, type: string, more: Partial<MessageField> = {}): MessageField => ({
  name,
  number,
  type,
  ...more,
});
const many = { repeated: true } as const;
const message = (name: string, ...fields: readonly MessageField[]): MessageType<any> => ({ name, fields });

const MESSAGES = [
  message(
    `${COMMON}.AnyValue`,
    field("string_value", 1, "string", { oneof: "value" }),
    field("bool_value", 2, "bool", { oneof: "value" }),
    field("int_value", 3, "int64", { oneof: "value" }),
  ),
  message(`${COMMON}.KeyValue`, field("key", 1, "string"), field("value", 2, `${COMMON}.AnyValue`)),
  message(`${COMMON}.InstrumentationScope`, field("name", 1, "string")),
  message("opentelemetry.proto.resource.v1.Resource", field("attributes", 1, `${COMMON}.KeyValue`, many)),
  message(`${TRACE}.Status`, field("message", 2, "string"), field("code", 3, "int32")),
  message(`${TRACE}.Link`, field("trace_id", 1, "bytes"), field("span_id", 2, "bytes")),
  message(
    `${TRACE}.Span`,
    field("trace_id", 1, "bytes"),
    field("span_id", 2, "bytes"),
    field("trace_state", 3, "string"),
    field("parent_span_id", 4, "bytes"),
    field("name", 5, "string"),
    field("kind", 6, "int32"),
    field("start_time_unix_nano", 7, "fixed64"),
    field("end_time_unix_nano", 8, "fixed64"),
    field("attributes", 9, `${COMMON}.KeyValue`, many),
    field("links", 13, `${TRACE}.Link`, many),
    field("status", 15, `${TRACE}.Status`),
  ),
  message(
    `${TRACE}.ScopeSpans`,
    field("scope", 1, `${COMMON}.InstrumentationScope`),
    field("spans", 2, `${TRACE}.Span`, many),
  ),
  message(
    `${TRACE}.ResourceSpans`,
    field("resource", 1, "opentelemetry.proto.resource.v1.Resource"),
    field("scope_spans", 2, `${TRACE}.ScopeSpans`, many),
  ),
];

const ExportRequest: MessageType<ExportRequest> = message(
  `${COLLECTOR}.ExportTraceServiceRequest`,
  field("resource_spans", 1, `${TRACE}.ResourceSpans`, many),
);
const ExportResponse: MessageType<ExportResponse> = message(`${COLLECTOR}.ExportTraceServiceResponse`);

export const TraceService = defineService(`${COLLECTOR}.TraceService`, {
  Export: unary(ExportRequest, ExportResponse),
});

export function otlpCodec(): Codec {
  const all = [...MESSAGES, ExportRequest, ExportResponse];
  return createCodec({ messages: Object.fromEntries(all.map((one) => [one.name, one])), enums: {} });
}

export interface TraceClient extends Client<typeof TraceService> {
  close(): Promise<void>;
}

/** `host:port`, or with a scheme as gRPC names its targets (`dns:///host:port`, `unix:///path`). */
export function connectCollector({ net, clock }: Pick<World, "net" | "clock">, endpoint: string): TraceClient {
  const base = endpoint.startsWith("unix:")
    ? endpoint.replace(/^unix:(\/\/)?/, "unix:")
    : `http://${endpoint.replace(/^(?:dns|passthrough|http):\/{2,3}/, "")}`;
  const http = net.httpClient({ base, version: "2" });
  return { ...grpcClient(TraceService, { http, clock, codec: otlpCodec() }), close: () => http.close() };
}
