import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { RequestOp } from "../../protocols/etcd/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";
import { MemoryBackend } from "../../testing/memory-backend.ts";
import { Store } from "../mvcc/store.ts";
import { V2Error } from "./errors.ts";
import { parseForm } from "./form.ts";
import { FIRST_INDEX, opsOf, StoreTree, type Tree } from "./layout.ts";
import type { Event } from "./node.ts";
import { Overlay } from "./overlay.ts";
import { planExpiry, planGet, planWrite, type Plan } from "./plan.ts";
import { parseKeyRequest, type KeyRequest, type Write } from "./request.ts";

const NOW = Date.UTC(2026, 0, 1);

function apply(store: Store, ops: readonly Init<RequestOp>[]): void {
  store.begin();
  for (const { request_put: put, request_delete_range: gone } of ops) {
    if (put !== undefined) store.put(put.key!, put.value!, 0n);
    if (gone !== undefined) store.deleteRange(gone.key!, gone.range_end);
  }
  store.end();
}

/** What a client reads of `PUT /a?x=y` and the like. */
function answer(store: Store, line: string, now = NOW): string {
  const [method, url] = line.split(" ") as [KeyRequest["method"], string];
  const [path, query = ""] = url.split("?") as [string, string?];
  try {
    const request = parseKeyRequest(method, path, parseForm(query), now);
    const tree = new StoreTree(store);
    if (method === "GET") return told(planGet(tree, request.path, request.recursive, now));
    const plan = planWrite(tree, request as Write, now);
    apply(store, opsOf([plan]));
    return told(plan.event);
  } catch (error) {
    if (error instanceof V2Error) return `${error.status} ${JSON.stringify(error.body("/1"))}`;
    throw error;
  }
}

/** `action key=value@modified/created <- what was before`. */
function told({ action, node, prevNode }: Event): string {
  const one = ({ key, value, dir, ttl, nodes, modifiedIndex = 0, createdIndex = 0 }: Event["node"]): string =>
    `${key!.slice(2)}${dir ? "/" : ""}${value === undefined ? "" : `=${value}`}${ttl === undefined ? "" : `~${ttl}s`}@${modifiedIndex}/${createdIndex}${nodes === undefined ? "" : `(${nodes.map(one).join(" ")})`}`;
  return `${action} ${one(node)}${prevNode === undefined ? "" : ` <- ${one(prevNode)}`}`;
}

const emptyStore = () => new Store(new MemoryBackend(), { attach() {}, detach() {}, leaseOf: () => 0n });

const SESSION: readonly (readonly [request: string, answer: string])[] = [
  ["GET /", "get /@0/0"],
  ["PUT /", `400 {"errorCode":107,"message":"Root is read only","cause":"/","index":3}`],
  ["PUT /a/b?value=1", "set /a/b=1@4/4"],
  ["PUT /a/b?value=2", "set /a/b=2@5/5 <- /a/b=1@4/4"],
  ["PUT /a/b/c?value=2", `400 {"errorCode":104,"message":"Not a directory","cause":"/a/b","index":5}`],
  ["PUT /a?value=2", `403 {"errorCode":102,"message":"Not a file","cause":"/a","index":5}`],
  ["PUT /a/b?value=3&prevExist=false", `412 {"errorCode":105,"message":"Key already exists","cause":"/a/b","index":5}`],
  ["PUT /a/b?value=3&prevExist=true", "update /a/b=3@6/5 <- /a/b=2@5/5"],
  ["PUT /x/y?value=3&prevExist=true", `404 {"errorCode":100,"message":"Key not found","cause":"/x","index":6}`],
  ["PUT /a/b?value=4&prevValue=3", "compareAndSwap /a/b=4@7/5 <- /a/b=3@6/5"],
  [
    "PUT /a/b?value=5&prevValue=3&prevIndex=6",
    `412 {"errorCode":101,"message":"Compare failed","cause":"[3 != 4] [6 != 7]","index":7}`,
  ],
  ["PUT /a/b?ttl=5&refresh=true&prevExist=true", "update /a/b=4~5s@8/5 <- /a/b=4@7/5"],
  ["POST /q?value=1", "create /q/00000000000000000009=1@9/9"],
  ["POST /a/b?value=1", `400 {"errorCode":104,"message":"Not a directory","cause":"/a/b","index":9}`],
  ["PUT /d?dir=true", "set /d/@10/10"],
  ["PUT /d?dir=true", `403 {"errorCode":102,"message":"Not a file","cause":"/d","index":10}`],
  ["PUT /d?dir=true&prevExist=true&ttl=9", "update /d/~9s@11/10 <- /d/@10/10"],
  ["GET /d", "get /d/~9s@10/10"],
  ["PUT /_h?value=1", "set /_h=1@12/12"],
  ["GET /?recursive=true", "get /@0/0(/a/@4/4(/a/b=4~5s@8/5) /d/~9s@10/10 /q/@9/9(/q/00000000000000000009=1@9/9))"],
  ["DELETE /q", `403 {"errorCode":102,"message":"Not a file","cause":"/q","index":12}`],
  ["DELETE /q?dir=true", `403 {"errorCode":108,"message":"Directory not empty","cause":"/q","index":12}`],
  ["DELETE /q?recursive=true", "delete /q/@13/9 <- /q/@9/9"],
  ["DELETE /a/b?prevValue=4", "compareAndDelete /a/b@14/5 <- /a/b=4~5s@8/5"],
  ["DELETE /a?prevIndex=1", `403 {"errorCode":102,"message":"Not a file","cause":"/a","index":14}`],
  ["DELETE /a?dir=true", "delete /a/@15/4 <- /a/@4/4"],
  ["GET /a", `404 {"errorCode":100,"message":"Key not found","cause":"/a","index":15}`],
  [
    "PUT /a?ttl=x",
    `400 {"errorCode":202,"message":"The given TTL in POST form is not a number","cause":"invalid value for \\"ttl\\"","index":0}`,
  ],
];

test("a session has upstream's answers, with an index for each change", () => {
  const store = emptyStore();
  for (const [request, expected] of SESSION) assert.equal(answer(store, request), expected, request);
});

test("nothing is stored before the first write", () => {
  const store = emptyStore();
  for (const request of ["GET /", "GET /a", "DELETE /a", "PUT /a?prevExist=true&value=1", "PUT /?value=1"])
    answer(store, request);
  assert.equal(store.revision, 1);
  answer(store, "PUT /a?value=1");
  assert.equal(store.revision, 2);
});

/** The same rules over a plain map from paths to nodes, each question answered by looking at all of it. */
class NaiveTree {
  index = FIRST_INDEX;
  nodes = new Map<string, { value: string | undefined; created: number; modified: number; expires: number }>();

  /** The answer in short: what was done, or the code of what is wrong. */
  write(method: string, path: string, form: Readonly<Record<string, string>>): string {
    const compares = (form["prevValue"] ?? "") !== "" || (form["prevIndex"] ?? "0") !== "0";
    const expires = form["ttl"] === undefined ? Infinity : NOW + 1000 * Number(form["ttl"]);
    const parts = path.split("/").slice(1);
    const above = parts.map((_, i) => `/${parts.slice(0, i + 1).join("/")}`);
    const throughLeaf = (to: number) => above.slice(0, to).find((at) => this.nodes.get(at)?.value !== undefined);
    const node = this.nodes.get(path);
    const missing = node !== undefined ? "" : throughLeaf(above.length - 1) !== undefined ? "104" : "100";
    if (method === "POST") {
      if (throughLeaf(above.length) !== undefined) return "104";
      return this.#put("create", `${path}/${`${this.index + 1}`.padStart(20, "0")}`, form, expires);
    }
    if (method === "DELETE") {
      if (missing !== "") return missing;
      if (compares) {
        if (node!.value === undefined) return "102";
        if (!this.#holds(node!, form)) return "101";
      } else if (node!.value === undefined) {
        if (form["dir"] !== "true" && form["recursive"] !== "true") return "102";
        if (form["recursive"] !== "true" && this.#below(path).length > 0) return "108";
      }
      for (const gone of [path, ...this.#below(path)]) this.nodes.delete(gone);
      this.index++;
      return `${compares ? "compareAndDelete" : "delete"} ${path} @${this.index}`;
    }
    if (form["prevExist"] === "false" || (!compares && form["prevExist"] === undefined)) {
      if (throughLeaf(above.length - 1) !== undefined) return "104";
      if (form["prevExist"] === "false") return node !== undefined ? "105" : this.#put("create", path, form, expires);
      if (node !== undefined && node.value === undefined) return "102";
      return this.#put("set", path, form, expires);
    }
    if (missing !== "") return missing;
    if (compares && node!.value === undefined) return "102";
    if (compares && !this.#holds(node!, form)) return "101";
    if (!compares && node!.value === undefined && (form["value"] ?? "") !== "") return "102";
    this.index++;
    node!.expires = expires;
    if (node!.value !== undefined) {
      node!.value = form["value"] ?? "";
      node!.modified = this.index;
    }
    return `${compares ? "compareAndSwap" : "update"} ${path} @${this.index}`;
  }

  expire(now: number): void {
    for (;;) {
      const due = [...this.nodes].filter(([, { expires }]) => expires <= now);
      if (due.length === 0) return;
      due.sort((a, b) => a[1].expires - b[1].expires || (a[0] < b[0] ? -1 : 1));
      for (const gone of [due[0]![0], ...this.#below(due[0]![0])]) this.nodes.delete(gone);
      this.index++;
    }
  }

  #put(action: string, path: string, form: Readonly<Record<string, string>>, expires: number): string {
    this.index++;
    const fresh = { created: this.index, modified: this.index };
    const parts = path.split("/").slice(1);
    parts.forEach((_, i) => {
      const at = `/${parts.slice(0, i + 1).join("/")}`;
      if (!this.nodes.has(at)) this.nodes.set(at, { value: undefined, ...fresh, expires: Infinity });
    });
    const value = form["dir"] === "true" ? undefined : (form["value"] ?? "");
    this.nodes.set(path, { value, ...fresh, expires });
    return `${action} ${path} @${this.index}`;
  }
  #holds(node: { value: string | undefined; modified: number }, form: Readonly<Record<string, string>>): boolean {
    const { prevValue = "", prevIndex = "0" } = form;
    return (prevValue === "" || prevValue === node.value) && (prevIndex === "0" || Number(prevIndex) === node.modified);
  }
  #below(path: string): string[] {
    return [...this.nodes.keys()].filter((at) => at.startsWith(`${path}/`));
  }
}

const step = fc.record({
  method: fc.constantFrom("PUT", "PUT", "PUT", "POST", "DELETE"),
  path: fc.array(fc.constantFrom("a", "b", "a-"), { minLength: 1, maxLength: 3 }).map((names) => `/${names.join("/")}`),
  form: fc.record(
    {
      value: fc.constantFrom("1", "2", ""),
      dir: fc.constantFrom("true", "false"),
      recursive: fc.constantFrom("true", "false"),
      prevExist: fc.constantFrom("true", "false"),
      prevValue: fc.constantFrom("1", "2"),
      prevIndex: fc.constantFrom("0", "4", "5", "6"),
      ttl: fc.constantFrom("1", "2", "3"),
    },
    { requiredKeys: [] },
  ),
  /** Seconds after which everything that is due goes. */
  later: fc.constantFrom(0, 0, 0, 0, 2),
});

test("any requests leave the tree that a naive one would have", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      const store = emptyStore();
      const naive = new NaiveTree();
      for (const { method, path, form, later } of steps) {
        let said: string;
        try {
          const request = parseKeyRequest(method as "PUT", path, new Map(Object.entries(form)), NOW);
          const plan = planWrite(new StoreTree(store), request as Write, NOW);
          apply(store, opsOf([plan]));
          said = `${plan.event.action} ${plan.event.node.key!.slice(2)} @${plan.event.node.modifiedIndex}`;
        } catch (error) {
          if (!(error instanceof V2Error)) throw error;
          said = String((error.body("") as { errorCode: number }).errorCode);
        }
        assert.equal(said, naive.write(method, path, form), `${method} ${path} ${JSON.stringify(form)}`);
        for (;;) {
          const tree = new StoreTree(store);
          if (later === 0 || tree.reminder === undefined || tree.reminder.expires > NOW + 1000 * later) break;
          apply(store, opsOf([planExpiry(tree, tree.reminder, NOW + 1000 * later)]));
        }
        if (later > 0) naive.expire(NOW + 1000 * later);
        assert.deepEqual(contents(new StoreTree(store), "/1"), contentsOf(naive));
        assert.equal(new StoreTree(store).index, naive.index);
      }
    }),
    { numRuns: 200 },
  );
});

test("requests planned on top of each other and stored at once leave what they leave one by one", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 20 }), fc.array(step, { maxLength: 20 }), (before, together) => {
      const [single, batched] = [emptyStore(), emptyStore()];
      const attempt = (tree: Tree, { method, path, form }: (typeof before)[number]) => {
        const request = parseKeyRequest(method as "PUT", path, new Map(Object.entries(form)), NOW);
        try {
          return planWrite(tree, request as Write, NOW);
        } catch (error) {
          if (error instanceof V2Error) return error;
          throw error;
        }
      };
      for (const one of [...before, ...together]) {
        const plan = attempt(new StoreTree(single), one);
        if (!(plan instanceof V2Error)) apply(single, opsOf([plan]));
        if (before.includes(one) && !(plan instanceof V2Error)) apply(batched, opsOf([plan]));
      }
      const overlay = new Overlay(new StoreTree(batched));
      const plans: Plan[] = [];
      for (const one of together) {
        const plan = attempt(overlay, one);
        if (plan instanceof V2Error) continue;
        overlay.apply(plan.changes, plan.event.node.modifiedIndex!);
        plans.push(plan);
      }
      assert.deepEqual(contents(overlay, "/1"), contents(new StoreTree(single), "/1"));
      apply(batched, opsOf(plans));
      assert.deepEqual(contents(new StoreTree(batched), "/1"), contents(new StoreTree(single), "/1"));
      assert.equal(new StoreTree(batched).index, new StoreTree(single).index);
    }),
    { numRuns: 200 },
  );
});

function contents(tree: Tree, path: string): string[] {
  return [...tree.children(path)]
    .flatMap(([child, { value, created, modified, expires = Infinity }]) => [
      `${child.slice(2)}=${value} ${modified}/${created} ${expires}`,
      ...contents(tree, child),
    ])
    .sort();
}

function contentsOf({ nodes }: NaiveTree): string[] {
  return [...nodes].map(([path, n]) => `${path}=${n.value} ${n.modified}/${n.created} ${n.expires}`).sort();
}
