/**
 * The way of a committed request to its answer: one small file for each thing that may stop it, the state machine at the end. Outermost first:
 *
 *     measure -> corrupt -> no space -> auth -> quota -> membership -> v3 applier
 *
 * Each link is a function of the next. It looks at the request, answers or throws it away, or hands it on. The same requests in the same order
 * must give the same answers on every member, so nothing in here asks for the time or for chance.
 *
 * Upstream: server/etcdserver/apply/uber_applier.go
 */
import type { InternalRaftRequest } from "../../protocols/etcd/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import type { Membership } from "../cluster/membership.ts";
import type { Alarms } from "./alarms.ts";
import type { Applied, Applier } from "./applier.ts";
import { refuseWhileCorrupt } from "./corrupt.ts";
import { applyMembership } from "./membership.ts";
import { refuseWithoutSpace } from "./no-space.ts";

/** With `header` as it was proposed: its `username` and `auth_revision` say who asked. */
export type Request = Init<InternalRaftRequest>;

/** Applies a committed request. What it throws as an `RpcError` is the request's answer. */
export type Apply = (request: Request) => Applied;

/** Stands before another link. */
export type Link = (next: Apply) => Apply;

export interface ApplyChainDeps {
  readonly alarms: Alarms;
  readonly membership: Membership;
  readonly applier: Applier;
  /** Who may do what, and requests about users and roles. */
  readonly auth?: Link;
  /** Raises the alarm when a request took the last of the room. */
  readonly quota?: Link;
  /** Takes the time. */
  readonly measure?: Link;
}

const straight: Link = (next) => next;

export function applyChain({
  alarms,
  membership,
  applier,
  auth = straight,
  quota = straight,
  measure = straight,
}: ApplyChainDeps): Apply {
  const v3: Apply = (request) => applier.apply(request);
  const checked = auth(quota(applyMembership(membership)(v3)));
  return measure(refuseWhileCorrupt(alarms)(refuseWithoutSpace(alarms)(checked)));
}
