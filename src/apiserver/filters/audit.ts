/** Each request has an id, the client's or a new one; the audit log will hang here. */
import type { Random } from "../../world/world.ts";
import { uuid } from "../../world/world.ts";
import type { Filter } from "../request.ts";

export function auditId(random: Random): Filter {
  return (request, next) => {
    // Nobody in this process looks at headers.
    if (request.exchange !== undefined)
      request.responseHeaders.set("audit-id", request.header("audit-id")?.slice(0, 64) || uuid(random));
    return next(request);
  };
}
