/** Connects to a CSI driver at its unix socket. */
import { createCodec, type Codec } from "../../wire/rpc/codec.ts";
import { grpcClient } from "../../wire/rpc/grpc-client.ts";
import type { Client } from "../../wire/rpc/service.ts";
import type { World } from "../../world/world.ts";
import { Controller, enums, Identity, messages, Node } from "./generated.ts";

export interface CsiClient {
  readonly identity: Client<typeof Identity>;
  readonly node: Client<typeof Node>;
  readonly controller: Client<typeof Controller>;
  close(): Promise<void>;
}

export function csiCodec(): Codec {
  return createCodec({ messages, enums });
}

/** `socketPath` may be given as `unix:///path`. */
export function connectCsi({ net, clock }: Pick<World, "net" | "clock">, socketPath: string): CsiClient {
  const http = net.httpClient({ base: `unix:${socketPath.replace(/^unix:(\/\/)?/, "")}`, version: "2" });
  const grpc = { http, clock, codec: csiCodec() };
  return {
    identity: grpcClient(Identity, grpc),
    node: grpcClient(Node, grpc),
    controller: grpcClient(Controller, grpc),
    close: () => http.close(),
  };
}
