import assert from "node:assert/strict";
import { test } from "node:test";
import { silent } from "../../observe/log.ts";
import { Metrics } from "../../observe/metrics.ts";
import type { Member } from "../../protocols/etcd/generated.ts";
import type { ConfChange, ConfChangeType } from "../../raft/types.ts";
import { MemoryBackend } from "../../testing/memory-backend.ts";
import { matchMembers } from "./bootstrap.ts";
import { clusterId, memberContext, memberId, parseMemberContext } from "./identity.ts";
import { checkExisting, checkNew, membersOf, parseInitialCluster, parseUrls } from "./initial-cluster.ts";
import { Membership } from "./membership.ts";
import { parseMembers } from "./remote.ts";
import { dumpV2Store, fromV2Request, toV2Request, versionInV2Store } from "./v2-form.ts";
import { isDowngraded, mayJoin, nextClusterVersion, requestForm } from "./versions.ts";

const URLS = ["http://10.0.0.1:2380"];
const member = (ID: bigint, more: Partial<Member> = {}): Member => ({
  ID,
  name: "",
  peerURLs: [`http://10.0.0.${ID}:2380`],
  clientURLs: [],
  isLearner: false,
  ...more,
});
const change = (type: ConfChangeType, nodeId: bigint, context: Uint8Array = new Uint8Array(0)): ConfChange => ({
  transition: "ConfChangeTransitionAuto",
  changes: [{ type, nodeId }],
  context,
});
const add = (one: Member) =>
  change(one.isLearner ? "ConfChangeAddLearnerNode" : "ConfChangeAddNode", one.ID, memberContext(one));

function membership(backend = new MemoryBackend()): Membership {
  return new Membership({ clusterId: 1n, localId: 1n, maxLearners: 1, log: silent, metrics: new Metrics() }, backend);
}

test("ids are those that upstream gives", () => {
  // As printed by etcd 3.4 for these flags.
  const ids = membersOf(
    parseInitialCluster("a=http://127.0.0.1:2380,b=http://127.0.0.1:22380,c=http://127.0.0.1:32380"),
    "etcd-cluster",
  );
  assert.deepEqual(new Set(ids.map(({ ID }) => ID)).size, 3);
  assert.equal(memberId(["http://localhost:2380"], "etcd-cluster").toString(16), "8e9e05c52164694d");
  assert.equal(clusterId([0x8e9e05c52164694dn]).toString(16), "cdf818194e3a8c32");
});

test("a member's context is upstream's JSON, with ids of 64 bits", () => {
  const one = member(0xfffffffffffffffen, { name: "a<b", clientURLs: ["http://c:1"], isLearner: true });
  assert.equal(
    Buffer.from(memberContext(one, false)).toString(),
    '{"id":18446744073709551614,"peerURLs":["http://10.0.0.18446744073709551614:2380"],"isLearner":true,"name":"a\\u003cb","clientURLs":["http://c:1"],"isPromote":false}',
  );
  assert.deepEqual(parseMemberContext(memberContext(one)), { ...one, isPromote: false });
  assert.deepEqual(parseMembers(`[${Buffer.from(memberContext(one)).toString()}]`), [one]);
});

test("changes of members are refused in upstream's words", () => {
  const cluster = membership();
  const refused = (one: ConfChange) => {
    try {
      cluster.validate(one);
    } catch (error) {
      return (error as Error).message;
    }
    return undefined;
  };
  cluster.apply(add(member(1n)));
  assert.equal(refused(add(member(1n))), "etcdserver: member ID already exist");
  assert.equal(
    refused(add(member(2n, { peerURLs: ["http://10.0.0.1:2380"] }))),
    "etcdserver: Peer URLs already exists",
  );
  cluster.apply(add(member(2n, { isLearner: true })));
  assert.equal(refused(add(member(3n, { isLearner: true }))), "etcdserver: too many learner members in cluster");
  assert.equal(
    refused(change("ConfChangeAddNode", 9n, memberContext(member(9n), true))),
    "etcdserver: member not found",
  );
  assert.equal(
    refused(change("ConfChangeAddNode", 1n, memberContext(member(1n), true))),
    "etcdserver: can only promote a learner member",
  );
  assert.equal(refused(change("ConfChangeAddNode", 2n, memberContext(member(2n), true))), undefined);
  assert.equal(refused(change("ConfChangeRemoveNode", 9n)), "etcdserver: member not found");
  assert.equal(refused(change("ConfChangeUpdateNode", 9n, memberContext(member(9n)))), "etcdserver: member not found");
  assert.equal(
    refused(change("ConfChangeUpdateNode", 2n, memberContext(member(2n, { peerURLs: ["http://10.0.0.1:2380"] })))),
    "etcdserver: Peer URLs already exists",
  );
  cluster.apply(change("ConfChangeRemoveNode", 2n));
  assert.equal(refused(add(member(2n))), "etcdserver: member not found", "a removed id never comes back");
});

test("what was applied is found again in the buckets, in upstream's form", () => {
  const backend = new MemoryBackend();
  const cluster = membership(backend);
  cluster.apply(add(member(1n)));
  cluster.apply(add(member(2n, { isLearner: true })));
  cluster.apply(change("ConfChangeAddNode", 2n, memberContext(member(2n, { peerURLs: [] }), true)));
  cluster.apply(add(member(3n)));
  cluster.apply(change("ConfChangeRemoveNode", 3n));
  cluster.apply(change("ConfChangeUpdateNode", 1n, memberContext(member(1n, { peerURLs: ["http://10.0.0.7:2380"] }))));
  cluster.setAttributes(1n, { name: "one", clientURLs: ["http://10.0.0.1:2379"] });
  cluster.setVersion("3.7.0");
  cluster.setDowngrade({ enabled: true, targetVersion: "3.6.0" });
  const again = membership(backend);
  assert.deepEqual(again.members, cluster.members);
  assert.deepEqual(
    again.members.map(({ ID, name, peerURLs, isLearner }) => [ID, name, peerURLs[0], isLearner]),
    [
      [1n, "one", "http://10.0.0.7:2380", false],
      [2n, "", "http://10.0.0.2:2380", false],
    ],
  );
  assert.ok(again.isIdRemoved(3n));
  assert.equal(again.version, "3.7.0");
  assert.deepEqual(again.downgrade, { enabled: true, targetVersion: "3.6.0" });
  assert.equal(
    Buffer.from(backend.bucket("members").get("1")!).toString(),
    '{"id":1,"peerURLs":["http://10.0.0.7:2380"],"name":"one","clientURLs":["http://10.0.0.1:2379"]}',
  );
  assert.equal(Buffer.from(backend.bucket("members_removed").get("3")!).toString(), "removed");
});

test("an initial cluster that can't be is refused in upstream's words", () => {
  const local = { name: "a", advertisedUrls: URLS };
  const cases: readonly (readonly [() => void, RegExp])[] = [
    [() => parseUrls(["10.0.0.1:2380"]), /URL scheme must be http, https, unix, or unixs: 10.0.0.1:2380/],
    [() => parseUrls(["http://10.0.0.1"]), /URL address does not have the form "host:port": http:\/\/10.0.0.1/],
    [() => parseUrls(["http://10.0.0.1:2380/x"]), /URL must not contain a path/],
    [() => parseUrls([]), /no valid URLs given/],
    [() => checkNew(parseInitialCluster("b=http://10.0.0.1:2380"), local, false), /couldn't find local name "a"/],
    [
      () => checkNew(parseInitialCluster("a=http://10.0.0.2:2380"), local, false),
      /--initial-cluster has a=http:\/\/10.0.0.2:2380 but missing from --initial-advertise-peer-urls=http:\/\/10.0.0.1:2380/,
    ],
    [
      () =>
        checkNew(
          parseInitialCluster("a=http://10.0.0.1:2380"),
          { name: "a", advertisedUrls: [...URLS, "http://10.0.0.9:2380"] },
          false,
        ),
      /--initial-advertise-peer-urls has http:\/\/10.0.0.9:2380 but missing from --initial-cluster=/,
    ],
    [
      () => checkNew(parseInitialCluster("a=http://10.0.0.1:2380,b=http://10.0.0.1:2380"), local, false),
      /initial cluster a=http:\/\/10.0.0.1:2380,b=http:\/\/10.0.0.1:2380 has duplicate url/,
    ],
    [
      () => checkExisting(parseInitialCluster("a=http://10.0.0.1:2380"), local, true),
      /discovery URL should not be set/,
    ],
    [() => matchMembers([member(1n)], [member(1n), member(2n)]), /member count is unequal/],
    [() => matchMembers([member(1n)], [member(2n)]), /PeerURLs: no match found for existing member \(2, /],
  ];
  for (const [run, words] of cases) assert.throws(run, words);
  checkNew(parseInitialCluster("a=http://10.0.0.1:2380"), local, false);
});

test("who joins takes the ids of the running cluster", () => {
  const told = membersOf(parseInitialCluster("a=http://10.0.0.1:2380,b=http://10.0.0.2:2380"), "x");
  const running = [member(1n, { name: "old" }), member(2n)];
  assert.deepEqual(
    matchMembers(told, running).map(({ ID, name }) => [ID, name]),
    [
      [1n, "a"],
      [2n, "b"],
    ],
  );
});

test("the cluster's version is the lowest of its members', and never goes back without a downgrade", () => {
  const at = (server: string) => ({ server, cluster: "not_decided" });
  const none = { enabled: false, targetVersion: "" };
  assert.equal(nextClusterVersion(undefined, [at("3.7.1"), undefined], none), "3.0.0");
  assert.equal(nextClusterVersion(undefined, [at("3.7.1"), at("3.4.23")], none), "3.4.0");
  assert.equal(nextClusterVersion("3.0.0", [at("3.7.1"), at("3.7.0")], none), "3.7.0");
  assert.equal(nextClusterVersion("3.0.0", [at("3.7.1"), undefined], none), undefined);
  assert.equal(nextClusterVersion("3.7.0", [at("3.6.1"), at("3.7.0")], none), undefined);
  const down = { enabled: true, targetVersion: "3.6.0" };
  assert.equal(nextClusterVersion("3.7.0", [at("3.7.1"), at("3.7.0")], down), "3.6.0");
  assert.equal(nextClusterVersion("3.6.0", [at("3.6.1"), at("3.7.0")], down), undefined);
  assert.ok(isDowngraded("3.6.0", [at("3.6.1"), at("3.6.16")]));
  assert.ok(!isDowngraded("3.6.0", [at("3.6.1"), undefined]));
});

test("a member joins whom it understands", () => {
  const at = (cluster: string) => ({ server: "3.7.0", cluster });
  assert.ok(mayJoin([at("3.7.0"), undefined], false));
  assert.ok(mayJoin([at("3.4.0")], false));
  assert.ok(!mayJoin([at("3.8.0"), at("3.7.0")], false));
  assert.ok(!mayJoin([undefined], false), "nobody was heard");
  assert.ok(mayJoin([at("3.8.0")], true));
});

test("requests about the cluster take the form that all members understand", () => {
  const at = (server: string) => ({ server, cluster: "" });
  assert.equal(requestForm(undefined, [at("3.7.1"), at("3.4.23")]), "v2");
  assert.equal(requestForm(undefined, [at("3.7.1"), undefined]), undefined);
  assert.equal(requestForm("3.0.0", [at("3.7.1"), undefined]), undefined);
  assert.equal(requestForm("3.4.0", [at("3.7.1"), undefined]), "v2");
  assert.equal(requestForm("3.6.0", [at("3.7.1"), undefined]), "v3");
});

test("requests of the v2 form are read as they were written, and others are left alone", () => {
  const attributes = {
    cluster_member_attr_set: {
      member_ID: 0xabcn,
      member_attributes: { name: "a", client_urls: ["http://10.0.0.1:2379"] },
    },
  };
  assert.deepEqual(fromV2Request(toV2Request(7n, attributes)!), { header: { ID: 7n }, ...attributes });
  const version = { cluster_version_set: { ver: "3.4.0" } };
  assert.deepEqual(fromV2Request(toV2Request(2n ** 63n, version)!), { header: { ID: 2n ** 63n }, ...version });
  assert.equal(toV2Request(1n, { put: {} }), undefined);
  assert.equal(fromV2Request(Buffer.from([0xa2, 0x06, 0])), undefined);
});

test("the dump for older members names members, removed ones and the version", () => {
  const dump = dumpV2Store({ members: [member(0xabn, { name: "a" })], removedIds: [5n], version: "3.4.0" });
  assert.equal(versionInV2Store(dump), "3.4.0");
  const { Root } = JSON.parse(Buffer.from(dump).toString());
  const cluster = Root.Children["0"].Children;
  assert.equal(cluster.members.Children.ab.Children.raftAttributes.Value, '{"peerURLs":["http://10.0.0.171:2380"]}');
  assert.deepEqual(Object.keys(cluster.removed_members.Children), ["5"]);
});
