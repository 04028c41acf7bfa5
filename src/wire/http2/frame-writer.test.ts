import assert from "node:assert/strict";
import { test } from "node:test";
import { FrameWriter } from "./frame-writer.ts";

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
