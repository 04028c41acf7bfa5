import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameWriter, Slabs } from "./frame-writer.ts";

const PING = Buffer.from("12345678");

test("what was taken stays as it is until it has left, and then its memory serves again", () => {
  const writer = new FrameWriter();
  writer.ping(PING, false);
  const [first] = writer.take();
  const copy = Buffer.from(first!);
  writer.ping(PING, true);
  const [second] = writer.take();
  assert.deepEqual(Buffer.from(first!), copy);
  writer.reuse();
  writer.ping(PING, true);
  const [third] = writer.take();
  assert.deepEqual(third, second);
  assert.equal(third!.byteOffset, first!.byteOffset);
  assert.equal(third!.buffer, first!.buffer);
});

test("frames that nobody has taken keep their memory", () => {
  const writer = new FrameWriter();
  writer.ping(PING, false);
  writer.reuse();
  writer.ping(PING, true);
  assert.equal(Buffer.concat(writer.take()).length, 2 * 17);
});

test("what one turn writes is one piece, however much its memory has to grow, up to what leaves at once", () => {
  const slabs = new Slabs();
  const writer = new FrameWriter(slabs, 64 * 1024);
  const event = Buffer.alloc(1700, "e");
  let frames = 0;
  for (; writer.hasRoomFor(event.length); frames++) writer.data(1, event, false);
  assert.ok(frames > 70);
  const pieces = writer.take();
  assert.equal(pieces.length, 1);
  assert.equal(pieces[0]!.length, frames * (9 + event.length));
  for (let at = 0; at < pieces[0]!.length; at += 9 + event.length)
    assert.ok(event.equals(pieces[0]!.subarray(at + 9, at + 9 + event.length)));
});

test("memory that was lent goes back when all has left, and to the next who needs it", () => {
  const slabs = new Slabs();
  const [one, other] = [new FrameWriter(slabs, 64 * 1024), new FrameWriter(slabs, 64 * 1024)];
  one.data(1, Buffer.alloc(50_000), false);
  const [first] = one.take();
  other.data(1, Buffer.alloc(50_000), false);
  assert.notEqual(other.take()[0]!.buffer, first!.buffer);
  one.reuse();
  const third = new FrameWriter(slabs, 64 * 1024);
  third.data(1, Buffer.alloc(50_000), false);
  assert.equal(third.take()[0]!.buffer, first!.buffer);
});
