/** Golden scripts: blocks of `command ⏎ input ⏎ ---- ⏎ output`, with `#` comments and one blank line between blocks. */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";

/** Runs each block. With UPDATE=1 it rewrites the outputs: read the diff before you commit it. */
export async function golden(
  path: string,
  run: (command: string, input: string) => string | Promise<string>,
): Promise<void> {
  const before = readFileSync(path, "utf8");
  const after: string[] = [];
  for (const block of before.split(/\n\n(?=\S)/).map((block) => block.trimEnd())) {
    const [head = "", ...rest] = block.replace(/\n----$/, "\n----\n").split("\n----\n");
    const lines = head.split("\n");
    const command = lines.findIndex((line) => !line.startsWith("#"));
    if (rest.length === 0 || command < 0) {
      after.push(block); // A comment between blocks.
      continue;
    }
    const output = await run(lines[command]!, lines.slice(command + 1).join("\n"));
    after.push(`${head}\n----\n${output.trimEnd()}`);
  }
  compare(path, `${after.join("\n\n")}\n`, before);
}

/** A whole file as the expected text. */
export function goldenFile(path: string, text: string): void {
  let before = "";
  try {
    before = readFileSync(path, "utf8");
  } catch {
    // A new golden file: UPDATE=1 writes it.
  }
  compare(path, text, before);
}

function compare(path: string, text: string, before: string): void {
  if (process.env["UPDATE"] === "1") writeFileSync(path, text);
  else assert.equal(text, before, `${path} is out of date: run UPDATE=1 npm test and read the diff`);
}
