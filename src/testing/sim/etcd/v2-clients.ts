/**
 * Clients of the v2 API. Each write of its tree has an index of its own and leaves an event under it, so there is no search for an order: the events are one,
 * they must make sense one after the other, and each answer is held to the state at the index that it names.
 */
import { V2Error } from "../../../etcd/v2/errors.ts";
import { FIRST_INDEX } from "../../../etcd/v2/layout.ts";
import type { Event } from "../../../etcd/v2/node.ts";
import type { Write } from "../../../etcd/v2/request.ts";
import type { Answer, V2Store } from "../../../etcd/v2/store.ts";
import { RpcError } from "../../../wire/rpc/service.ts";
import { randomInt } from "../../../world/world.ts";
import type { ClientDeps } from "./clients.ts";
import type { EtcdHost } from "./host.ts";
import type { Ledger } from "./ledger.ts";
import { ClientLink, NotSent } from "./link.ts";

/** What is below it, the v2 API has written. */
export const V2_PREFIX = "_typernetes/v2/";

interface Leaf {
  readonly value: string;
  readonly modified: number;
}
type Leaves = ReadonlyMap<string, Leaf>;

/** The tree at each index, from what the members have applied. */
export class V2History {
  readonly #ledger: Ledger;
  readonly #events: Event[] = [];
  readonly #states: Leaves[] = [new Map()];
  /** The highest index of which anyone was told: who asks later is not told of an earlier one. */
  told = FIRST_INDEX;

  constructor(ledger: Ledger) {
    this.#ledger = ledger;
  }

  /** Undefined for an index that nobody has come to. */
  at(index: number): Leaves | undefined {
    this.#readOn();
    return this.#states[index - FIRST_INDEX];
  }
  eventAt(index: number): Event | undefined {
    this.#readOn();
    return this.#events[index - FIRST_INDEX - 1];
  }

  #readOn(): void {
    for (;;) {
      const index = FIRST_INDEX + this.#states.length;
      const key = `${V2_PREFIX}events/${String(index).padStart(20, "0")}`;
      const written = this.#ledger.keyAt(key, this.#ledger.revision);
      if (written === undefined) return;
      const event = JSON.parse(written.value) as Event;
      this.#events.push(event);
      this.#states.push(this.#after(this.#states.at(-1)!, event, index));
    }
  }

  #after(before: Leaves, { action, node, prevNode }: Event, index: number): Leaves {
    const leaves = new Map(before);
    const { key = "", value, modifiedIndex } = node;
    const replaced = before.get(key);
    if (
      modifiedIndex !== index ||
      replaced?.value !== prevNode?.value ||
      replaced?.modified !== prevNode?.modifiedIndex
    )
      this.#ledger.fail(`the v2 event ${index} replaces ${shown(replaced)} in place of ${JSON.stringify(prevNode)}`);
    if (action === "create" && replaced !== undefined) this.#ledger.fail(`the v2 event ${index} creates ${key} anew`);
    if (value === undefined) leaves.delete(key);
    else leaves.set(key, { value, modified: index });
    return leaves;
  }
}

const shown = (leaf: Leaf | undefined) => (leaf === undefined ? "nothing" : `${leaf.value}@${leaf.modified}`);

const NO_WRITE = {
  value: "",
  dir: false,
  recursive: false,
  prevValue: "",
  prevIndex: 0n,
  prevExist: undefined,
  refresh: false,
  expires: undefined,
} as const;

export class V2Client {
  readonly #id: number;
  readonly #link: ClientLink;
  readonly #deps: ClientDeps;
  readonly #history: V2History;
  readonly #seen = new Map<string, Leaf>();
  #host: EtcdHost | undefined;
  #number = 0;

  constructor(id: number, link: ClientLink, history: V2History, deps: ClientDeps) {
    this.#id = id;
    this.#link = link;
    this.#history = history;
    this.#deps = deps;
  }

  async run(): Promise<void> {
    const { random, thinkMs, isOver } = this.#deps;
    while (!isOver()) {
      await this.#link.pause(random.next() * 3 * thinkMs);
      if (!isOver()) await this.#step();
    }
  }

  #step(): Promise<void> {
    const { random, keys } = this.#deps;
    const path = `/1/v${randomInt(random, keys)}`;
    const seen = this.#seen.get(path);
    const value = `${this.#id}-${this.#number++}`;
    const write = (more: Partial<Write>) => this.#write({ ...NO_WRITE, method: "PUT", path, value, ...more });
    const dice = random.next();
    if (dice < 0.3) return write({});
    if (dice < 0.4) return write({ prevExist: random.next() < 0.5 });
    if (dice < 0.55 && seen !== undefined)
      return write(random.next() < 0.5 ? { prevValue: seen.value } : { prevIndex: BigInt(seen.modified) });
    if (dice < 0.65) return write({ method: "DELETE", value: "" });
    if (dice < 0.7 && seen !== undefined) return write({ method: "DELETE", value: "", prevValue: seen.value });
    return this.#read(path, dice < 0.9);
  }

  async #write(request: Write): Promise<void> {
    const { path, value } = request;
    const what = `${request.method} ${path}=${value} (${request.prevExist ?? ""}/${request.prevValue}/${request.prevIndex})`;
    const answer = await this.#ask(
      what,
      (v2) => v2.write(request),
      (leaves, error) => {
        const leaf = leaves.get(path);
        if (error.kind === "keyNotFound") return leaf === undefined;
        if (error.kind === "nodeExist") return leaf !== undefined && request.prevExist === false;
        const { prevIndex, prevValue } = request;
        const differs =
          (prevIndex > 0n && leaf?.modified !== Number(prevIndex)) || (prevValue !== "" && leaf?.value !== prevValue);
        return error.kind === "testFailed" && differs;
      },
    );
    if (answer === undefined) return;
    const { event, index } = answer;
    const kept = this.#history.eventAt(index);
    if (
      kept === undefined ||
      kept.action !== event.action ||
      kept.node.key !== path ||
      (kept.node.value ?? "") !== value
    )
      this.#deps.ledger.fail(`an acknowledged v2 write is lost: ${what} at index ${index} is ${JSON.stringify(kept)}`);
    if (value !== "") this.#seen.set(path, { value, modified: index });
  }

  async #read(path: string, isQuorum: boolean): Promise<void> {
    const answer = await this.#ask(
      `${isQuorum ? "quorum " : ""}GET ${path}`,
      async (v2) => (isQuorum ? v2.quorumGet(path, false) : v2.get(path)),
      (leaves, error) => error.kind === "keyNotFound" && !leaves.has(path),
      isQuorum,
    );
    if (answer === undefined) return;
    const { event, index } = answer;
    const leaf = this.#history.at(index)?.get(path);
    const { value, modifiedIndex } = event.node;
    if (leaf === undefined || leaf.value !== value || leaf.modified !== modifiedIndex)
      this.#deps.ledger.fail(
        `v2 client ${this.#id} was told ${JSON.stringify(event.node)} of ${path}, which was ${shown(leaf)}`,
      );
    else this.#seen.set(path, leaf);
  }

  /** Undefined where there was no answer, or a refusal, which must be right of the tree at its index. */
  async #ask(
    what: string,
    run: (v2: V2Store) => Promise<Answer>,
    mayRefuse: (leaves: Leaves, error: V2Error) => boolean,
    isFresh = true,
  ): Promise<Answer | undefined> {
    const { hosts, ledger, random, tell } = this.#deps;
    const running = hosts().filter((host) => host.isReady);
    const list = running.length > 0 ? running : hosts();
    if (this.#host === undefined || !list.includes(this.#host)) this.#host = list[randomInt(random, list.length)]!;
    const host = this.#host;
    const { told } = this.#history;
    const saw = (index: number) => {
      if (!isFresh) return;
      if (index < told)
        ledger.fail(`v2 client ${this.#id} ${what} was answered of index ${index}, and ${told} was known before`);
      this.#history.told = Math.max(this.#history.told, index);
    };
    try {
      const answer = await this.#link.call(host, 1500 + random.next() * 5000, () => run(host.v2!));
      saw(answer.index);
      tell(`v2 client ${this.#id} ${what}: ${answer.index}`);
      return answer;
    } catch (error) {
      const isRefusal = error instanceof V2Error && error.kind !== "raftInternal";
      if (!isRefusal && !(error instanceof V2Error) && !(error instanceof RpcError) && !(error instanceof NotSent))
        throw error;
      tell(`v2 client ${this.#id} ${what} at ${host.name}: ${error.message}`);
      if (!isRefusal) {
        this.#host = undefined;
        return undefined;
      }
      saw(error.index);
      const leaves = this.#history.at(error.index);
      if (leaves === undefined || !mayRefuse(leaves, error))
        ledger.fail(`v2 client ${this.#id} ${what} was refused at index ${error.index}: ${error.message}`);
      return undefined;
    }
  }
}
