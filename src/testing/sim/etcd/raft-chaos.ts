/** Loses, repeats, holds back and so reorders raft's messages. */
import type { PeerTransport } from "../../../etcd/peer/transport.ts";
import type { Message } from "../../../raft/types.ts";
import type { Clock, Random } from "../../../world/world.ts";

export interface MessageFaults {
  loss: number;
  repeat: number;
  /** The chance to be late, and by how much at most. */
  late: number;
  lateMs: number;
  /** Those that are lost whatever chance says. */
  drops?: ((message: Message) => boolean) | undefined;
}

export function withFaults(inner: PeerTransport, faults: MessageFaults, clock: Clock, random: Random): PeerTransport {
  const deliver = (message: Message) => {
    if (random.next() < faults.late) clock.after(random.next() * faults.lateMs, () => inner.send([message]));
    else inner.send([message]);
  };
  return {
    send(messages) {
      const { drops } = faults;
      if (faults.loss === 0 && faults.repeat === 0 && faults.late === 0 && drops === undefined)
        return inner.send(messages);
      for (const message of messages) {
        if (drops?.(message) === true) continue;
        // A snapshot's sender is told what became of it, and who repeats a request asks twice: connections do neither by themselves.
        if (message.type === "MsgSnap" || message.type === "MsgProp") {
          inner.send([message]);
          continue;
        }
        if (random.next() < faults.loss) continue;
        // The driver may use it again.
        const copy = { ...message, entries: [...message.entries] };
        deliver(copy);
        if (random.next() < faults.repeat) deliver(copy);
      }
    },
    flush: () => inner.flush(),
    addPeer: (id, urls) => inner.addPeer(id, urls),
    addRemote: (id, urls) => inner.addRemote(id, urls),
    updatePeer: (id, urls) => inner.updatePeer(id, urls),
    removePeer: (id) => inner.removePeer(id),
    activeSince: (id) => inner.activeSince(id),
    handler: (exchange) => inner.handler(exchange),
    close: () => inner.close(),
  };
}
