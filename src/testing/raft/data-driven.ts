/**
 * Transcripts in the data-driven format: a command with its arguments, lines of input, `----`, and the output up to a blank line; or, when
 * the output has blank lines itself, between two doubled `----`.
 *
 * Upstream: github.com/cockroachdb/datadriven
 */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";

export interface Command {
  readonly name: string;
  /** Arguments in order: `1`, `index=5`, `voters=(1,2,3)`. */
  readonly arguments: readonly Argument[];
  readonly input: string;
  /** For messages about the transcript itself. */
  readonly place: string;
}

export interface Argument {
  readonly key: string;
  readonly values: readonly string[];
}

/** Where upstream's transcripts are, and why their tests are skipped if they aren't. */
export const PEER_TRANSCRIPTS = `${process.env["T8S_PEER_DATA"] ?? "../shared/peer-data"}/raft`;
export const skipPeerTranscripts = existsSync(PEER_TRANSCRIPTS)
  ? false
  : "no transcripts of upstream's: set T8S_PEER_DATA";

/** The transcripts in a folder, by name. Fails where there are none: a test that runs nothing proves nothing. */
export function transcripts(folder: string): readonly string[] {
  const paths = globSync(`${folder}/*.txt`).toSorted();
  assert.ok(paths.length > 0, `no transcripts in ${folder}`);
  return paths;
}

/** Runs a transcript and compares every byte. With UPDATE=1, and unless it is someone else's, it is rewritten: read the diff. */
export function runTranscript(path: string, run: (command: Command) => string): void {
  const before = readFileSync(path, "utf8");
  const after = replay(path, before, run);
  if (process.env["UPDATE"] === "1" && !path.startsWith(PEER_TRANSCRIPTS)) writeFileSync(path, after);
  else assert.equal(after, before, `${path} differs`);
}

/** The text of a transcript with its outputs as they are now. */
function replay(path: string, text: string, run: (command: Command) => string): string {
  const lines = text.split("\n");
  const out: string[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at]!;
    out.push(line);
    at++;
    if (line.trim() === "" || line.startsWith("#")) continue;
    const place = `${path}:${at}`;
    const input: string[] = [];
    while (at < lines.length && lines[at] !== "----") input.push(lines[at++]!);
    assert.ok(at < lines.length, `${place}: no ---- after the command`);
    out.push(...input, "----");
    at = endOfOutput(lines, at + 1);
    const output = run({ ...parse(line), input: input.join("\n"), place }).replace(/\n$/, "");
    const isDoubled = /^\n|\n\n/.test(output);
    if (isDoubled) out.push("----", output, "----", "----");
    else if (output !== "") out.push(output);
  }
  return out.join("\n");
}

function endOfOutput(lines: readonly string[], from: number): number {
  let at = from;
  if (lines[at] === "----") {
    at++;
    while (at < lines.length && !(lines[at] === "----" && lines[at + 1] === "----")) at++;
    return at + 2;
  }
  while (at < lines.length && lines[at] !== "") at++;
  return at;
}

function parse(line: string): Pick<Command, "name" | "arguments"> {
  const [name = "", ...words] = line.match(/[^\s=()]+=\([^)]*\)|\S+/g) ?? [];
  return {
    name,
    arguments: words.map((word): Argument => {
      const [, key = word, value] = /^([^=]+)=(.*)$/.exec(word) ?? [];
      if (value === undefined) return { key, values: [] };
      return { key, values: value.replace(/^\(|\)$/g, "").split(/\s*,\s*/) };
    }),
  };
}
