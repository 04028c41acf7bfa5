/** Files of authentication and authorization, with what kube-apiserver 1.36.2 says of each when it starts: nothing where it runs. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { usableAuthentication } from "../../apiserver/authn/configuration.ts";
import { parsePolicies } from "../../apiserver/authz/abac.ts";
import { expressionCompiler } from "../../apiserver/expressions.ts";
import type { FileStat } from "../../world/fs.ts";
import { parseFlags } from "../flags.ts";
import { kubeApiserverFlags } from "../flags/kube-apiserver.ts";
import { readAuthentication, readAuthorization } from "./access.ts";

interface Row {
  readonly name: string;
  readonly file: string;
  readonly error: string;
}

const rows = readFileSync(new URL("access-files.rows.jsonl", import.meta.url), "utf8")
  .trim()
  .split("\n")
  .map((line) => JSON.parse(line) as Row);

const compiler = expressionCompiler();

function filesWith(text: string) {
  const files: Readonly<Record<string, string>> = {
    "/file": text,
    "/hook":
      '{"clusters":[{"name":"c","cluster":{"server":"https://hook"}}],"contexts":[{"name":"c","context":{"cluster":"c","user":""}}],"current-context":"c"}',
    "/garbage": "garbage",
  };
  return {
    readFile: async (path: string) => Buffer.from(files[path]!),
    stat: async (path: string) =>
      path === "/tmp" || files[path] !== undefined
        ? ({ kind: path === "/tmp" ? "dir" : "file" } as FileStat)
        : undefined,
  };
}

async function start({ name, file }: Row): Promise<void> {
  if (name.startsWith("abac")) {
    parsePolicies(file, "/file");
    return;
  }
  const flag = name.startsWith("authn") ? "authentication-config" : "authorization-config";
  const { values } = parseFlags(kubeApiserverFlags, [`--${flag}=/file`]);
  if (name.startsWith("authz")) await readAuthorization(filesWith(file), values);
  else {
    const configuration = await readAuthentication(filesWith(file), values);
    usableAuthentication(configuration!, compiler, ["https://kubernetes.default.svc"]);
  }
}

for (const row of rows)
  test(`${row.name}: ${row.error === "" ? "is good" : "is told as upstream tells it"}`, async () => {
    const told = await start(row).then(
      () => "",
      (error: Error) => error.message.trim(),
    );
    const expected = row.name.startsWith("abac") ? row.error.replace(/^invalid authorization config: /, "") : row.error;
    assert.equal(told, expected);
  });
