/** DNS over UDP and TCP: decodes queries, looks them up, encodes answers. Queries for other zones are forwarded to the upstream servers unchanged. */
import {
  AUTHORITATIVE_ANSWER,
  decode,
  encode,
  type Packet,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
  type Answer as WireAnswer,
} from "dns-packet";
import { deferred, type Deferred } from "../base/deferred.ts";
import type { Logger } from "../observe/log.ts";
import { counter, type Metrics } from "../observe/metrics.ts";
import type { Address, DatagramSocket, Listener } from "../world/net.ts";
import type { World } from "../world/world.ts";
import { lookup, type Record_, type Zone } from "./records.ts";

export interface DnsServerOptions {
  readonly host: string;
  readonly port: number;
  /** Where questions about other zones go; none refuses them. */
  readonly upstreams: readonly Address[];
  readonly ttlSeconds: number;
}

const requests = counter("coredns_dns_requests_total", {
  help: "Counter of DNS requests made per zone, protocol and family.",
  labels: ["proto", "type"],
});
const responses = counter("coredns_dns_responses_total", {
  help: "Counter of response status codes.",
  labels: ["rcode"],
});

const UDP_SIZE = 512;
const MAX_ALIASES = 8;
const UPSTREAM_TIMEOUT_MS = 2000;
const RCODES = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const;

export interface DnsServer extends AsyncDisposable {
  readonly address: Address;
}

export async function serveDns(
  zone: Zone,
  options: DnsServerOptions,
  deps: Pick<World, "net" | "clock" | "random"> & { readonly log: Logger; readonly metrics: Metrics },
): Promise<DnsServer> {
  const forwarder = await createForwarder(options.upstreams, deps);

  /** The answer's bytes, or undefined for what isn't a question at all. */
  async function answer(query: Uint8Array, proto: "udp" | "tcp"): Promise<Uint8Array | undefined> {
    let packet: Packet;
    try {
      packet = decode(Buffer.from(query.buffer, query.byteOffset, query.byteLength));
    } catch {
      return query.length < 12 ? undefined : failure(query, RCODES.FORMERR);
    }
    if (packet.type !== "query") return undefined;
    const [question] = packet.questions ?? [];
    if (question === undefined) return failure(query, RCODES.FORMERR);
    if (((packet.flags ?? 0) & 0x7800) !== 0) return failure(query, RCODES.NOTIMP);
    deps.metrics.add(requests, { proto, type: question.type });
    const result = lookup(zone, question.name, question.type);
    if (result.kind === "elsewhere") return (await forwarder.ask(query)) ?? failure(query, RCODES.SERVFAIL);
    const ttl = options.ttlSeconds;
    const wire = (record: Record_): WireAnswer => ({ ...record, ttl, class: "IN" }) as WireAnswer;
    const soa = {
      type: "SOA",
      name: zone.name,
      ttl,
      class: "IN",
      data: {
        mname: `ns.dns.${zone.name}`,
        rname: `hostmaster.${zone.name}`,
        serial: Math.floor(deps.clock.now() / 1000),
        refresh: 7200,
        retry: 1800,
        expire: 86_400,
        minimum: ttl,
      },
    } as WireAnswer;
    const answers =
      result.kind === "records"
        ? [
            ...shuffled(result.answers, deps.random).map(wire),
            ...(await behindAlias(result.answers, question.type, wire)),
          ]
        : [];
    const rcode = result.kind === "no such name" ? "NXDOMAIN" : "NOERROR";
    deps.metrics.add(responses, { rcode });
    const edns = packet.additionals?.find((record) => record.type === "OPT") as
      | { readonly udpPayloadSize?: number }
      | undefined;
    const reply: Packet = {
      type: "response",
      id: packet.id,
      flags: AUTHORITATIVE_ANSWER | RECURSION_AVAILABLE | ((packet.flags ?? 0) & RECURSION_DESIRED) | RCODES[rcode],
      questions: [question],
      answers,
      authorities: answers.length === 0 ? [soa] : [],
      additionals: [
        ...(result.kind === "records" ? result.additionals.map(wire) : []),
        ...(edns === undefined
          ? []
          : [{ type: "OPT", name: ".", udpPayloadSize: 1232, flags: 0, options: [] } as unknown as WireAnswer]),
      ],
    };
    const bytes = encode(reply);
    const limit = proto === "tcp" ? 65_535 : Math.max(UDP_SIZE, Math.min(edns?.udpPayloadSize ?? UDP_SIZE, 4096));
    if (bytes.length <= limit) return bytes;
    // Too long for a datagram: the client asks again over TCP.
    return encode({
      ...reply,
      flags: (reply.flags ?? 0) | TRUNCATED_RESPONSE,
      answers: [],
      additionals: [],
      authorities: [],
    });
  }

  /** What an external name stands for, so that a client needs no second question: from our own zone, or from upstream. */
  async function behindAlias(
    records: readonly Record_[],
    type: string,
    wire: (record: Record_) => WireAnswer,
    hops = 0,
  ): Promise<readonly WireAnswer[]> {
    const [alias] = records;
    if (alias?.type !== "CNAME" || type === "CNAME" || hops === MAX_ALIASES) return [];
    const target = lookup(zone, alias.data, type);
    if (target.kind === "records")
      return [
        ...shuffled(target.answers, deps.random).map(wire),
        ...(await behindAlias(target.answers, type, wire, hops + 1)),
      ];
    if (target.kind !== "elsewhere") return [];
    const question = { name: alias.data, type: type as "A" };
    const reply = await forwarder.ask(
      encode({ type: "query", id: 0, flags: RECURSION_DESIRED, questions: [question] }),
    );
    if (reply === undefined) return [];
    try {
      return decode(Buffer.from(reply)).answers ?? [];
    } catch {
      return []; // The alias alone is an answer too.
    }
  }

  const socket: DatagramSocket = await deps.net.datagrams({ host: options.host, port: options.port }, (data, from) => {
    void answer(data, "udp").then(
      (bytes) => bytes !== undefined && socket.send(bytes, from),
      (error: unknown) => deps.log.error("Failed to answer a DNS query", error),
    );
  });
  let listener: Listener;
  try {
    listener = await deps.net.listen({ host: options.host, port: socket.address.port }, (stream) => {
      void (async () => {
        let rest = Buffer.alloc(0);
        for await (const chunk of stream) {
          rest = Buffer.concat([rest, chunk]);
          while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
            const length = rest.readUInt16BE(0);
            const bytes = await answer(rest.subarray(2, 2 + length), "tcp");
            rest = rest.subarray(2 + length);
            if (bytes === undefined) return stream.destroy();
            const frame = Buffer.alloc(2 + bytes.length);
            frame.writeUInt16BE(bytes.length);
            frame.set(bytes, 2);
            await stream.write(frame);
          }
        }
        stream.end();
      })().catch(() => stream.destroy());
    });
  } catch (error) {
    await socket[Symbol.asyncDispose]();
    throw error;
  }
  return {
    address: socket.address,
    async [Symbol.asyncDispose]() {
      await listener.close(0);
      await socket[Symbol.asyncDispose]();
      await forwarder[Symbol.asyncDispose]();
    },
  };
}

/** The query's own header and question with a failure code. */
function failure(query: Uint8Array, rcode: number): Uint8Array {
  const bytes = Uint8Array.from(query.subarray(0, 12));
  bytes[2] = bytes[2]! | 0x80;
  bytes[3] = (bytes[3]! & 0xf0) | 0x80 | rcode;
  bytes.fill(0, 4, 12);
  return bytes;
}

/** Clients take the first address: a new order for each spreads them. */
function shuffled<T>(items: readonly T[], random: World["random"]): readonly T[] {
  if (items.length < 2) return items;
  const copy = [...items];
  for (let i = copy.length - 1; i > 0; i--) {
    const j = Math.floor(random.next() * (i + 1));
    [copy[i], copy[j]] = [copy[j]!, copy[i]!];
  }
  return copy;
}

interface Forwarder extends AsyncDisposable {
  /** The first answer of an upstream, each tried in turn; undefined when none answers. */
  ask(query: Uint8Array): Promise<Uint8Array | undefined>;
}

async function createForwarder(
  upstreams: readonly Address[],
  deps: Pick<World, "net" | "clock" | "random">,
): Promise<Forwarder> {
  const waiting = new Map<number, Deferred<Uint8Array | undefined>>();
  const socket =
    upstreams.length === 0
      ? undefined
      : await deps.net.datagrams({ host: "0.0.0.0", port: 0 }, (data, from) => {
          if (data.length < 12 || !upstreams.some(({ host, port }) => host === from.host && port === from.port)) return;
          waiting.get((data[0]! << 8) | data[1]!)?.resolve(data);
        });
  return {
    async ask(query) {
      for (const upstream of upstreams) {
        // An id of our own: two clients may have picked the same one.
        let id = Math.floor(deps.random.next() * 65_536);
        while (waiting.has(id)) id = (id + 1) % 65_536;
        const sent = Uint8Array.from(query);
        sent[0] = id >> 8;
        sent[1] = id & 255;
        const answered = deferred<Uint8Array | undefined>();
        waiting.set(id, answered);
        using _timeout = deps.clock.after(UPSTREAM_TIMEOUT_MS, () => answered.resolve(undefined));
        socket!.send(sent, upstream);
        const bytes = await answered.promise;
        waiting.delete(id);
        if (bytes === undefined) continue;
        const reply = Uint8Array.from(bytes);
        reply[0] = query[0]!;
        reply[1] = query[1]!;
        return reply;
      }
      return undefined;
    },
    async [Symbol.asyncDispose]() {
      await socket?.[Symbol.asyncDispose]();
    },
  };
}
