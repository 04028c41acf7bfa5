/**
 * The members of the cluster, the ids that were removed, and the cluster version. Changes come from the log, are checked against what is stored, and
 * are stored in the buckets `members`, `members_removed` and `cluster`, in upstream's JSON.
 *
 * What a starting member is told by flags or by other members is known here before any change has been applied; but only what has been applied is
 * stored, and only that counts when changes are checked.
 *
 * Upstream: server/etcdserver/api/membership/cluster.go, server/storage/schema/membership.go
 */
import { assert } from "../../base/assert.ts";
import type { Logger } from "../../observe/log.ts";
import { gauge, type Metrics } from "../../observe/metrics.ts";
import { etcdError } from "../../protocols/etcd/errors.ts";
import type { Member } from "../../protocols/etcd/generated.ts";
import type { ConfChange, NodeId } from "../../raft/types.ts";
import type { Backend } from "../backend/backend.ts";
import { ETCD_VERSION } from "../version.ts";
import { compareVersions } from "./versions.ts";
import { hexId, memberJson, parseHexId, parseMemberContext } from "./identity.ts";

const knownPeers = gauge("etcd_network_known_peers", {
  help: "The current number of known peers.",
  labels: ["Local", "Remote"],
});
const isLearner = gauge("etcd_server_is_learner", {
  help: "Whether or not this member is a learner. 1 if is, 0 otherwise.",
});
const clusterVersionMetric = gauge("etcd_cluster_version", {
  help: "Which version is running. 1 for 'cluster_version' label with current cluster version",
  labels: ["cluster_version"],
});

export interface DowngradeInfo {
  readonly enabled: boolean;
  /** `3.6.0`; empty when none is under way. */
  readonly targetVersion: string;
}

/** What a change did, for those who follow: the transport, metrics, the member itself. */
export type MembershipChange =
  | { readonly kind: "added" | "promoted" | "updated"; readonly member: Member }
  | { readonly kind: "removed"; readonly id: NodeId };

export interface MembershipOptions {
  readonly clusterId: bigint;
  readonly localId: NodeId;
  readonly maxLearners: number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

const NO_DOWNGRADE: DowngradeInfo = { enabled: false, targetVersion: "" };

export class Membership {
  readonly clusterId: bigint;
  readonly localId: NodeId;
  readonly #maxLearners: number;
  readonly #log: Logger;
  readonly #metrics: Metrics;
  #backend: Backend;
  #known = new Map<NodeId, Member>();
  #kept = new Map<NodeId, Member>();
  #removed = new Set<NodeId>();
  #version: string | undefined;
  #downgrade: DowngradeInfo = NO_DOWNGRADE;
  #sorted: readonly Member[] | undefined;

  /** Loads what the backend keeps; `told` are members that a new start knows of beside it. */
  constructor(options: MembershipOptions, backend: Backend, told: readonly Member[] = []) {
    this.clusterId = options.clusterId;
    this.localId = options.localId;
    this.#maxLearners = options.maxLearners;
    this.#log = options.log.with({ "cluster-id": hexId(options.clusterId), "local-member-id": hexId(options.localId) });
    this.#metrics = options.metrics;
    this.#backend = backend;
    this.load(backend);
    if (this.#kept.size === 0) for (const member of told) this.#known.set(member.ID, member);
    this.#sorted = undefined;
  }

  /** Takes what another backend keeps: after a snapshot was received. */
  load(backend: Backend): void {
    this.#backend = backend;
    this.#kept = new Map();
    this.#removed = new Set();
    backend.bucket("members").forEach((key, value) => {
      const id = parseHexId(key);
      assert(id !== undefined, `bucket members has the key ${key}, which is no id`);
      this.#kept.set(id, { ...plain(parseMemberContext(value)), ID: id });
    });
    backend.bucket("members_removed").forEach((key) => {
      const id = parseHexId(key);
      if (id !== undefined) this.#removed.add(id);
    });
    const cluster = backend.bucket("cluster");
    const version = cluster.get("clusterVersion");
    this.#version = version && Buffer.from(version).toString();
    if (this.#version !== undefined) refuseNewer(this.#version);
    const downgrade = cluster.get("downgrade");
    this.#downgrade = downgrade === undefined ? NO_DOWNGRADE : parseDowngrade(Buffer.from(downgrade).toString());
    this.#known = new Map(this.#kept);
    this.#sorted = undefined;
    for (const member of this.#known.values()) {
      this.#count(member.ID, 1);
      this.#log.info("recovered/added member from store", {
        "recovered-remote-peer-id": hexId(member.ID),
        "recovered-remote-peer-urls": member.peerURLs,
        "recovered-remote-peer-is-learner": member.isLearner,
      });
    }
    if (this.#version !== undefined) {
      this.#metrics.set(clusterVersionMetric, { cluster_version: shortVersion(this.#version) }, 1);
      this.#log.info("set cluster version from store", { "cluster-version": shortVersion(this.#version) });
    }
  }

  /** In the order of their ids. */
  get members(): readonly Member[] {
    return (this.#sorted ??= [...this.#known.values()].sort((a, b) => (a.ID < b.ID ? -1 : 1)));
  }
  get votingMembers(): readonly Member[] {
    return this.members.filter((member) => !member.isLearner);
  }
  get removedIds(): ReadonlySet<NodeId> {
    return this.#removed;
  }
  member(id: NodeId): Member | undefined {
    return this.#known.get(id);
  }
  isIdRemoved(id: NodeId): boolean {
    return this.#removed.has(id);
  }
  get localIsLearner(): boolean {
    return this.#known.get(this.localId)?.isLearner === true;
  }
  /** `3.7.0`, or undefined before the first leader has set it. */
  get version(): string | undefined {
    return this.#version;
  }
  get downgrade(): DowngradeInfo {
    return this.#downgrade;
  }

  /** Throws the client's error where the change can't be made. Decided from what was applied alone, so that every member decides alike. */
  validate(change: ConfChange): void {
    const { type, nodeId } = single(change);
    if (this.#removed.has(nodeId)) throw etcdError("memberNotFound");
    const present = this.#kept.get(nodeId);
    switch (type) {
      case "ConfChangeAddNode":
      case "ConfChangeAddLearnerNode": {
        const context = parseMemberContext(change.context);
        if (context.isPromote) {
          if (present === undefined) throw etcdError("memberNotFound");
          if (!present.isLearner) throw etcdError("memberNotLearner");
          return;
        }
        if (present !== undefined) throw etcdError("memberExists");
        this.#refuseTakenUrls(context.peerURLs, undefined);
        if (context.isLearner && type === "ConfChangeAddLearnerNode") this.#refuseTooManyLearners();
        return;
      }
      case "ConfChangeRemoveNode":
        if (present === undefined) throw etcdError("memberNotFound");
        return;
      case "ConfChangeUpdateNode":
        if (present === undefined) throw etcdError("memberNotFound");
        this.#refuseTakenUrls(parseMemberContext(change.context).peerURLs, nodeId);
        return;
    }
  }

  /** Takes a change that is committed and valid. */
  apply(change: ConfChange): MembershipChange {
    const { type, nodeId } = single(change);
    switch (type) {
      case "ConfChangeAddNode":
      case "ConfChangeAddLearnerNode": {
        const context = parseMemberContext(change.context);
        if (context.isPromote) {
          const member = { ...this.#expect(nodeId), isLearner: false };
          this.#save(member);
          if (nodeId === this.localId) this.#metrics.set(isLearner, {}, 0);
          this.#log.info("promote member", { "promoted-member-id": hexId(nodeId) });
          return { kind: "promoted", member };
        }
        const member = plain(context);
        assert(member.ID === nodeId, "a change adds a member under another id than its own");
        this.#save(member);
        if (nodeId === this.localId) this.#metrics.set(isLearner, {}, member.isLearner ? 1 : 0);
        this.#log.info("added member", {
          "added-peer-id": hexId(nodeId),
          "added-peer-peer-urls": member.peerURLs,
          "added-peer-is-learner": member.isLearner,
        });
        return { kind: "added", member };
      }
      case "ConfChangeRemoveNode": {
        const gone = this.#known.get(nodeId);
        this.#known.delete(nodeId);
        this.#kept.delete(nodeId);
        this.#removed.add(nodeId);
        this.#sorted = undefined;
        this.#backend.bucket("members").delete(hexId(nodeId));
        this.#backend.bucket("members_removed").put(hexId(nodeId), Buffer.from("removed"));
        this.#count(nodeId, 0);
        this.#log.info("removed member", {
          "removed-remote-peer-id": hexId(nodeId),
          "removed-remote-peer-urls": gone?.peerURLs ?? [],
          "removed-remote-peer-is-learner": gone?.isLearner ?? false,
        });
        return { kind: "removed", id: nodeId };
      }
      case "ConfChangeUpdateNode": {
        const member = { ...this.#expect(nodeId), peerURLs: parseMemberContext(change.context).peerURLs };
        this.#save(member);
        this.#log.info("updated member", {
          "updated-remote-peer-id": hexId(nodeId),
          "updated-remote-peer-urls": member.peerURLs,
          "updated-remote-peer-is-learner": member.isLearner,
        });
        return { kind: "updated", member };
      }
    }
  }

  /** A member has told its name and where clients find it. */
  setAttributes(id: NodeId, attributes: { readonly name: string; readonly clientURLs: readonly string[] }): void {
    const member = this.#known.get(id);
    if (member !== undefined) return this.#save({ ...member, ...attributes });
    assert(this.#removed.has(id), `attributes of a member that nobody knows: ${hexId(id)}`);
    this.#log.warn("skipped attributes update of removed member", { "updated-peer-id": hexId(id) });
  }

  setVersion(version: string): void {
    refuseNewer(version);
    const to = shortVersion(version);
    if (this.#version !== undefined) {
      const from = shortVersion(this.#version);
      this.#log.info("updated cluster version", { from, to });
      this.#metrics.set(clusterVersionMetric, { cluster_version: from }, 0);
    } else this.#log.info("set initial cluster version", { "cluster-version": to });
    this.#metrics.set(clusterVersionMetric, { cluster_version: to }, 1);
    this.#version = version;
    this.#backend.bucket("cluster").put("clusterVersion", Buffer.from(version));
  }

  setDowngrade(info: DowngradeInfo): void {
    this.#downgrade = info;
    const json = JSON.stringify({ "target-version": info.targetVersion, enabled: info.enabled });
    this.#backend.bucket("cluster").put("downgrade", Buffer.from(json));
  }

  #refuseTakenUrls(urls: readonly string[], owner: NodeId | undefined): void {
    for (const member of this.#kept.values())
      if (member.ID !== owner && member.peerURLs.some((url) => urls.includes(url))) throw etcdError("peerUrlExists");
  }

  #refuseTooManyLearners(): void {
    let learners = 1;
    for (const member of this.#kept.values()) if (member.isLearner) learners++;
    if (learners > this.#maxLearners) throw etcdError("tooManyLearners");
  }

  #expect(id: NodeId): Member {
    const member = this.#known.get(id);
    assert(member !== undefined, `a change of a member that nobody knows: ${hexId(id)}`);
    return member;
  }

  #save(member: Member): void {
    this.#known.set(member.ID, member);
    this.#kept.set(member.ID, member);
    this.#sorted = undefined;
    this.#backend.bucket("members").put(hexId(member.ID), Buffer.from(memberJson(member)));
    this.#count(member.ID, 1);
  }

  #count(id: NodeId, known: number): void {
    this.#metrics.set(knownPeers, { Local: hexId(this.localId), Remote: hexId(id) }, known);
  }
}

/** `3.7.0` as `3.7`. */
export function shortVersion(version: string): string {
  return version.split(".").slice(0, 2).join(".");
}

/** What a newer member wrote may mean what this one doesn't know. */
function refuseNewer(version: string): void {
  if (compareVersions(version, ETCD_VERSION) <= 0) return;
  throw new Error(
    `invalid downgrade; server version is lower than determined cluster version: ${shortVersion(ETCD_VERSION)} < ${shortVersion(version)}`,
  );
}

function single(change: ConfChange): { readonly type: ConfChange["changes"][number]["type"]; readonly nodeId: NodeId } {
  const only = change.changes[0];
  assert(only !== undefined && change.changes.length === 1, "members change one at a time");
  return only;
}

function plain({ ID, name, peerURLs, clientURLs, isLearner }: Member): Member {
  return { ID, name, peerURLs, clientURLs, isLearner };
}

function parseDowngrade(json: string): DowngradeInfo {
  const { enabled = false, "target-version": targetVersion = "" } = JSON.parse(json) as {
    readonly enabled?: boolean;
    readonly "target-version"?: string;
  };
  return { enabled, targetVersion };
}
