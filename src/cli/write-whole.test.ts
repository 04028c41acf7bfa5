import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

test("all that is said arrives, however late it is taken from a pipe that doesn't wait", async () => {
  const lines = 20_000;
  const script = `
    import { writeWhole } from ${JSON.stringify(new URL("write-whole.ts", import.meta.url).href)};
    process.stdout; // Makes a pipe one that doesn't wait.
    for (let i = 0; i < ${lines}; i++) writeWhole(1, "line " + i + "\\n");
  `;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  child.stdout.pause();
  await sleep(300);
  let said = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    said += text;
  });
  child.stdout.resume();
  const [code] = await once(child, "close");
  assert.equal(code, 0);
  assert.equal(said, Array.from({ length: lines }, (_, i) => `line ${i}\n`).join(""));
});
