import assert from "node:assert/strict";
import { test } from "node:test";
import { initialProbeState, probed } from "./machine.ts";
import type { ProbeAnswer, ProbeKind } from "./machine.ts";

const LETTERS: Readonly<Record<string, ProbeAnswer>> = { s: "success", f: "failure", u: "unknown" };

/** Answers as letters in; what is published after each as letters out, `-` for nothing yet, `!` for on hold. */
function run(kind: ProbeKind, answers: string, successThreshold = 1, failureThreshold = 3): string {
  let state = initialProbeState(kind);
  let out = "";
  for (const letter of answers) {
    state = probed(state, kind, LETTERS[letter]!, { successThreshold, failureThreshold });
    out += state.published?.[0] ?? "-";
    if (state.onHold) return `${out}!`;
  }
  return out;
}

for (const [name, actual, expected] of [
  ["one success makes a container ready", run("readiness", "s"), "s"],
  ["readiness is lost after three failures in a row", run("readiness", "sffsfff"), "ssssssf"],
  ["two successes where two are asked for", run("readiness", "sfss", 2), "fffs"],
  ["a liveness failure counts once, and waits for the next container", run("liveness", "sfff"), "sssf!"],
  ["a startup success ends the startup probe", run("startup", "fs"), "-s!"],
  ["a startup failure needs its threshold", run("startup", "fff"), "--f!"],
  ["a probe that could not be made says nothing", run("liveness", "fufuf"), "sssssf!".slice(1)],
] as const)
  test(name, () => assert.equal(actual, expected));
