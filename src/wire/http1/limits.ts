/** Limits for one connection. The figures are upstream's: net/http, and pkg/server/secure_serving.go of kube-apiserver. */

/** Request line and headers: net/http's DefaultMaxHeaderBytes, and what it reads beyond. */
export const HEAD_BYTES = (1 << 20) + 4096;
/** From a request's first byte to the end of its headers. */
export const HEAD_MS = 32_000;
/** Without a request. */
export const IDLE_MS = 90_000;

/** What is read of a body that nobody wants, for the next request behind it. */
export const UNWANTED_BODY_BYTES = 256 << 10;
/** Between the end of an answer that closes and the end of the connection, for the client to read it. */
export const LINGER_MS = 500;

/** A chunk's size with its extensions. */
export const CHUNK_LINE_BYTES = 4096;
/** Of all chunks together, what may be more than 16 bytes a chunk and two for each of data. */
export const CHUNK_EXCESS_BYTES = 16 << 10;
export const TRAILER_BYTES = 4096;

/** Bytes of a body that wait to be read, and of requests behind it, before the client has to wait. */
export const UNREAD_BYTES = 256 << 10;
/** From so many queued bytes on, `write` says that the other side is slow. */
export const HIGH_WATER_BYTES = 64 << 10;
/** Bytes that are put together before they are written within a turn. */
export const FLUSH_BYTES = 128 << 10;
/** What is larger leaves as it is; smaller is copied behind its head. */
export const COPIED_BYTES = 16 << 10;

/** Headers of a connection's last requests, by their bytes. */
export const KNOWN_BLOCKS = 4;
export const KNOWN_BLOCK_BYTES = 2048;
