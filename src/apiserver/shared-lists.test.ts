import assert from "node:assert/strict";
import { test } from "node:test";
import { inflateRawSync } from "node:zlib";
import type { JsonList } from "./list-parts.ts";
import { PIECE_BYTES, pieceOf, type Reading, SharedLists } from "./shared-lists.ts";

/** Items of a kilobyte; `made` counts how often one was asked for. */
function listOf(count: number): { readonly list: JsonList; made(): number } {
  let made = 0;
  const list: JsonList = {
    head: Buffer.from("["),
    count,
    before: (at) => Buffer.from(at === 0 ? "" : ","),
    item: (at) => {
      made++;
      return Buffer.from(String(at).padEnd(1000));
    },
    tail: Buffer.from("]"),
  };
  return { list, made: () => made };
}

function readAll(reading: Reading, count: number): string {
  let text = "";
  for (let number = 0, from = 0; from < count; number++) {
    const piece = reading.piece(number, from);
    assert.ok(piece.bytes.length <= PIECE_BYTES + 1001);
    text += piece.bytes.toString();
    from = piece.to;
  }
  return text;
}

const whole = (list: JsonList) =>
  readAll({ piece: (_, from) => pieceOf(list, from), [Symbol.dispose]() {} }, list.count);

test("readers of the same state share every piece, also its compressed form, and get what one alone would get", () => {
  const { list, made } = listOf(1000);
  const alone = whole(list);
  assert.equal(made(), 1000);
  const lists = new SharedLists();
  const state = {};
  using first = lists.read(state, "v1 /pods/", list);
  using second = lists.read(state, "v1 /pods/", list);
  assert.equal(readAll(first, 1000), alone);
  assert.equal(readAll(second, 1000), alone);
  assert.equal(made(), 2000);
  const piece = first.piece(0, 0);
  assert.equal(second.piece(0, 0).packed, piece.packed);
  assert.equal(inflateRawSync(piece.packed, { finishFlush: 2 }).toString(), piece.bytes.toString());
});

test("another state or another key is another list", () => {
  const lists = new SharedLists();
  const state = {};
  using one = lists.read(state, "v1 /pods/", listOf(10).list);
  for (const [of, key] of [
    [{}, "v1 /pods/"],
    [state, "v1 /pods/default/"],
  ] as const) {
    using other = lists.read(of, key, listOf(10).list);
    assert.notEqual(other.piece(0, 0), one.piece(0, 0));
  }
});

test("nothing is kept when the last reader has gone", () => {
  const lists = new SharedLists();
  const state = {};
  const first = lists.read(state, "v1 /pods/", listOf(10).list);
  const second = lists.read(state, "v1 /pods/", listOf(10).list);
  first[Symbol.dispose]();
  assert.equal(lists.size, 1);
  second[Symbol.dispose]();
  assert.equal(lists.size, 0);
});

test("of a very long list what comes late is made by each reader for himself", () => {
  const { list, made } = listOf(70_000);
  const lists = new SharedLists();
  const state = {};
  using first = lists.read(state, "v1 /pods/", list);
  using second = lists.read(state, "v1 /pods/", list);
  assert.equal(readAll(first, 70_000), readAll(second, 70_000));
  assert.ok(made() > 70_000 && made() < 80_000, String(made()));
});
