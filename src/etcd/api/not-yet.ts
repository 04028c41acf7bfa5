/** A method that is missing here, answered as a server that doesn't know it. */
import { RpcError } from "../../wire/rpc/service.ts";

export function notYet(service: string, method: string): () => never {
  return () => {
    throw new RpcError("Unimplemented", `unknown method ${method} for service ${service}`);
  };
}
