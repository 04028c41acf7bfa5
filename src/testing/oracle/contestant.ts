/** One of the two servers: does a step of a sequence and tells how it ended, in words that are the same on both where they should be. */
import { assert } from "../../base/assert.ts";
import { machineWorld } from "../../cli/world.ts";
import { etcdCodec } from "../../protocols/etcd/connect.ts";
import * as etcd from "../../protocols/etcd/generated.ts";
import { grpcClient } from "../../wire/rpc/grpc-client.ts";
import { RpcError, type CallOptions, type Client, type Method, type Service } from "../../wire/rpc/service.ts";
import type { HttpClient } from "../../world/net.ts";
import type { EtcdProcess } from "../etcd-processes.ts";
import { toMessage, toPlain, type Meanings, type Plain, type PlainRecord } from "./plain.ts";
import type { Step } from "./step.ts";
import { Watching } from "./watching.ts";

const SERVICES: readonly Service[] = [
  etcd.KV,
  etcd.Lease,
  etcd.Maintenance,
  etcd.Cluster,
  etcd.Auth,
  etcd.Lock,
  etcd.Election,
];

const ALL = Buffer.from("\0");

export class Contestant {
  readonly kv: Client<typeof etcd.KV>;
  readonly lease: Client<typeof etcd.Lease>;
  readonly maintenance: Client<typeof etcd.Maintenance>;
  readonly cluster: Client<typeof etcd.Cluster>;
  readonly auth: Client<typeof etcd.Auth>;
  readonly #http: HttpClient;
  readonly #clients = new Map<string, { readonly method: Method<unknown, unknown>; readonly client: object }>();
  readonly #watching: Watching;
  readonly #tokens = new Map<string, string>();
  readonly #granted: bigint[] = [];
  readonly #members: bigint[] = [];
  readonly #names = new Map<bigint, string>();
  /** No row holds what each server chose for itself. */
  sameRows = true;
  /** Of the last answer with a header. */
  revision = 0;
  /** How many times as long as usual to wait for what may be late. */
  patience = 1;
  /** The version of the server whose answers are the measure: what it lacks is not looked at. */
  measure = "";

  /** What is of this server alone. */
  readonly #own: ReadonlyMap<string, string>;

  readonly #isOurs: boolean;

  constructor({ endpoint, name, peerUrl }: EtcdProcess, isOurs: boolean) {
    this.#isOurs = isOurs;
    const { net, clock } = machineWorld();
    this.#own = new Map([
      [name, "its name"],
      [endpoint, "its client URL"],
      [peerUrl, "its peer URL"],
    ]);
    this.#http = net.httpClient({ base: endpoint, version: "2" });
    const grpc = { http: this.#http, clock, codec: etcdCodec() };
    for (const service of SERVICES) {
      const client = grpcClient(service, grpc);
      for (const [name, method] of Object.entries(service.methods)) this.#clients.set(name, { method, client });
    }
    this.kv = grpcClient(etcd.KV, grpc);
    this.lease = grpcClient(etcd.Lease, grpc);
    this.maintenance = grpcClient(etcd.Maintenance, grpc);
    this.cluster = grpcClient(etcd.Cluster, grpc);
    this.auth = grpcClient(etcd.Auth, grpc);
    this.#watching = new Watching(grpcClient(etcd.Watch, grpc));
  }

  /** A new sequence: nothing of the one before has a name. */
  async begin(sameRows: boolean, measure: string, patience: number): Promise<void> {
    this.sameRows = sameRows;
    this.patience = patience;
    this.#watching.patience = patience;
    this.measure = measure;
    this.#tokens.clear();
    this.#granted.length = 0;
    this.#members.length = 0;
    this.#names.clear();
    const { header, members } = await this.cluster.MemberList({});
    for (const { ID } of members) this.#name(this.#members, "member", ID);
    ({ revision: this.revision } = (await this.kv.Range({ key: Buffer.from("x") })).header!);
    assert(header !== undefined, "an answer has a header");
    await this.#watching.begin(this.revision);
  }

  /** "3.4". */
  async version(): Promise<string> {
    const { version } = await this.maintenance.Status({});
    return version.split(".").slice(0, 2).join(".");
  }

  end(): void {
    this.#watching.end();
  }

  async close(): Promise<void> {
    this.end();
    await this.#http.close();
  }

  tokenOf(user: string): string | undefined {
    return this.#tokens.get(user);
  }

  /** What it answered, and what its watchers were told. */
  async perform(step: Step, revision: number): Promise<PlainRecord> {
    let outcome: PlainRecord;
    try {
      outcome = { answer: this.#show(await this.#ask(step, revision)) };
    } catch (error) {
      if (!(error instanceof RpcError)) throw error;
      outcome = { code: error.code, message: error.message };
      // Both ends have the deadline, and either may be the first to tell; the server takes back what it did.
      if (step.timeoutMs !== undefined && /^context deadline exceeded$|error code: CANCEL$/.test(error.message)) {
        outcome = { code: "DeadlineExceeded" };
        await new Promise((resolve) => setTimeout(resolve, 100 * this.patience));
      }
    }
    if (!this.#watching.isUsed) return outcome;
    const { told, isWhole } = await this.#watching.settle(this.revision);
    const shown = told.map(({ stream, response }) => ({
      stream,
      id: response instanceof RpcError ? -2 : Number(response.watch_id),
      response: response instanceof RpcError ? `${response.code}: ${response.message}` : this.#show(response),
    }));
    // Each watcher's in order; between watchers there is none.
    shown.sort((a, b) => a.stream - b.stream || a.id - b.id);
    return { ...outcome, ...(shown.length > 0 && { told: shown }), ...(!isWhole && { isWhole }) };
  }

  async #ask(step: Step, revision: number): Promise<unknown> {
    const { rpc, request, as } = step;
    const meanings: Meanings = {
      revision,
      lease: (number) => this.#granted[number % Math.max(1, this.#granted.length)] ?? 404n,
      member: (number) => this.#members[number] ?? 404n,
    };
    const token = as === undefined ? undefined : (this.#tokens.get(as) ?? as);
    const call: CallOptions = {
      timeoutMs: (step.timeoutMs ?? 10_000) * this.patience,
      ...(token !== undefined && { metadata: { token } }),
    };
    if (rpc === "Watch") {
      const requests = step.requests!.map((request) => toMessage(etcd.WatchRequest, request, meanings));
      await this.#watching.send(step.stream ?? 0, requests, token);
      return {};
    }
    if (rpc === "Sleep") return void (await new Promise((resolve) => setTimeout(resolve, Number(request["ms"]))));
    const { method, client } = this.#clients.get(rpc)!;
    const message = toMessage(method.input, request, meanings);
    const found = (client as Record<string, unknown>)[rpc] as (...args: unknown[]) => any;
    if (method.kind === "unary") {
      const answer = await found(message, call);
      const isKnown = rpc !== "HashKV" || (this.sameRows && (await this.#hasKeys(Number(message["revision"] ?? 0))));
      return this.#heard(rpc, message, isKnown ? answer : { ...answer, hash: undefined });
    }
    if (method.kind === "bidi") {
      const stream = found(call);
      stream.send(message);
      for await (const answer of stream) return this.#heard(rpc, message, answer);
      return {};
    }
    if (rpc === "RangeStream" && !this.#isOurs && this.measure < "3.7")
      return this.#heard(rpc, message, await this.kv.Range(message, call));
    const answers: any[] = [];
    for await (const answer of found(message, call)) {
      answers.push(answer);
      if (rpc === "Observe") return this.#heard(rpc, message, answer);
    }
    if (rpc === "RangeStream")
      return this.#heard(rpc, message, {
        ...answers.at(-1)?.range_response,
        kvs: answers.flatMap(({ range_response }) => range_response.kvs),
      });
    // The file's content is of the server; the last 32 bytes are its checksum.
    const bytes = answers.reduce((sum, { blob }) => sum + blob.length, 0);
    return {
      isWhole: bytes % 4096 === 32 || bytes % 4096 === 0,
      remaining: String(answers.at(-1)?.remaining_bytes ?? 0),
    };
  }

  /** With no key alive, upstream hashes the rows that a compaction has to drop, as far as it hasn't come to them. */
  async #hasKeys(revision: number): Promise<boolean> {
    try {
      const { count } = await this.kv.Range({ key: ALL, range_end: ALL, revision, count_only: true });
      return count > 0;
    } catch {
      return false; // Not allowed to ask.
    }
  }

  /** Remembers what later steps name, and takes out what can't be the same. */
  #heard(rpc: string, request: Record<string, unknown>, answer: any): unknown {
    if (answer.members !== undefined) answer = { ...answer, members: this.#inOrder(answer.members) };
    if (answer.header !== undefined) this.revision = Math.max(this.revision, answer.header.revision);
    switch (rpc) {
      case "LeaseGrant":
        if (!request["ID"]) this.#name(this.#granted, "lease", answer.ID);
        return answer;
      case "Authenticate":
        this.#tokens.set(String(request["name"]), answer.token);
        return { header: answer.header, token: answer.token.replace(/\w/g, "x").replace(/\.x+$/, ".x") };
      case "MemberAdd":
        this.#name(this.#members, "member", answer.member.ID);
        return { ...answer, members: this.#inOrder(answer.members) };
      // They may have granted a lease of their own.
      case "Lock":
      case "Campaign": {
        const key = Buffer.from(rpc === "Lock" ? answer.key : answer.leader.key).toString("latin1");
        const id = BigInt(`0x${key.slice(key.lastIndexOf("/") + 1)}`);
        if (!this.#names.has(id) && id > 1000n) this.#names.set(id, "lease of its own");
        return answer;
      }
      // Go tells the keys in the order of a map; time passes.
      case "LeaseTimeToLive":
        return { ...answer, TTL: rounded(answer.TTL), keys: [...answer.keys].sort(Buffer.compare) };
      case "LeaseKeepAlive":
        return { ...answer, TTL: rounded(answer.TTL) };
      // In the order of a map.
      case "Alarm":
        return {
          ...answer,
          alarms: answer.alarms.toSorted((a: any, b: any) => Number(this.#inHand(a) > this.#inHand(b)) * 2 - 1),
        };
      case "Compact":
        this.#watching.compacted = Math.max(this.#watching.compacted, Number(request["revision"] ?? 0));
        return answer;
      case "Hash":
        return { header: answer.header };
      case "HashKV":
        return this.measure < "3.6" ? { ...answer, hash_revision: undefined } : answer;
      case "Status":
        return {
          header: answer.header,
          errors: answer.errors.map((error: string) => this.#words(error)).sort(),
          leader: answer.leader !== 0n,
          isLearner: answer.isLearner,
        };
      default:
        return answer;
    }
  }

  #inHand({ memberID, alarm }: { readonly memberID: bigint; readonly alarm: string }): string {
    return `${this.#names.get(memberID) ?? memberID} ${alarm}`;
  }

  /** Not of their ids, but as they came. */
  #inOrder(members: readonly { readonly ID: bigint }[]): readonly unknown[] {
    return members.toSorted((a, b) => this.#members.indexOf(a.ID) - this.#members.indexOf(b.ID));
  }

  #name(list: bigint[], kind: string, id: bigint): void {
    this.#names.set(id, `${kind}#${list.length}`);
    list.push(id);
  }

  /** Blanks are of the chance of a build. */
  #words(text: string): string {
    return text
      .trim()
      .replace(/ +/g, " ")
      .replace(/\d{6,}/g, (id) => this.#names.get(BigInt(id)) ?? id);
  }

  #show(value: unknown): Plain {
    return toPlain(value, this.#names, this.#own);
  }
}

/** What is left of a long lease: as if just granted. */
function rounded(ttl: number): number {
  return ttl > 100 ? Math.ceil(ttl / 100) * 100 : ttl;
}
