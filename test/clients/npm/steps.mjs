/** What every session begins with: a step says that it worked, or ends the program. */
import { setTimeout as sleep } from "node:timers/promises";

export async function step(name, work) {
  const begun = performance.now();
  try {
    await work();
  } catch (error) {
    console.error(error);
    console.log(`FAILED: ${name}`);
    process.exit(1);
  }
  console.log(`ok: ${name} (${(performance.now() - begun).toFixed(0)} ms)`);
}

export async function eventually(ask, seconds = 60) {
  for (const deadline = Date.now() + seconds * 1000; ;) {
    const value = await ask();
    if (value) return value;
    if (Date.now() > deadline) throw new Error(`it never came true: ${ask}`);
    await sleep(50);
  }
}

export const deployment = (name, replicas) => ({
  apiVersion: "apps/v1",
  kind: "Deployment",
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: {
        terminationGracePeriodSeconds: 0,
        containers: [{ name: "c", image: "machine", command: ["sh", "-c", "echo up; sleep 1000"] }],
      },
    },
  },
});
