/** Receives a body by callback from any protocol, without a promise per piece where the protocol supports that. */
import type { BodySink, Headers } from "../world/net.ts";

interface Source {
  readonly body: AsyncIterable<Uint8Array>;
  readonly trailers?: Promise<Headers>;
  receive?(sink: BodySink): void;
}

export function receive(source: Source, sink: BodySink): void {
  if (source.receive !== undefined) source.receive(sink);
  else void iterate(source, sink);
}

async function iterate(source: Source, sink: BodySink): Promise<void> {
  let trailers: Headers = {};
  try {
    for await (const chunk of source.body) sink.onData(chunk);
    if (source.trailers !== undefined) trailers = await source.trailers;
  } catch (error) {
    return sink.onError(error);
  }
  sink.onEnd(trailers);
}
