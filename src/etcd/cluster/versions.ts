/**
 * Which version a cluster has: the lowest of its members', by minor. Pure decisions; others ask the members and set the version.
 * Upstream: server/etcdserver/version/monitor.go, downgrade.go, server/etcdserver/cluster_util.go
 */
import { ETCD_VERSION, MIN_CLUSTER_VERSION } from "../version.ts";
import type { DowngradeInfo } from "./membership.ts";
import type { Versions } from "./remote.ts";

/** `3.7.1` and `3.7` as `3.7.0`; undefined where it is no version. */
export function clusterVersionOf(version: string): string | undefined {
  const [, major, minor] = /^(\d+)\.(\d+)(?:\.\d+)?(?:[-+].*)?$/.exec(version) ?? [];
  return major === undefined ? undefined : `${Number(major)}.${Number(minor)}.0`;
}

export function compareVersions(a: string, b: string): number {
  const x = a.split(/[.+-]/).map(Number);
  const y = b.split(/[.+-]/).map(Number);
  for (let i = 0; i < 3; i++) if ((x[i] ?? 0) !== (y[i] ?? 0)) return (x[i] ?? 0) - (y[i] ?? 0);
  return 0;
}

/** The version one minor below. */
export function previousMinor(version: string): string {
  const [major, minor] = version.split(".").map(Number);
  return `${major}.${minor! - 1}.0`;
}

/** The lowest of the members' server versions, as a cluster's; undefined while one of them isn't known. */
function lowestVersion(members: readonly (Versions | undefined)[]): string | undefined {
  let lowest: string | undefined;
  for (const versions of members) {
    const version = versions && clusterVersionOf(versions.server);
    if (version === undefined) return undefined;
    if (lowest === undefined || compareVersions(version, lowest) < 0) lowest = version;
  }
  return lowest;
}

/** The version to set now, or undefined to leave it. */
export function nextClusterVersion(
  current: string | undefined,
  members: readonly (Versions | undefined)[],
  downgrade: DowngradeInfo,
): string | undefined {
  const lowest = lowestVersion(members);
  if (current === undefined) return lowest ?? MIN_CLUSTER_VERSION;
  if (lowest === undefined) return undefined;
  const now = clusterVersionOf(current)!;
  if (downgrade.enabled) {
    const target = clusterVersionOf(downgrade.targetVersion);
    if (target === undefined || compareVersions(target, now) === 0) return undefined;
    return previousMinor(now) === target && previousMinor(lowest) === target ? target : undefined;
  }
  return compareVersions(now, lowest) < 0 ? lowest : undefined;
}

/** Whether every member runs the version that a downgrade leads to. */
export function isDowngraded(target: string, members: readonly (Versions | undefined)[]): boolean {
  return members.every((versions) => versions && clusterVersionOf(versions.server) === clusterVersionOf(target));
}

/** Whether this member may join a cluster whose members say this of themselves. At least one must be heard. */
export function mayJoin(others: readonly (Versions | undefined)[], downgrading: boolean): boolean {
  const own = clusterVersionOf(ETCD_VERSION)!;
  const [major, minor] = own.split(".").map(Number);
  const most = downgrading ? `${major}.${minor! + 1}.0` : own;
  const least = downgrading ? most : MIN_CLUSTER_VERSION;
  let heard = false;
  for (const versions of others) {
    const version = versions && clusterVersionOf(versions.cluster);
    if (version === undefined) continue;
    if (compareVersions(version, least) < 0 || compareVersions(most, version) < 0) return false;
    heard = true;
  }
  return heard;
}

/** Before this version members tell the cluster about themselves by requests of the v2 API. */
const V3_REQUESTS_SINCE = "3.5.0";

/**
 * How requests about the cluster itself must be put, so that every member understands them: members up to 3.4 know one form, those from 3.7
 * on only the other. Undefined while that can't be told.
 */
export function requestForm(
  clusterVersion: string | undefined,
  members: readonly (Versions | undefined)[],
): "v2" | "v3" | undefined {
  if (members.some((versions) => versions && compareVersions(versions.server, V3_REQUESTS_SINCE) < 0)) return "v2";
  // The lowest version of all is what a leader sets that hasn't heard of everyone.
  const decided = clusterVersion !== undefined && compareVersions(clusterVersion, MIN_CLUSTER_VERSION) > 0;
  if (decided) return compareVersions(clusterVersion, V3_REQUESTS_SINCE) < 0 ? "v2" : "v3";
  return members.every((versions) => versions !== undefined) ? "v3" : undefined;
}
