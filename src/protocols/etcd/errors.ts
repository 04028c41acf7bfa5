/**
 * Every error that etcd can return: code and message. Clients match on the message, so it is part of the contract.
 * Upstream: api/v3rpc/rpctypes/error.go
 */
import { RpcError, type Code } from "../../wire/rpc/service.ts";

export const ETCD_ERRORS = {
  emptyKey: ["InvalidArgument", "etcdserver: key is not provided"],
  keyNotFound: ["InvalidArgument", "etcdserver: key not found"],
  valueProvided: ["InvalidArgument", "etcdserver: value is provided"],
  leaseProvided: ["InvalidArgument", "etcdserver: lease is provided"],
  tooManyOps: ["InvalidArgument", "etcdserver: too many operations in txn request"],
  duplicateKey: ["InvalidArgument", "etcdserver: duplicate key given in txn request"],
  invalidSortOption: ["InvalidArgument", "etcdserver: invalid sort option"],
  requestTooLarge: ["InvalidArgument", "etcdserver: request is too large"],
  compacted: ["OutOfRange", "etcdserver: mvcc: required revision has been compacted"],
  futureRevision: ["OutOfRange", "etcdserver: mvcc: required revision is a future revision"],
  leaseTTLTooLarge: ["OutOfRange", "etcdserver: too large lease TTL"],
  noSpace: ["ResourceExhausted", "etcdserver: mvcc: database space exceeded"],
  tooManyRequests: ["ResourceExhausted", "etcdserver: too many requests"],
  leaseNotFound: ["NotFound", "etcdserver: requested lease not found"],
  memberNotFound: ["NotFound", "etcdserver: member not found"],
  memberExists: ["FailedPrecondition", "etcdserver: member ID already exist"],
  peerUrlExists: ["FailedPrecondition", "etcdserver: Peer URLs already exists"],
  notEnoughStartedMembers: [
    "FailedPrecondition",
    "etcdserver: re-configuration failed due to not enough started members",
  ],
  memberBadUrls: ["InvalidArgument", "etcdserver: given member URLs are invalid"],
  memberNotLearner: ["FailedPrecondition", "etcdserver: can only promote a learner member"],
  learnerNotReady: ["FailedPrecondition", "etcdserver: can only promote a learner member which is in sync with leader"],
  tooManyLearners: ["FailedPrecondition", "etcdserver: too many learner members in cluster"],
  clusterIdMismatch: ["FailedPrecondition", "etcdserver: cluster ID mismatch"],
  downgradeVersionFormat: ["InvalidArgument", "etcdserver: wrong downgrade target version format"],
  downgradeTargetVersion: ["InvalidArgument", "etcdserver: invalid downgrade target version"],
  clusterVersionUnavailable: ["FailedPrecondition", "etcdserver: cluster version not found during downgrade"],
  downgradeInProcess: ["FailedPrecondition", "etcdserver: cluster has a downgrade job in progress"],
  noInflightDowngrade: ["FailedPrecondition", "etcdserver: no inflight downgrade job"],
  leaseExists: ["FailedPrecondition", "etcdserver: lease already exists"],
  notLeader: ["FailedPrecondition", "etcdserver: not leader"],
  badLeaderTransferee: ["FailedPrecondition", "etcdserver: bad leader transferee"],
  rootUserNotExist: ["FailedPrecondition", "etcdserver: root user does not exist"],
  rootRoleNotExist: ["FailedPrecondition", "etcdserver: root user does not have root role"],
  userAlreadyExist: ["FailedPrecondition", "etcdserver: user name already exists"],
  userEmpty: ["InvalidArgument", "etcdserver: user name is empty"],
  userNotFound: ["FailedPrecondition", "etcdserver: user name not found"],
  roleAlreadyExist: ["FailedPrecondition", "etcdserver: role name already exists"],
  roleNotFound: ["FailedPrecondition", "etcdserver: role name not found"],
  roleEmpty: ["InvalidArgument", "etcdserver: role name is empty"],
  authFailed: ["InvalidArgument", "etcdserver: authentication failed, invalid user ID or password"],
  permissionNotGiven: ["InvalidArgument", "etcdserver: permission not given"],
  permissionDenied: ["PermissionDenied", "etcdserver: permission denied"],
  roleNotGranted: ["FailedPrecondition", "etcdserver: role is not granted to the user"],
  permissionNotGranted: ["FailedPrecondition", "etcdserver: permission is not granted to the role"],
  invalidAuthToken: ["Unauthenticated", "etcdserver: invalid auth token"],
  invalidAuthMgmt: ["InvalidArgument", "etcdserver: invalid auth management"],
  authOldRevision: ["InvalidArgument", "etcdserver: revision of auth store is old"],
  authNotEnabled: ["FailedPrecondition", "etcdserver: authentication is not enabled"],
  notCapable: ["FailedPrecondition", "etcdserver: not capable"],
  noLeader: ["Unavailable", "etcdserver: no leader"],
  leaderChanged: ["Unavailable", "etcdserver: leader changed"],
  stopped: ["Unavailable", "etcdserver: server stopped"],
  timeout: ["Unavailable", "etcdserver: request timed out"],
  timeoutLeaderFailed: ["Unavailable", "etcdserver: request timed out, possibly due to previous leader failure"],
  timeoutConnectionLost: ["Unavailable", "etcdserver: request timed out, possibly due to connection lost"],
  timeoutLeaderTransfer: ["Unknown", "etcdserver: request timed out, leader transfer took too long"],
  timeoutWaitAppliedIndex: [
    "Unavailable",
    "etcdserver: request timed out, waiting for the applied index took too long",
  ],
  learnerNotSupported: ["FailedPrecondition", "etcdserver: rpc not supported for learner"],
  notPrimary: ["Unknown", "not a primary lessor"],
  deadlineExceeded: ["DeadlineExceeded", "context deadline exceeded"],
  unhealthy: ["Unavailable", "etcdserver: unhealthy cluster"],
  corrupt: ["DataLoss", "etcdserver: corrupt cluster"],
  watchCanceled: ["Canceled", "etcdserver: watch canceled"],
} as const satisfies Readonly<Record<string, readonly [Code, string]>>;

export type EtcdErrorName = keyof typeof ETCD_ERRORS;

export function etcdError(name: EtcdErrorName, options?: ErrorOptions): RpcError {
  const [code, message] = ETCD_ERRORS[name];
  return new RpcError(code, message, options);
}

export function isEtcdError(error: unknown, name: EtcdErrorName): boolean {
  return error instanceof RpcError && error.message === ETCD_ERRORS[name][1];
}
