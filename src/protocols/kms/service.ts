/**
 * The protocol of key management plugins, and what the API server stores of their responses.
 * Upstream: staging/src/k8s.io/kms/apis/v2/api.proto, pkg/storage/value/encrypt/envelope/kmsv2/v2/api.proto
 */
import type { Codec } from "../../wire/rpc/codec.ts";
import { createCodec } from "../../wire/rpc/codec.ts";
import { grpcClient } from "../../wire/rpc/grpc-client.ts";
import type { Client, MessageType } from "../../wire/rpc/service.ts";
import { defineService, unary } from "../../wire/rpc/service.ts";
import type { World } from "../../world/world.ts";

export type StatusRequest = Readonly<Record<string, never>>;
export interface StatusResponse {
  readonly version: string;
  readonly healthz: string;
  readonly key_id: string;
}
export interface DecryptRequest {
  readonly ciphertext: Uint8Array;
  readonly uid: string;
  readonly key_id: string;
  readonly annotations: Readonly<Record<string, Uint8Array>>;
}
export interface DecryptResponse {
  readonly plaintext: Uint8Array;
}
export interface EncryptRequest {
  readonly plaintext: Uint8Array;
  readonly uid: string;
}
export interface EncryptResponse {
  readonly ciphertext: Uint8Array;
  readonly key_id: string;
  readonly annotations: Readonly<Record<string, Uint8Array>>;
}

/** An object as it is in etcd, behind the provider's prefix. */
export interface EncryptedObject {
  readonly encryptedData: Uint8Array;
  readonly keyID: string;
  readonly encryptedDEKSource: Uint8Array;
  readonly annotations: Readonly<Record<string, Uint8Array>>;
  readonly encryptedDEKSourceType: EncryptedDekSourceType;
}
const SOURCE_TYPES = { AES_GCM_KEY: 0, HKDF_SHA256_XNONCE_AES_GCM_SEED: 1 } as const;
export type EncryptedDekSourceType = keyof typeof SOURCE_TYPES;

const ANNOTATIONS = { type: "bytes", map: { key: "string", value: "bytes" } } as const;

export const StatusRequest: MessageType<StatusRequest> = { name: "v2.StatusRequest", fields: [] };
export const StatusResponse: MessageType<StatusResponse> = {
  name: "v2.StatusResponse",
  fields: [
    { name: "version", number: 1, type: "string" },
    { name: "healthz", number: 2, type: "string" },
    { name: "key_id", number: 3, type: "string" },
  ],
};
export const DecryptRequest: MessageType<DecryptRequest> = {
  name: "v2.DecryptRequest",
  fields: [
    { name: "ciphertext", number: 1, type: "bytes" },
    { name: "uid", number: 2, type: "string" },
    { name: "key_id", number: 3, type: "string" },
    { name: "annotations", number: 4, ...ANNOTATIONS },
  ],
};
export const DecryptResponse: MessageType<DecryptResponse> = {
  name: "v2.DecryptResponse",
  fields: [{ name: "plaintext", number: 1, type: "bytes" }],
};
export const EncryptRequest: MessageType<EncryptRequest> = {
  name: "v2.EncryptRequest",
  fields: [
    { name: "plaintext", number: 1, type: "bytes" },
    { name: "uid", number: 2, type: "string" },
  ],
};
export const EncryptResponse: MessageType<EncryptResponse> = {
  name: "v2.EncryptResponse",
  fields: [
    { name: "ciphertext", number: 1, type: "bytes" },
    { name: "key_id", number: 2, type: "string" },
    { name: "annotations", number: 3, ...ANNOTATIONS },
  ],
};
export const EncryptedObject: MessageType<EncryptedObject> = {
  name: "v2.EncryptedObject",
  fields: [
    { name: "encryptedData", number: 1, type: "bytes" },
    { name: "keyID", number: 2, type: "string" },
    { name: "encryptedDEKSource", number: 3, type: "bytes" },
    { name: "annotations", number: 4, ...ANNOTATIONS },
    { name: "encryptedDEKSourceType", number: 5, type: "v2.EncryptedDEKSourceType" },
  ],
};

export const KeyManagementService = defineService("v2.KeyManagementService", {
  Status: unary(StatusRequest, StatusResponse),
  Decrypt: unary(DecryptRequest, DecryptResponse),
  Encrypt: unary(EncryptRequest, EncryptResponse),
});

export function kmsCodec(): Codec {
  const messages = [
    StatusRequest,
    StatusResponse,
    DecryptRequest,
    DecryptResponse,
    EncryptRequest,
    EncryptResponse,
    EncryptedObject,
  ];
  return createCodec({
    messages: Object.fromEntries(messages.map((message) => [message.name, message])),
    enums: { "v2.EncryptedDEKSourceType": SOURCE_TYPES },
  });
}

export interface KmsClient extends Client<typeof KeyManagementService> {
  close(): Promise<void>;
}

/** `endpoint` as in the configuration: `unix:///path`, or `unix:///@name` for an abstract socket. */
export function connectKms({ net, clock }: Pick<World, "net" | "clock">, endpoint: string): KmsClient {
  const path = endpoint.replace(/^unix:(\/\/)?/, "").replace(/^\/@/, "\0");
  const http = net.httpClient({ base: `unix:${path}`, version: "2" });
  return { ...grpcClient(KeyManagementService, { http, clock, codec: kmsCodec() }), close: () => http.close() };
}
