import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { parseEncryption } from "./configuration.ts";

interface Row {
  readonly name: string;
  readonly file: string;
  readonly words: string;
}
const rows = readFileSync(new URL("./configuration.rows.jsonl", import.meta.url), "utf8")
  .trimEnd()
  .split("\n")
  .map((line) => JSON.parse(line) as Row);

/** What a genuine kube-apiserver 1.36.2 says of each file as it ends, but for keys, which it shows. */
test("a file that is wrong is refused in upstream's words", () => {
  assert.ok(rows.length > 75);
  for (const { name, file, words } of rows)
    assert.throws(() => parseEncryption(file, "file.yaml"), { message: words }, name);
});

test("a file by the kind's old name is read", () => {
  const text =
    "apiVersion: v1\nkind: EncryptionConfig\nresources: [{resources: [secrets], providers: [{identity: {}}]}]";
  assert.deepEqual(parseEncryption(text, "file.yaml").resources, [
    { resources: ["secrets"], providers: [{ identity: {} }] },
  ]);
});
