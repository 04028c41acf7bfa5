/** The errors of raft and its storage, in upstream's words. Callers tell them apart by `code`. */

const MESSAGES = {
  "proposal dropped": "raft proposal dropped",
  "local message": "raft: cannot step raft local message",
  "peer not found": "raft: cannot step as peer not found",
  compacted: "requested index is unavailable due to compaction",
  unavailable: "requested entry at index is unavailable",
  "snapshot out of date": "requested index is older than the existing snapshot",
  "snapshot temporarily unavailable": "snapshot is temporarily unavailable",
} as const;

export type RaftErrorCode = keyof typeof MESSAGES;

export class RaftError extends Error {
  override readonly name = "RaftError";
  readonly code: RaftErrorCode;

  constructor(code: RaftErrorCode) {
    super(MESSAGES[code]);
    this.code = code;
  }
}

export function isRaftError(error: unknown, code: RaftErrorCode): boolean {
  return error instanceof RaftError && error.code === code;
}
