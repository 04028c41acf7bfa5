/**
 * Creates a data folder from a saved snapshot: for the first member, or one of the first members, of a new cluster with the old keys.
 * Upstream: etcdutl/snapshot/v3_snapshot.go (Restore)
 */
import { createHash } from "node:crypto";
import type { Logger } from "../../observe/log.ts";
import { etcdCodec } from "../../protocols/etcd/connect.ts";
import { Metadata, type Member } from "../../protocols/etcd/generated.ts";
import type { ConfState } from "../../raft/types.ts";
import type { World } from "../../world/world.ts";
import { BoltFile } from "../backend/bolt/file.ts";
import type { BucketChanges, Change } from "../backend/bolt/tree.ts";
import { mainOf, putBigEndian, revisionKey } from "../backend/rows.ts";
import { clusterId, hexId, memberId, memberJson } from "../cluster/identity.ts";
import { confStateJson } from "../snap/conf-state.ts";
import { dumpV2Store } from "../cluster/v2-form.ts";
import { firstEntries } from "../first-entries.ts";
import { writeSnapFile } from "../snap/snap-file.ts";
import { Wal } from "../wal/wal.ts";

export interface RestoreOptions {
  readonly snapshot: string;
  readonly name: string;
  readonly dataDir: string;
  /** Empty means inside of the data folder. */
  readonly walDir: string;
  readonly peerUrls: readonly string[];
  /** Names and peer URLs of all first members. */
  readonly initialCluster: readonly { readonly name: string; readonly peerUrls: readonly string[] }[];
  readonly initialClusterToken: string;
  readonly skipHashCheck: boolean;
  /** Raises the revision by so much and makes all before unreadable, so that clients never see a revision twice. */
  readonly bumpRevision: number;
}

const HASH_BYTES = 32;
/** A file of pages with a hash behind it has this much over. */
const SECTOR = 512;
const COPY_BYTES = 1024 * 1024;

export async function restoreSnapshot(
  { fs, clock }: Pick<World, "fs" | "clock">,
  options: RestoreOptions,
  log: Logger,
): Promise<void> {
  const { dataDir, initialClusterToken: token, name } = options;
  const members = options.initialCluster.map((entry): Member => {
    const ID = memberId(entry.peerUrls, token);
    return { ID, name: entry.name, peerURLs: [...entry.peerUrls], clientURLs: [], isLearner: false };
  });
  members.sort((a, b) => (a.ID < b.ID ? -1 : 1));
  const own = members.find((member) => member.name === name);
  if (own === undefined) throw new Error(`couldn't find local name "${name}" in the initial cluster configuration`);
  if ([...own.peerURLs].sort().join() !== [...options.peerUrls].sort().join())
    throw new Error(
      `--initial-cluster has ${name}=${own.peerURLs.join(",")} but missing from --initial-advertise-peer-urls=${options.peerUrls.join(",")}`,
    );
  if ((await fs.stat(dataDir)) !== undefined && (await fs.list(dataDir)).length > 0)
    throw new Error(`data-dir "${dataDir}" not empty or could not be read`);
  const walDir = options.walDir || `${dataDir}/member/wal`;
  if ((await fs.stat(walDir)) !== undefined) throw new Error(`wal-dir "${walDir}" exists`);
  const snapDir = `${dataDir}/member/snap`;
  const facts = { path: options.snapshot, "wal-dir": walDir, "data-dir": dataDir, "snap-dir": snapDir };
  log.info("restoring snapshot", facts);
  await fs.mkdir(snapDir, { recursive: true, mode: 0o700 });
  await copyDb(fs, options.snapshot, `${snapDir}/db`, options.skipHashCheck);

  const codec = etcdCodec();
  const entries = firstEntries(members, codec);
  const index = entries.length;
  const confState: ConfState = {
    voters: members.map(({ ID }) => ID),
    learners: [],
    votersOutgoing: [],
    learnersNext: [],
    autoLeave: false,
  };
  await fitDb({ fs, path: `${snapDir}/db`, members, index, confState, bump: options.bumpRevision, log });
  const wal = await Wal.create(
    { fs, folder: walDir, log, monotonic: () => clock.monotonic() },
    codec.encode(Metadata, { NodeID: own.ID, ClusterID: clusterId(members.map(({ ID }) => ID)) }),
  );
  try {
    await wal.append(entries, { term: 1, vote: members[0]!.ID, commit: index });
    const meta = { index, term: 1, confState };
    await writeSnapFile(fs, snapDir, meta, dumpV2Store({ members, removedIds: [], version: undefined }), codec);
    await wal.saveSnapshot(meta, confState);
  } finally {
    await wal.close();
  }
  log.info("restored snapshot", facts);
}

/** Copies the file without the hash behind it, which is looked at. */
async function copyDb(fs: World["fs"], from: string, to: string, skipHashCheck: boolean): Promise<void> {
  await using source = await fs.open(from, {});
  await using target = await fs.open(to, { write: true, create: true, truncate: true, mode: 0o600 });
  const size = await source.size();
  const hasHash = size % SECTOR === HASH_BYTES;
  if (!hasHash && !skipHashCheck) throw new Error("snapshot missing hash but --skip-hash-check=false");
  const end = hasHash ? size - HASH_BYTES : size;
  const hash = createHash("sha256");
  for (let at = 0; at < end; at += COPY_BYTES) {
    const bytes = await source.read(at, Math.min(COPY_BYTES, end - at));
    hash.update(bytes);
    await target.write(at, [bytes]);
  }
  if (hasHash && !skipHashCheck) {
    const expected = await source.read(end, HASH_BYTES);
    const got = hash.digest();
    if (Buffer.compare(expected, got) !== 0)
      throw new Error(`expected sha256 [${expected.join(" ")}], got [${got.join(" ")}]`);
  }
  await target.sync();
}

/** Makes the new cluster of the file: its members, the place in the log. */
async function fitDb(from: {
  readonly fs: World["fs"];
  readonly path: string;
  readonly members: readonly Member[];
  readonly index: number;
  readonly confState: ConfState;
  readonly bump: number;
  readonly log: Logger;
}): Promise<void> {
  const { members, index, confState, bump, log } = from;
  const file = await BoltFile.open(from.fs, from.path);
  try {
    let latest = 0;
    await file.load((bucket, key) => {
      if (bucket === "key") latest = mainOf(key);
    });
    const meta: Change[] = [
      { key: Buffer.from("confState"), value: Buffer.from(confStateJson(confState)) },
      { key: Buffer.from("consistent_index"), value: bigEndianBytes(index) },
      { key: Buffer.from("term"), value: bigEndianBytes(1) },
    ];
    const changes = new Map<string, BucketChanges | undefined>();
    if (bump > 0) {
      log.info("bumping latest revision", {
        "latest-revision": latest,
        "bump-amount": bump,
        "new-latest-revision": latest + bump,
      });
      changes.set("key", { changes: [{ key: revisionKey(latest + bump, 0), value: new Uint8Array(0) }], fill: 0.9 });
      log.info("marking revision compacted", { revision: latest + bump });
      // Before "term": changes come in order.
      meta.splice(2, 0, { key: Buffer.from("scheduledCompactRev"), value: revisionKey(latest + bump, 0) });
    }
    changes.set("meta", { changes: meta });
    // The old members go, and those who were removed from among them.
    await file.commit(
      new Map([
        ["members", undefined],
        ["members_removed", undefined],
      ]),
    );
    const kept = members.map((member): Change => ({
      key: Buffer.from(hexId(member.ID)),
      value: Buffer.from(memberJson(member)),
    }));
    kept.sort((a, b) => Buffer.compare(a.key, b.key));
    changes.set("members", { changes: kept });
    changes.set("members_removed", { changes: [] });
    await file.commit(changes);
  } finally {
    await file.close();
  }
}

function bigEndianBytes(value: number): Uint8Array {
  const bytes = new Uint8Array(8);
  putBigEndian(bytes, 0, value);
  return bytes;
}
