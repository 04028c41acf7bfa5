/** Finds out who asks; a request that fails to prove who it is ends here. */
import { StatusError } from "../../machinery/status.ts";
import type { Authenticator } from "../authn/authenticator.ts";
import type { Filter } from "../request.ts";

export function authenticate(authenticator: Authenticator): Filter {
  return async (request, next) => {
    // A transport of this process brings its user: it was made for him.
    request.user ??= await authenticator.authenticate(request);
    if (request.user === undefined) throw new StatusError("Unauthorized", "Unauthorized");
    return next(request);
  };
}
