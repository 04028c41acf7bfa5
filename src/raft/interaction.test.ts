import { basename } from "node:path";
import { describe, test } from "node:test";
import { runConfChangeTranscript } from "../testing/raft/conf-changes.ts";
import { PEER_TRANSCRIPTS, skipPeerTranscripts, transcripts } from "../testing/raft/data-driven.ts";
import { runInteraction } from "../testing/raft/interaction.ts";
import { runQuorumTranscript } from "../testing/raft/quorums.ts";

describe("upstream's transcripts pass unchanged", { skip: skipPeerTranscripts }, () => {
  const suites = [
    ["testdata", runInteraction],
    ["quorum/testdata", runQuorumTranscript],
    ["confchange/testdata", runConfChangeTranscript],
  ] as const;
  for (const [folder, run] of suites)
    for (const path of skipPeerTranscripts ? [] : transcripts(`${PEER_TRANSCRIPTS}/${folder}`))
      test(`${folder}/${basename(path, ".txt")}`, () => run(path));
});
