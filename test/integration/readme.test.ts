/**
 * Replays the session in the README: each `$ ` line is run, and each line below it must appear in what it prints, in that order (`…` stands for anything).
 * The images are stand-ins under the same names, made from busybox.
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { noCluster, TestCluster } from "../../src/testing/cluster.ts";
import { archiveOf, busyboxImage, webImage } from "../../src/testing/images.ts";
import { realClients } from "../../tools/clients.ts";

const ROOT = join(import.meta.dirname, "../..");
const clients = realClients();

interface Step {
  readonly command: string;
  readonly expected: readonly string[];
}

function steps(readme: string): readonly Step[] {
  const session = /<!-- session -->(.*?)<!-- end -->/s.exec(readme)?.[1] ?? "";
  const found: { command: string; expected: string[] }[] = [];
  for (const line of session.split("\n")) {
    if (line.startsWith("```") || line.trim() === "") continue;
    if (line.startsWith("$ ")) found.push({ command: line.slice(2), expected: [] });
    else found.at(-1)?.expected.push(line);
  }
  return found;
}

/** As a reader compares: amounts of space don't matter, `…` is anything. */
function shows(output: string, expected: readonly string[], command: string): void {
  let rest = output.replace(/\s+/g, " ");
  for (const line of expected) {
    const pattern = line
      .trim()
      .replace(/[.*+?^${}()|[\]\\]/g, "\\$&")
      .replace(/\s*…\s*/g, ".*?")
      .replace(/\s+/g, "\\s+");
    const match = new RegExp(pattern).exec(rest);
    assert.ok(match, `after \`${command}\` the README shows ${JSON.stringify(line)}, but it printed:\n${output}`);
    rest = rest.slice(match.index + match[0].length);
  }
}

describe("the README's session", { skip: noCluster(clients), concurrency: false }, () => {
  const all = steps(readFileSync(join(ROOT, "README.md"), "utf8"));
  let cluster: TestCluster;
  before(() => {
    assert.ok(all.length > 30, "the session was found");
    cluster = new TestCluster("readme", clients!);
  });
  after(() => cluster[Symbol.asyncDispose]());

  for (const { command, expected } of all) {
    test(command, async () => {
      if (command === "npm start") {
        const said = await cluster.up();
        shows(said, expected, command);
        const file = join(cluster.scratch, "stand-ins.tar");
        writeFileSync(
          file,
          archiveOf(
            webImage("one\n", "docker.io/library/nginx:1.28"),
            webImage("two\n", "docker.io/library/nginx:1.29"),
            busyboxImage("docker.io/library/busybox:1.37"),
          ),
        );
        const { code, err } = await cluster.t8s(["image", "load", file, "--data-dir", cluster.dataDir]);
        assert.equal(code, 0, err);
        return;
      }
      // Some of what is shown takes a moment: pods start, events arrive. What changes something is run once.
      const asks = /^(kubectl (get|describe|logs|exec|rollout (status|history)|explain|wait))/.test(command);
      const deadline = Date.now() + 120_000;
      for (;;) {
        const { code, out, err } = await cluster.run("sh", ["-c", `cd ${ROOT} && ${command}`], { timeoutMs: 240_000 });
        try {
          if (!expected.some((line) => line.startsWith("error:")))
            assert.equal(code, 0, `\`${command}\` ended with ${code}:\n${out}${err}`);
          shows(out + err, expected, command);
          return;
        } catch (error) {
          if (!asks || Date.now() > deadline) throw error;
          await new Promise((resolve) => setTimeout(resolve, 200));
        }
      }
    });
  }
});
