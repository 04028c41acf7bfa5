/** Raft's log lines, as upstream's server writes them. Upstream: server/etcdserver/zap_raft.go */
import type { Logger } from "../observe/log.ts";
import type { Logger as RaftLogger } from "../raft/logger.ts";

export function raftLogger(log: Logger): RaftLogger {
  const verbose = log.v(4);
  return {
    debug: (line) => verbose.info(line),
    info: (line) => log.info(line),
    warning: (line) => log.warn(line),
    error: (line) => log.error(line, undefined),
  };
}
