/** A live member, and bodies of every request that its ports know: whole, damaged and made up. Each is answered, and none tells of a bug. */
import assert from "node:assert/strict";
import { ComponentGroup } from "../../base/component-group.ts";
import { HealthState } from "../../etcd/api/health.ts";
import { clientHandler } from "../../etcd/http/handler.ts";
import type { Member } from "../../etcd/member.ts";
import { requestHeaders } from "../../etcd/peer/protocol.ts";
import { peerHandler } from "../../etcd/peer/handler.ts";
import { createEtcd, servicesOf } from "../../etcd/server.ts";
import { bindings } from "../../etcd/serving.ts";
import { V2Api } from "../../etcd/v2/http.ts";
import { silent, type Logger } from "../../observe/log.ts";
import { Metrics } from "../../observe/metrics.ts";
import { RaftpbMessage } from "../../protocols/etcd/generated.ts";
import { framed, PREFIX_BYTES } from "../../wire/rpc/frames.ts";
import { toJson } from "../../wire/rpc/json.ts";
import { RpcError, type MessageType, type Method } from "../../wire/rpc/service.ts";
import type { BodySink, Exchange, Headers, HttpHandler } from "../../world/net.ts";
import { type Random, randomInt } from "../../world/world.ts";
import { simulatedWorld } from "../sim/world.ts";
import { chunked, type Fuzzer, mutated, pick } from "./fuzzer.ts";

/** To one member, one after the other. */
const REQUESTS = 10;

interface Asked {
  readonly method: string;
  readonly url: string;
  readonly headers: Headers;
  readonly body: Buffer;
}

interface Ports {
  readonly member: Member;
  readonly client: HttpHandler;
  readonly peer: HttpHandler;
  readonly methods: readonly { readonly path: string; readonly method: Method<unknown, unknown> }[];
}

function fuzzer(
  name: string,
  about: string,
  port: "client" | "peer",
  ask: (ports: Ports, random: Random) => Asked,
): Fuzzer {
  return {
    name,
    about,
    briefly: 400,
    async run(random) {
      const world = simulatedWorld(String(random.next()));
      const bugs: string[] = [];
      const log: Logger = {
        ...silent,
        // What a request or an entry is answered with is no bug.
        error(message, error) {
          if (error instanceof Error && !(error instanceof RpcError)) bugs.push(`${message}: ${error.stack}`);
        },
        v: () => silent,
        with: () => log,
      };
      let member!: Member;
      const deps = { ...world, log, metrics: new Metrics(), seams: { opened: (one: Member) => (member = one) } };
      const etcd = createEtcd({ dataDir: "/data", bcryptCost: 4 }, deps);
      let done = false;
      const work = (async () => {
        await using group = new ComponentGroup();
        await group.start(etcd);
        const services = servicesOf(member, deps);
        const list = bindings(member, services, new HealthState(log));
        using v2 = new V2Api(member, services.cluster, deps);
        using client = clientHandler(member, list, deps, v2.handle);
        const methods = list.flatMap(({ service }) =>
          Object.entries(service.methods).map(([method, value]) => ({
            path: `/${service.name}/${method}`,
            method: value as Method<unknown, unknown>,
          })),
        );
        const ports: Ports = { member, client: client.handle, peer: peerHandler(member), methods };
        for (let i = 0; i < REQUESTS; i++) {
          const asked = ask(ports, random);
          const answered = await request(ports[port], asked, random, world.clock);
          assert.ok(answered, `${asked.method} ${asked.url} is not answered`);
          assert.deepEqual(bugs, [], `${asked.method} ${asked.url}`);
        }
      })().finally(() => (done = true));
      work.catch(() => {});
      await world.clock.until(() => done, 3_600_000);
      assert.ok(done, "it never ends");
      await work;
      return REQUESTS;
    },
  };
}

/** False where there is no answer after a while, though the client has gone away meanwhile. */
async function request(
  handler: HttpHandler,
  { method, url, headers, body }: Asked,
  random: Random,
  clock: { after(ms: number, run: () => void): Disposable },
): Promise<boolean> {
  const gone = new AbortController();
  let answers = 0;
  const ended = new Promise<void>((resolve) => gone.signal.addEventListener("abort", () => resolve()));
  const chunks = [...chunked(random, body)];
  const exchange = {
    request: {
      method,
      url,
      headers,
      httpVersion: "2.0",
      peer: { address: { host: "10.0.0.1", port: 1 } },
      encrypted: false,
      signal: gone.signal,
      async *body() {},
      receive(sink: BodySink) {
        for (const chunk of chunks) sink.onData(chunk);
        sink.onEnd({});
      },
    },
    respond() {
      answers++;
      assert.equal(answers, 1, `${url}: one answer`);
      gone.abort();
    },
    stream() {
      answers++;
      return {
        write: () => true,
        drained: Promise.resolve(),
        queuedBytes: 0,
        end: () => gone.abort(),
        destroy: () => gone.abort(),
      };
    },
  };
  Object.assign(exchange.request, {
    body: (async function* () {
      yield* chunks;
    })(),
  });
  const timer = clock.after(30_000, () => gone.abort());
  const handling = Promise.resolve(handler(exchange as unknown as Exchange)).catch((error: unknown) => {
    throw new Error(`${method} ${url} failed`, { cause: error });
  });
  await Promise.race([handling.then(() => ended), ended]);
  timer[Symbol.dispose]();
  gone.abort();
  await handling;
  // Who waits for a lock or an election is let go of without one.
  return answers > 0 || /Lock|Campaign|Observe|lock|election|wait/i.test(url);
}

/** A message with anything in its fields. */
export function anything(
  random: Random,
  type: MessageType<unknown>,
  registry: Member["codec"]["registry"],
  depth = 0,
): object {
  const message: Record<string, unknown> = {};
  const taken = new Set<string>();
  for (const field of type.fields as readonly Readonly<Record<string, any>>[]) {
    if (random.next() < 0.4) continue;
    if (field["oneof"] !== undefined && taken.has(field["oneof"])) continue;
    if (field["oneof"] !== undefined) taken.add(field["oneof"]);
    const one = (): unknown => {
      const number = () => pick(random, [0, 1, 2, 3, 7, 1000, -1, 2 ** 31 - 1]);
      switch (field["type"] as string) {
        case "bytes":
          return Buffer.from(pick(random, ["", "a", "b", "k", "\0", "z", "root"]));
        case "string":
          return pick(random, ["", "a", "root", "http://m:2380", "1", "é"]);
        case "bool":
          return random.next() < 0.5;
        default: {
          const nested = registry.messages[field["type"]];
          if (nested !== undefined) return depth > 3 ? undefined : anything(random, nested, registry, depth + 1);
          const values = registry.enums[field["type"]];
          if (values !== undefined) return pick(random, Object.keys(values));
          return field["bigint"] === true ? BigInt(number()) : number();
        }
      }
    };
    message[field["name"]] =
      field["repeated"] === true
        ? Array.from({ length: randomInt(random, 3) }, one).filter((value) => value !== undefined)
        : one();
  }
  return message;
}

/** Whole, damaged, or not one at all. */
function spoilt(random: Random, make: () => Uint8Array): Buffer {
  const dice = random.next();
  if (dice < 0.15) return Buffer.from(random.bytes(randomInt(random, 60)));
  let whole: Uint8Array = new Uint8Array(0);
  try {
    whole = make();
  } catch {
    // Of values that the type doesn't have.
  }
  return dice < 0.5 ? Buffer.from(whole) : mutated(random, whole);
}

const grpc = fuzzer("member-grpc", "bodies of every RPC to a live member", "client", ({ methods, member }, random) => {
  const { path, method } = pick(random, methods);
  const make = () =>
    member.codec
      .encode(method.input, anything(random, method.input, member.codec.registry), PREFIX_BYTES)
      .subarray(PREFIX_BYTES);
  const message = spoilt(random, make);
  const body = framed(Buffer.concat([Buffer.alloc(PREFIX_BYTES), message]));
  return {
    method: "POST",
    url: path,
    headers: { "content-type": "application/grpc", te: "trailers" },
    body: Buffer.from(body),
  };
});

const json = fuzzer("member-json", "JSON of every RPC to a live member", "client", ({ methods, member }, random) => {
  const { method } = pick(
    random,
    methods.filter(({ method }) => method.post),
  );
  const { registry } = member.codec;
  const make = () => {
    const { codec } = member;
    const whole = codec.decode(method.input, codec.encode(method.input, anything(random, method.input, registry)));
    return Buffer.from(JSON.stringify(toJson(registry, method.input, whole)));
  };
  const url = random.next() < 0.95 ? method.post! : `/v3/${Buffer.from(random.bytes(4)).toString("hex")}`;
  return { method: "POST", url, headers: { "content-type": "application/json" }, body: spoilt(random, make) };
});

const v2 = fuzzer("member-v2", "requests of the v2 API to a live member", "client", (_, random) => {
  const dir = pick(random, [
    "keys",
    "keys",
    "keys",
    "members",
    "stats/self",
    "auth/users",
    "auth/roles",
    "auth/enable",
    "machines",
  ]);
  const path = pick(random, ["", "/", "/a", "/a/b", "/a/b/c", "/_hidden", "//", "/%zz", "/é"]);
  const words = () =>
    [
      "value=1",
      "dir=true",
      "dir=x",
      "ttl=5",
      "ttl=-1",
      "prevValue=1",
      "prevIndex=2",
      "prevIndex=z",
      "prevExist=false",
      "recursive=true",
      "sorted=true",
      "quorum=true",
      "wait=true&waitIndex=1",
      "refresh=true",
      "%",
    ]
      .filter(() => random.next() < 0.2)
      .join("&");
  const form = Buffer.from(words());
  const document = () =>
    Buffer.from(
      pick(random, ['{"user":"root","password":"x"}', '{"role":"a"}', '{"peerURLs":["http://x:1"]}', "{}", "[", ""]),
    );
  return {
    method: pick(random, ["GET", "PUT", "POST", "DELETE", "HEAD", "PATCH"]),
    url: `/v2/${dir}${path}?${words()}`,
    headers: { "content-type": pick(random, ["application/x-www-form-urlencoded", "application/json"]) },
    body: spoilt(random, dir === "keys" ? () => form : document),
  };
});

const peer = fuzzer(
  "member-peers",
  "what members send each other, damaged, to a live member",
  "peer",
  ({ member }, random) => {
    const { codec, id, clusterId } = member;
    const paths = [
      "/raft",
      "/raft/snapshot",
      "/raft/stream/msgapp/1",
      "/raft/stream/message/zz",
      "/leases",
      "/leases/internal",
      "/members/hashkv",
      "/members/promote/1",
      "/members/promote/x",
      "/downgrade/enabled",
      "/version",
    ];
    const url = pick(random, paths);
    const headers = requestHeaders({
      id: 7n,
      clusterId: random.next() < 0.9 ? clusterId : 1n,
      advertisedUrls: ["http://x:1"],
    });
    const make = () => {
      // Of a term that is over: what a later one says is believed, as from any leader.
      const message = { ...anything(random, RaftpbMessage, codec.registry), to: id, from: 7n, term: 1 };
      return codec.encode(RaftpbMessage, message);
    };
    const inSnapshot = () => {
      const bytes = make();
      const length = Buffer.alloc(8);
      length.writeBigUInt64BE(BigInt(random.next() < 0.8 ? bytes.length : randomInt(random, 1e9)));
      return Buffer.concat([length, bytes, random.bytes(100)]);
    };
    const method = random.next() < 0.8 ? "POST" : pick(random, ["GET", "PUT"]);
    return {
      method,
      url,
      headers: { ...headers, "x-raft-to": "1" },
      body: spoilt(random, url === "/raft/snapshot" ? inSnapshot : make),
    };
  },
);

export const memberFuzzers: readonly Fuzzer[] = [grpc, json, v2, peer];
