/** Byte streams by callback, for protocols on hot paths: no promise per chunk, and one write for everything that a turn of work produces. */
import { deferred, type Deferred } from "../base/deferred.ts";
import type { ByteChannel, ByteSink, ByteStream } from "./net.ts";

/** The stream's own fast path, or one made from iterating and writing. Afterwards nobody else may read or write the stream. */
export function attach(stream: ByteStream, sink: ByteSink): ByteChannel {
  return stream.attach?.(sink) ?? attachSlowly(stream, sink);
}

function attachSlowly(stream: ByteStream, sink: ByteSink): ByteChannel {
  let flushing = false;
  let writing = 0;
  let closed = false;
  let going: Deferred<void> | undefined;
  const close = (error?: unknown) => {
    if (closed) return;
    closed = true;
    sink.onClose(error instanceof Error ? error : undefined);
  };
  void (async () => {
    try {
      for await (const chunk of stream) {
        if (going !== undefined) await going.promise;
        if (closed) return;
        sink.onData(chunk);
      }
      if (going !== undefined) await going.promise;
      if (!closed) sink.onEnd();
    } catch (error) {
      close(error);
    }
  })();
  void stream.closed.then(() => close());
  return {
    flushSoon() {
      if (flushing) return;
      flushing = true;
      queueMicrotask(() => {
        flushing = false;
        if (!closed) sink.onFlush();
      });
    },
    write(chunks) {
      for (const chunk of chunks) {
        writing += chunk.length;
        stream.write(chunk).then(() => {
          writing -= chunk.length;
          if (writing === 0 && !closed) sink.onDrain();
        }, close);
      }
      return writing < HIGH_WATER_BYTES;
    },
    pause: () => void (going ??= deferred()),
    resume() {
      going?.resolve();
      going = undefined;
    },
  };
}

const HIGH_WATER_BYTES = 64 * 1024;
