/** A cluster on a kernel with cgroup version 2 alone, which this machine may not have: User-mode Linux, with this machine's files to read. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { promisify } from "node:util";
import { noCluster, BUSYBOX } from "../../src/testing/cluster.ts";
import { archiveOf, busyboxImage } from "../../src/testing/images.ts";
import { realClients } from "../../tools/clients.ts";

const ROOT = join(import.meta.dirname, "../..");
const clients = realClients();
const why = existsSync("/usr/bin/linux.uml") ? noCluster(clients) : "user-mode-linux is not installed";

test(
  "limits hold on cgroup version 2, a pod that takes too much is OOMKilled, and no cgroup is left",
  { skip: why, timeout: 240_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), "t8s-uml-"));
    try {
      const images = join(folder, "images.tar");
      writeFileSync(images, archiveOf(busyboxImage(BUSYBOX)));
      const kernel =
        "mem=2048M rootfstype=hostfs rootflags=/ ro con=null con0=null,fd:1 panic=1 quiet loglevel=1".split(" ");
      const environment = {
        init: join(ROOT, "test/fixtures/uml-init.sh"),
        SCRIPT: join(ROOT, "test/fixtures/cgroup-v2.sh"),
        T8S_ROOT: ROOT,
        KUBECTL: join(clients!, "kubectl"),
        IMAGES: images,
      };
      const { stdout } = await promisify(execFile)(
        "linux.uml",
        [...kernel, ...Object.entries(environment).map(([name, value]) => `${name}=${value}`)],
        {
          env: { ...process.env, TMPDIR: existsSync("/dev/shm") ? "/dev/shm" : folder },
          timeout: 220_000,
          maxBuffer: 16 << 20,
        },
      );
      for (const line of [
        "pod/limited condition met",
        "pod memory.max 67108864",
        "pod cpu.max 25000 100000",
        "pod cpu.weight 4",
        "container memory.max 67108864",
        "container cpu.max 25000 100000",
        "resized pod memory.max 100663296",
        "resized pod cpu.max 50000 100000",
        "resized pod cpu.weight 12",
        "resized container memory.max 100663296",
        "resized container cpu.max 50000 100000",
        "greedy OOMKilled",
        "cgroups left: 0",
      ])
        assert.ok(
          stdout.replaceAll("\r", "").split("\n").includes(line),
          `${JSON.stringify(line)} is missing in:\n${stdout}`,
        );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
);
