/**
 * How long until N pods on M simulated nodes are all Running, in a process of their own as `t8s up` starts it; then its memory, and its CPU while nothing
 * happens. `sh tools/node.sh bench/simulated-nodes.ts [--nodes 500] [--pods 5000] [--idle 30] [--cpu-prof DIR]`
 */
import { spawn } from "node:child_process";
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { request } from "node:https";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { parse } from "yaml";

const { values } = parseArgs({
  options: {
    nodes: { type: "string", default: "500" },
    pods: { type: "string", default: "5000" },
    deployments: { type: "string", default: "10" },
    idle: { type: "string", default: "30" },
    port: { type: "string", default: "26543" },
    "cpu-prof": { type: "string", default: "" },
  },
});
const [nodes, pods, deployments, idle] = [values.nodes, values.pods, values.deployments, values.idle].map(Number) as [
  number,
  number,
  number,
  number,
];
const root = join(import.meta.dirname, "..");
const dir = mkdtempSync(join(tmpdir(), "t8s-bench-"));
const begun = performance.now();
const seconds = () => ((performance.now() - begun) / 1000).toFixed(1);

const up = spawn(
  process.execPath,
  [
    "--disable-warning=ExperimentalWarning",
    ...(values["cpu-prof"] === "" ? [] : ["--cpu-prof", `--cpu-prof-dir=${values["cpu-prof"]}`]),
    join(root, "src/cli/main.ts"),
    "up",
    "--runtime=simulated",
    `--nodes=${nodes}`,
    `--data-dir=${dir}`,
    "--kubeconfig-merge=false",
    `--port=${values.port}`,
  ],
  { stdio: ["ignore", "ignore", "inherit"] },
);
// Whoever ends the benchmark ends the cluster.
for (const signal of ["SIGINT", "SIGTERM"] as const)
  process.once(signal, () => {
    up.kill("SIGKILL");
    rmSync(dir, { recursive: true, force: true });
    process.exit(1);
  });
const exited = new Promise<void>((resolve) => up.on("exit", () => resolve()));

/** CPU seconds used, and resident bytes now. */
function usage(): { readonly cpu: number; readonly resident: number } {
  const fields = readFileSync(`/proc/${up.pid}/stat`, "utf8").split(") ")[1]!.split(" ");
  return { cpu: (Number(fields[11]) + Number(fields[12])) / 100, resident: Number(fields[21]) * 4096 };
}

try {
  while (!existsSync(join(dir, "kubeconfig"))) {
    if (up.exitCode !== null) throw new Error(`t8s up ended with ${up.exitCode}`);
    await sleep(50);
  }
  const config = parse(readFileSync(join(dir, "kubeconfig"), "utf8"));
  const pem = (text: string) => Buffer.from(text, "base64");
  const user = config.users[0].user;
  const tls = {
    ca: pem(config.clusters[0].cluster["certificate-authority-data"]),
    cert: pem(user["client-certificate-data"]),
    key: pem(user["client-key-data"]),
  };
  const call = (method: string, path: string, body?: unknown): Promise<any> =>
    new Promise((resolve, reject) => {
      const text = body === undefined ? undefined : JSON.stringify(body);
      const sent = request(
        `${config.clusters[0].cluster.server}${path}`,
        { ...tls, method, headers: { accept: "application/json", "content-type": "application/json" } },
        (response) => {
          let answer = "";
          response.setEncoding("utf8");
          response.on("data", (chunk: string) => (answer += chunk));
          response.on("end", () => {
            if (response.statusCode! >= 300) reject(new Error(`${method} ${path}: ${response.statusCode} ${answer}`));
            else resolve(JSON.parse(answer));
          });
        },
      );
      sent.on("error", reject);
      sent.end(text);
    });
  const before = usage();
  console.log(
    `${nodes} nodes ready after ${seconds()} s, ${before.cpu.toFixed(1)} s of CPU, ${(before.resident / 2 ** 20).toFixed(0)} MB`,
  );

  const start = performance.now();
  for (let i = 0; i < deployments; i++) {
    const app = `load-${i}`;
    await call("POST", "/apis/apps/v1/namespaces/default/deployments", {
      metadata: { name: app },
      spec: {
        replicas: Math.round(pods / deployments),
        selector: { matchLabels: { app } },
        template: { metadata: { labels: { app } }, spec: { containers: [{ name: "main", image: "nginx" }] } },
      },
    });
  }
  // Deployments say how many of their pods are ready: asking for the pods themselves would be load.
  for (let ready = 0, last = 0; ready < pods;) {
    await sleep(250);
    const { items } = await call("GET", "/apis/apps/v1/namespaces/default/deployments?resourceVersion=0");
    ready = items.reduce((sum: number, { status }: any) => sum + (status?.readyReplicas ?? 0), 0);
    if (performance.now() - last > 5000) {
      last = performance.now();
      console.log(
        `  ${((last - start) / 1000).toFixed(0)} s: ${ready} ready, ${(usage().resident / 2 ** 20).toFixed(0)} MB`,
      );
    }
  }
  const took = (performance.now() - start) / 1000;
  const after = usage();
  console.log(
    `${pods} pods ready after ${took.toFixed(1)} s: ${(pods / took).toFixed(0)} pods/s, ${(after.cpu - before.cpu).toFixed(1)} s of CPU, ${(after.resident / 2 ** 20).toFixed(0)} MB`,
  );
  await sleep(idle * 1000);
  const end = usage();
  console.log(
    `idle over ${idle} s: ${(((end.cpu - after.cpu) / idle) * 100).toFixed(1)} % of a core, ${(end.resident / 2 ** 20).toFixed(0)} MB`,
  );
} finally {
  up.kill("SIGTERM");
  await exited;
  rmSync(dir, { recursive: true, force: true });
}
