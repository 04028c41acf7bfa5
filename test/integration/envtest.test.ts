/** The folder of `t8s envtest`, used as controller-runtime's envtest uses it: the same flags, the same waiting, the same way to stop. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { signed, selfSigned } from "../../src/cli/certificates.ts";
import { machineWorld } from "../../src/cli/world.ts";
import { createClient } from "../../src/client/create-client.ts";
import { httpsTransport } from "../../src/client/https.ts";
import { configMaps } from "../../src/api/core/v1/configmap/resource.ts";
import { namespaces } from "../../src/api/core/v1/namespace/resource.ts";
import { Program } from "../../src/testing/components.ts";
import { freePorts } from "../../src/testing/free-ports.ts";

const T8S = join(import.meta.dirname, "../../bin/t8s");

async function healthy(url: string): Promise<void> {
  const world = machineWorld();
  const { origin, pathname } = new URL(url);
  for (let i = 0; ; i++) {
    try {
      await using client = world.net.httpClient({ base: origin, tls: { insecureSkipVerify: true } });
      if ((await client.request({ method: "GET", path: pathname })).status === 200) return;
    } catch (error) {
      if (i > 2000) throw error;
    }
    await sleep(50);
  }
}

test("etcd and kube-apiserver start as envtest starts them; with controllers asked for, namespaces and dependents go", async () => {
  const world = machineWorld();
  const dir = mkdtempSync(join(tmpdir(), "t8s-envtest-"));
  const programs: Program[] = [];
  try {
    const controllers = "namespace-controller,garbage-collector-controller";
    const assets = execFileSync(T8S, ["envtest", "--dir", join(dir, "assets"), "--controllers", controllers], {
      encoding: "utf8",
    }).trim();
    assert.match(execFileSync(join(assets, "etcd"), ["--help"], { encoding: "utf8" }), /^\s*--unsafe-no-fsync\b/m);
    assert.doesNotMatch(
      execFileSync(join(assets, "kube-apiserver"), ["--help"], { encoding: "utf8" }),
      /--insecure-port/,
    );
    const [clients, peers, port] = await freePorts(3);
    const start = (name: string, args: readonly string[]) => {
      const program = new Program(name, join(assets, name), args, dir);
      programs.push(program);
      return program;
    };
    const etcd = start("etcd", [
      `--advertise-client-urls=http://127.0.0.1:${clients}`,
      `--data-dir=${join(dir, "etcd")}`,
      `--listen-client-urls=http://127.0.0.1:${clients}`,
      `--listen-peer-urls=http://127.0.0.1:${peers}`,
      "--unsafe-no-fsync=true",
    ]);
    await healthy(`http://127.0.0.1:${clients}/health`);

    const ca = await selfSigned(world, "envtest-environment");
    const serving = await signed(world, ca, {
      commonName: "localhost",
      usages: ["server"],
      names: ["localhost"],
      addresses: ["127.0.0.1"],
    });
    const admin = await signed(world, ca, {
      commonName: "admin",
      organizations: ["system:masters"],
      usages: ["client"],
    });
    const signer = await selfSigned(world, "signer");
    const write = (name: string, text: string) => writeFileSync(join(dir, name), text);
    write("apiserver.crt", serving.cert);
    write("apiserver.key", serving.key);
    write("sa-signer.crt", signer.cert);
    write("sa-signer.key", signer.key);
    write("client-cert-auth-ca.crt", ca.cert);
    const server = start("kube-apiserver", [
      "--allow-privileged=true",
      "--authorization-mode=RBAC",
      "--bind-address=127.0.0.1",
      `--secure-port=${port}`,
      `--cert-dir=${dir}`,
      `--client-ca-file=${join(dir, "client-cert-auth-ca.crt")}`,
      "--disable-admission-plugins=ServiceAccount",
      `--etcd-servers=http://127.0.0.1:${clients}`,
      `--service-account-issuer=https://127.0.0.1:${port}/`,
      `--service-account-key-file=${join(dir, "sa-signer.crt")}`,
      `--service-account-signing-key-file=${join(dir, "sa-signer.key")}`,
      "--service-cluster-ip-range=10.0.0.0/24",
    ]);
    await healthy(`https://127.0.0.1:${port}/healthz`);

    const transport = httpsTransport(world, {
      server: `https://127.0.0.1:${port}`,
      ca: ca.cert,
      cert: admin.cert,
      key: admin.key,
    });
    const client = createClient(transport);
    const owner = await client.create(configMaps, { metadata: { namespace: "default", name: "owner" } });
    await client.create(configMaps, {
      metadata: {
        namespace: "default",
        name: "dependent",
        ownerReferences: [{ apiVersion: "v1", kind: "ConfigMap", name: "owner", uid: owner.metadata.uid! }],
      },
    });
    await client.create(namespaces, { metadata: { name: "short" } });
    await client.delete(configMaps, { namespace: "default", name: "owner" });
    await client.delete(namespaces, { name: "short" });
    const gone = async (find: () => Promise<unknown>) => {
      for (let i = 0; i < 2000; i++) {
        if (
          (await find().then(
            () => true,
            () => false,
          )) === false
        )
          return true;
        await sleep(50);
      }
      return false;
    };
    assert.ok(
      await gone(() => client.get(configMaps, { namespace: "default", name: "dependent" })),
      "the dependent is still there",
    );
    assert.ok(await gone(() => client.get(namespaces, { name: "short" })), "the namespace is still there");
    await server.stop();
    await etcd.stop();
  } finally {
    for (const program of programs) program.child.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
  }
});
