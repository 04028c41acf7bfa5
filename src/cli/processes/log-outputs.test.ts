import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { gunzipSync } from "node:zlib";
import { logWriter, parseRotation } from "./log-outputs.ts";

function inFolder(run: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), "log-outputs-"));
  try {
    run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

let now = Date.UTC(2026, 0, 1);
const clock = { now: () => (now += 1000) };

test("lines go to every output that is named", () =>
  inFolder((folder) => {
    const [a, b] = [join(folder, "a.log"), join(folder, "b.log")];
    logWriter(clock, [a, b], undefined)("line\n");
    assert.deepEqual(
      [a, b].map((file) => readFileSync(file, "utf8")),
      ["line\n", "line\n"],
    );
  }));

test("a full file is set aside under its time, and no more of those are kept than were asked for", () =>
  inFolder((folder) => {
    const rotation = { ...parseRotation('{"maxsize": 1, "maxbackups": 2}'), maxSize: 20 };
    const write = logWriter(clock, [join(folder, "etcd.log")], rotation);
    for (let i = 0; i < 5; i++) write(`line number ${i}\n`);
    const files = readdirSync(folder).sort();
    assert.equal(files.length, 3, files.join());
    assert.match(files[0]!, /^etcd-2026-01-01T00-00-\d\d\.000\.log$/);
    assert.deepEqual(
      files.map((file) => readFileSync(join(folder, file), "utf8")),
      ["line number 2\n", "line number 3\n", "line number 4\n"],
    );
  }));

test("files that were set aside are compressed where that is asked for", () =>
  inFolder((folder) => {
    const rotation = { ...parseRotation('{"compress": true}'), maxSize: 10 };
    const write = logWriter(clock, [join(folder, "etcd.log")], rotation);
    write("first line\n");
    write("second\n");
    const [aside] = readdirSync(folder).filter((file) => file.endsWith(".gz"));
    assert.equal(gunzipSync(readFileSync(join(folder, aside!))).toString(), "first line\n");
  }));

test("what can't be is refused in upstream's words", () => {
  const rotation = parseRotation("{}");
  assert.equal(rotation.maxSize, 100 * 1024 * 1024);
  assert.throws(() => parseRotation("{"), /improperly formatted log rotation config/);
  assert.throws(() => logWriter(clock, ["stderr"], rotation), /file target missing/);
  assert.throws(() => logWriter(clock, ["a", "b"], rotation), /single file target/);
  assert.throws(() => logWriter(clock, ["default", "stdout"], undefined), /multi logoutput for "default"/);
  assert.throws(() => logWriter(clock, ["systemd/journal"], undefined), /not supported/);
});
