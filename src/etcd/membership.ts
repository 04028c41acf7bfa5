/** Moved: see `cluster/identity.ts` and `cluster/membership.ts`. */
export { clusterId, memberContext, memberId, parseMemberContext } from "./cluster/identity.ts";
