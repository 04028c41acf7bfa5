/** Requests about the cluster itself: the attributes that members publish, and the cluster version. */
import type { Membership } from "../cluster/membership.ts";
import type { Link } from "./chain.ts";

export function applyMembership(membership: Membership): Link {
  return (next) => (request) => {
    if (request.put !== undefined || request.txn !== undefined) return next(request); // Nearly always.
    if (request.cluster_member_attr_set !== undefined) {
      const { member_ID = 0n, member_attributes: { name = "", client_urls: clientURLs = [] } = {} } =
        request.cluster_member_attr_set;
      membership.setAttributes(member_ID, { name, clientURLs });
      return undefined;
    }
    if (request.cluster_version_set !== undefined) {
      membership.setVersion(request.cluster_version_set.ver ?? "");
      return undefined;
    }
    if (request.downgrade_info_set !== undefined) {
      const { enabled = false, ver: targetVersion = "" } = request.downgrade_info_set;
      membership.setDowngrade({ enabled, targetVersion });
      return undefined;
    }
    return next(request);
  };
}
