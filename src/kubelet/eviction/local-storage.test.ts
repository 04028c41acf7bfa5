import assert from "node:assert/strict";
import { test } from "node:test";
import type { Pod } from "../../api/generated/core.v1.ts";
import { storageOverrun } from "./local-storage.ts";

const pod = (limit: string | undefined, sizeLimit?: string): Pod =>
  ({
    metadata: { name: "p", uid: "u" },
    spec: {
      volumes: [{ name: "v", emptyDir: sizeLimit === undefined ? {} : { sizeLimit } }],
      containers: [{ name: "c", resources: limit === undefined ? {} : { limits: { "ephemeral-storage": limit } } }],
    },
  }) as unknown as Pod;
const use = (container: number, volume: number) => ({
  memory: 0,
  processes: 1,
  disk: container + volume,
  volumes: new Map([["v", volume]]),
  containers: [{ name: "c", memory: 0, disk: container }],
});

for (const [name, one, used, expected] of [
  ["within its limits", pod("2Ki", "1Ki"), use(1024, 1024), undefined],
  ["without limits", pod(undefined), use(1e9, 1e9), undefined],
  ["with a full volume", pod("2Ki", "1Ki"), use(0, 1025), 'Usage of EmptyDir volume "v" exceeds the limit "1Ki". '],
  [
    "that fills more than its containers may together",
    pod("2Ki"),
    use(1024, 1025),
    "Pod ephemeral local storage usage exceeds the total limit of containers 2Ki. ",
  ],
] as const)
  test(`a pod ${name} is told ${expected === undefined ? "nothing" : "so"}`, () =>
    assert.equal(storageOverrun(one, used)?.message, expected));
