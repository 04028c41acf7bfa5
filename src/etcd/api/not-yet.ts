import { RpcError } from "../../wire/rpc/service.ts";

/** A method that comes with a later part, answered as a server that doesn't know it. */
export function notYet(service: string, method: string): () => never {
  return () => {
    throw new RpcError("Unimplemented", `unknown method ${method} for service ${service}`);
  };
}
