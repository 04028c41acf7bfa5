/** Every fuzzer: `npm run fuzz` runs them long, the unit tests briefly. */
import { apiFuzzers } from "./api.ts";
import { dbFiles, dbSnapshots } from "./db.ts";
import { peerMessages, peerSnapshots } from "./follower.ts";
import { peerFrames } from "./frames.ts";
import type { Fuzzer } from "./fuzzer.ts";
import { grpcBodies } from "./grpc.ts";
import { hpackBlocks, hpackHeaders } from "./hpack.ts";
import { http1 } from "./http1.ts";
import { http2Clients, http2Servers } from "./http2.ts";
import { memberFuzzers } from "./member.ts";
import { snapFiles } from "./snap.ts";
import { spdyFrames, webSocketFrames } from "./upgraded.ts";
import { walFiles } from "./wal.ts";

export const fuzzers: readonly Fuzzer[] = [
  hpackBlocks,
  hpackHeaders,
  http1,
  http2Servers,
  http2Clients,
  grpcBodies,
  spdyFrames,
  webSocketFrames,
  walFiles,
  snapFiles,
  dbFiles,
  dbSnapshots,
  ...memberFuzzers,
  peerFrames,
  peerMessages,
  peerSnapshots,
  ...apiFuzzers,
];
