import { basename } from "node:path";
import { describe, test } from "node:test";
import { runConfChangeTranscript } from "../testing/raft/conf-changes.ts";
import { PEER_TRANSCRIPTS, skipPeerTranscripts, transcripts } from "../testing/raft/data-driven.ts";
import { runInteraction } from "../testing/raft/interaction.ts";
import { runQuorumTranscript } from "../testing/raft/quorums.ts";

const SUITES = [
  ["testdata", runInteraction],
  ["quorum/testdata", runQuorumTranscript],
  ["confchange/testdata", runConfChangeTranscript],
] as const;

describe("upstream's transcripts pass unchanged", { skip: skipPeerTranscripts }, () => {
  for (const [folder, run] of SUITES)
    for (const path of skipPeerTranscripts ? [] : transcripts(`${PEER_TRANSCRIPTS}/${folder}`))
      test(`${folder}/${basename(path, ".txt")}`, () => run(path));
});

describe("our transcripts pass unchanged", () => {
  for (const [folder, run] of SUITES)
    for (const path of transcripts(`src/raft/${folder}`)) test(`${folder}/${basename(path, ".txt")}`, () => run(path));
});
