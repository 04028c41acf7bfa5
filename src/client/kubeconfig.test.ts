import assert from "node:assert/strict";
import { test } from "node:test";
import {
  connectionOf,
  formatKubeconfig,
  mergeKubeconfig,
  parseKubeconfig,
  removeContext,
  singleContext,
} from "./kubeconfig.ts";

const other = parseKubeconfig(`
apiVersion: v1
kind: Config
clusters:
- name: prod
  cluster: {server: https://prod:6443, certificate-authority: ca.pem}
users:
- name: me
  user: {token: secret, auth-provider: {name: x}}
contexts:
- name: prod
  context: {cluster: prod, user: me, namespace: web}
current-context: prod
`);
const files = { readFile: async (path: string) => Buffer.from(`contents of ${path}`) };

test("a merged context becomes the current one and leaves the others as they were", async () => {
  const ours = singleContext("t8s-default", { server: "https://127.0.0.1:6443", ca: "CA" }, { cert: "C", key: "K" });
  const merged = parseKubeconfig(formatKubeconfig(mergeKubeconfig(other, ours)));
  assert.equal(merged["current-context"], "t8s-default");
  assert.deepEqual(merged.users[0], other.users[0]);
  assert.deepEqual(await connectionOf(merged, files), {
    server: "https://127.0.0.1:6443",
    ca: "CA",
    cert: "C",
    key: "K",
  });
  assert.deepEqual(mergeKubeconfig(merged, ours), merged, "merging twice changes nothing");
  assert.deepEqual(removeContext(merged, "t8s-default").contexts, other.contexts);
});

test("relative files are read from the folder of the kubeconfig", async () => {
  assert.deepEqual(await connectionOf(other, files, { folder: "/home/me/.kube" }), {
    server: "https://prod:6443",
    ca: "contents of /home/me/.kube/ca.pem",
    token: "secret",
    namespace: "web",
  });
});

test("a context that is not there is named", async () => {
  await assert.rejects(connectionOf(other, files, { context: "nope" }), /context "nope" does not exist/);
});
