import assert from "node:assert/strict";
import { test } from "node:test";
import { servedResources } from "./runtime-config.ts";

const ALL = [
  { group: "", version: "v1", plural: "pods", servedByDefault: true },
  { group: "batch", version: "v1", plural: "jobs", servedByDefault: true },
  { group: "batch", version: "v1", plural: "cronjobs", servedByDefault: true },
  { group: "storage.k8s.io", version: "v1beta1", plural: "volumeattributesclasses", servedByDefault: false },
  { group: "internal.apiserver.k8s.io", version: "v1alpha1", plural: "storageversions", servedByDefault: false },
];
const served = (...words: string[]) =>
  servedResources(ALL, words)
    .map(({ plural }) => plural)
    .join(" ");

const CASES: readonly (readonly [words: string, served: string])[] = [
  ["", "pods jobs cronjobs"],
  ["api/all=true", "pods jobs cronjobs volumeattributesclasses storageversions"],
  ["api/beta=true", "pods jobs cronjobs volumeattributesclasses"],
  ["api/alpha=true", "pods jobs cronjobs storageversions"],
  ["api/all=true api/alpha=false", "pods jobs cronjobs volumeattributesclasses"],
  ["api/all=false v1=true", "pods"],
  ["api/all=false api/v1", "pods"],
  ["storage.k8s.io/v1beta1", "pods jobs cronjobs volumeattributesclasses"],
  ["batch/v1=false batch/v1/jobs=true", "pods jobs"],
  ["batch/v1beta1=true", "pods jobs cronjobs"],
  ["extensions/v1beta1=true", "pods jobs cronjobs"],
];

for (const [words, wanted] of CASES)
  test(`--runtime-config ${words || "of nothing"} serves ${wanted}`, () =>
    assert.equal(served(...words.split(" ").filter(Boolean)), wanted));

const WRONG: readonly (readonly [word: string, error: string])[] = [
  ["nonsense/v1=true", "unknown api groups nonsense/v1"],
  ["api/alll=true", "unknown api groups api/alll"],
  ["batch/v9=true", "group version batch/v9 that has not been registered"],
  ["batch/v1=maybe", 'invalid value of batch/v1: maybe, err: strconv.ParseBool: parsing "maybe": invalid syntax'],
];
for (const [word, message] of WRONG)
  test(`--runtime-config ${word} is refused`, () => assert.throws(() => served(word), { message }));
