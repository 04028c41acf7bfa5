/** What the cluster's maintenance needs of the member that performs it. */
import type { InternalRaftRequest, Member } from "../../protocols/etcd/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import { ETCD_VERSION } from "../version.ts";
import type { Membership } from "./membership.ts";
import type { Remotes, Versions } from "./remote.ts";

export interface ClusterSelf {
  readonly membership: Membership;
  readonly isLeader: boolean;
  /** Resolves once the request is applied here. In the form of the v2 API where members of before 3.5 must understand it. */
  proposeAs(form: "v2" | "v3", request: Init<InternalRaftRequest>): Promise<unknown>;
  /** Resolves when what was committed before the call is applied here. */
  linearizable(): Promise<void> | undefined;
}

/** What each member says of its version, this one included; undefined where it can't be asked. */
export function membersVersions(
  { membership }: Pick<ClusterSelf, "membership">,
  remotes: Remotes,
): Promise<readonly (Versions | undefined)[]> {
  return Promise.all(
    membership.members.map((member: Member) =>
      member.ID === membership.localId
        ? Promise.resolve({ server: ETCD_VERSION, cluster: membership.version ?? "not_decided" })
        : remotes.versions(member),
    ),
  );
}
