/** What one connection may take of us. Upstream's figures where it has them: golang.org/x/net/http2, google.golang.org/grpc/internal/transport */

/** Streams open at once, unless the listener says otherwise. */
export const STREAMS_MAX = 10_000;
/** Handlers at work for streams that are reset already count too, up to so many times the streams. */
export const HANDLERS_PER_STREAM = 4;

/** As net/http's DefaultMaxHeaderBytes. */
export const REQUEST_HEADERS = { maxListBytes: 1 << 20, maxHeaders: 2000 } as const;
export const RESPONSE_HEADERS = { maxListBytes: 16 << 20, maxHeaders: 10_000 } as const;
/** Of one header block, whatever the bytes in them. */
export const CONTINUATIONS_MAX = 256;

export const SERVER_WINDOWS = { stream: 1 << 20, connection: 16 << 20 } as const;
export const CLIENT_WINDOWS = { stream: 4 << 20, connection: 32 << 20 } as const;

/** A client-go process cancels watches by the thousand, once in a while. */
export const RESETS = { burst: 20_000, perSecond: 2000 } as const;
/** Frames that carry nothing of a request: pings, settings, priorities, window updates, empty data. */
export const IDLE_FRAMES = { burst: 10_000, perSecond: 100 } as const;
/** For each frame that carries something, as many of the others are free: Go pings and opens two windows for a piece of data. */
export const IDLE_FRAMES_FREE = 8;

/** Answers to pings and settings that a client may leave unread. */
export const UNREAD_ANSWERS_MAX = 10_000;

/** From connecting to the client's first SETTINGS. */
export const OPENING_MS = 10_000;
/** From our goodbye to the end of the connection, for the other side to read it. */
export const GOODBYE_MS = 1000;

/** What an answered request may still send. */
export const LINGER_MS = 2000;

export const PING_AFTER_MS = 30_000;
export const PING_TIMEOUT_MS = 15_000;
/** As gRPC's server: so many pings too close together are forgiven, and with nothing open they must be this far apart. */
export const PING_STRIKES_MAX = 2;
export const PING_INTERVAL_IDLE_MS = 2 * 60 * 60_000;

/** Streams that ended lately, whose late frames are told from those of streams that never were. */
export const REMEMBERED_STREAMS = 256;
