/** Connects to a container runtime at its unix socket. */
import { createCodec, type Codec } from "../../wire/rpc/codec.ts";
import { grpcClient } from "../../wire/rpc/grpc-client.ts";
import type { Client } from "../../wire/rpc/service.ts";
import type { World } from "../../world/world.ts";
import { enums, ImageService, messages, RuntimeService } from "./generated.ts";

export interface CriClient {
  readonly runtime: Client<typeof RuntimeService>;
  readonly images: Client<typeof ImageService>;
  close(): Promise<void>;
}

export function criCodec(): Codec {
  return createCodec({ messages, enums });
}

/** `socketPath` may be given as `unix:///path`, as kubelet's `--container-runtime-endpoint` has it. */
export function connectCri({ net, clock }: Pick<World, "net" | "clock">, socketPath: string): CriClient {
  const path = socketPath.replace(/^unix:(\/\/)?/, "");
  const http = net.httpClient({ base: `unix:${path}`, version: "2" });
  // kubelet takes answers of 16 MiB; many containers' lists may be larger than gRPC's default.
  const grpc = { http, clock, codec: criCodec(), maxResponseBytes: 16 << 20 };
  return {
    runtime: grpcClient(RuntimeService, grpc),
    images: grpcClient(ImageService, grpc),
    close: () => http.close(),
  };
}
