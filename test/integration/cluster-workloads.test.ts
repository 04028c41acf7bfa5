/** Workloads and pods in a real cluster: what each kind does on real containers, and what kubectl shows of it. */
import assert from "node:assert/strict";
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { noCluster, TestCluster } from "../../src/testing/cluster.ts";
import { realClients } from "../../tools/clients.ts";

const clients = realClients();

// Most of these wait for real time to pass: side by side they take as long as the longest.
describe("workloads of a cluster", { skip: noCluster(clients), concurrency: 6 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = new TestCluster("workloads", clients!);
    mkdirSync(join(cluster.scratch, "manifests"));
    await cluster.up("--pod-manifest-path", join(cluster.scratch, "manifests"));
    await cluster.load();
  });
  after(async () => {
    const errors = cluster.errors();
    await cluster[Symbol.asyncDispose]();
    assert.deepEqual(errors, [], "nothing went wrong that the log would tell");
  });

  const jsonpath = (what: string, path: string) =>
    cluster.kubectl(["get", ...what.split(" "), "-o", `jsonpath=${path}`]);
  const ready = (pod: string) => cluster.kubectl(`wait --for=condition=Ready pod/${pod} --timeout=180s`);
  const inside = (pod: string, command: string) => cluster.kubectl(["exec", pod, "--", "sh", "-c", command]);

  test("a Job runs to its end with as many at a time as it may, and shows Complete", async () => {
    await cluster.apply(`
apiVersion: batch/v1
kind: Job
metadata: {name: three}
spec:
  completions: 3
  parallelism: 2
  template:
    spec: {restartPolicy: Never, containers: [{name: c, image: "busybox:1.36", command: [sh, -c, "echo done; sleep 0.2"]}]}
`);
    await cluster.kubectl("wait --for=condition=Complete job/three --timeout=180s");
    assert.match(await cluster.kubectl("get job three"), /^three +Complete +3\/3 +\S+ +\S+$/m);
    assert.equal(await cluster.kubectl("logs job/three --tail=1 --all-containers"), "done\n");
    assert.match(await cluster.kubectl("get pods -l job-name=three"), /^three-\w+ +0\/1 +Completed +0 /m);
    assert.match(
      await cluster.kubectl("describe job three"),
      /Normal +SuccessfulCreate .*job-controller +Created pod: three-\w+[^]*Normal +Completed .*job-controller +Job completed/,
    );
    await cluster.kubectl("delete job three");
    await cluster.until(
      async () => (await cluster.kubectl("get pods -l job-name=three -o name")) === "",
      "the pods of a deleted job are gone",
    );
  });

  test("a Job that fails more often than it may shows Failed with BackoffLimitExceeded", async () => {
    await cluster.apply(`
apiVersion: batch/v1
kind: Job
metadata: {name: failing}
spec:
  backoffLimit: 0
  template: {spec: {restartPolicy: Never, containers: [{name: c, image: "busybox:1.36", command: [sh, -c, exit 3]}]}}
`);
    await cluster.kubectl("wait --for=condition=Failed job/failing --timeout=180s");
    assert.equal(
      await jsonpath("job failing", '{.status.conditions[?(@.type=="Failed")].reason}'),
      "BackoffLimitExceeded",
    );
    assert.equal(
      await jsonpath(
        "pods -l job-name=failing",
        "{.items[0].status.phase} {.items[0].status.containerStatuses[0].state.terminated.exitCode}",
      ),
      "Failed 3",
    );
    assert.match(await cluster.kubectl("get pods -l job-name=failing"), / Error +0 /);
  });

  test("a CronJob starts a job when its minute comes, and kubectl can start one by hand", async () => {
    await cluster.kubectl([
      "create",
      "cronjob",
      "tick",
      "--image=busybox:1.36",
      "--schedule=* * * * *",
      "--",
      "echo",
      "tick",
    ]);
    await cluster.kubectl("create job by-hand --from=cronjob/tick");
    await cluster.kubectl("wait --for=condition=Complete job/by-hand --timeout=180s");
    assert.equal(await cluster.kubectl("logs job/by-hand"), "tick\n");
    const job = await cluster.until(
      async () => (await cluster.get("jobs")).items.find(({ metadata }: any) => /^tick-\d+$/.test(metadata.name)),
      "the schedule starts a job",
      180_000,
    );
    await cluster.kubectl(`wait --for=condition=Complete job/${job.metadata.name} --timeout=180s`);
    assert.match(await cluster.kubectl("get cronjob tick"), /^tick +\* \* \* \* \* +<none> +False +\d +\S+ +\S+$/m);
    await cluster.kubectl("delete cronjob tick");
  });

  test("a StatefulSet starts its pods one after the other, keeps their names, and stops them from the last", async () => {
    await cluster.apply(`
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: db}
spec:
  replicas: 3
  serviceName: db
  selector: {matchLabels: {app: db}}
  template:
    metadata: {labels: {app: db}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
        - name: c
          image: busybox:1.36
          command: [sh, -c, "sleep 0.5; touch /tmp/up; sleep 1000000"]
          readinessProbe: {exec: {command: [test, -f, /tmp/up]}, periodSeconds: 1, timeoutSeconds: 30}
`);
    const watch = cluster.start("kubectl", ["get", "pods", "-l", "app=db", "-w", "--no-headers"]);
    await cluster.kubectl("rollout status statefulset/db --timeout=180s");
    await watch.says(/^db-2 +1\/1 +Running/m);
    const seen = watch.text();
    for (const [earlier, later] of [
      ["db-0", "db-1"],
      ["db-1", "db-2"],
    ]) {
      const up = seen.search(new RegExp(`^${earlier} +1/1 +Running`, "m"));
      const started = seen.search(new RegExp(`^${later} `, "m"));
      assert.ok(up >= 0 && started > up, `${later} started before ${earlier} was ready:\n${seen}`);
    }
    await watch.stop();
    const uid = await jsonpath("pod db-1", "{.metadata.uid}");
    await cluster.kubectl("delete pod db-1");
    await cluster.until(async () => (await jsonpath("pod db-1", "{.metadata.uid}")) !== uid, "db-1 is made again");
    await cluster.kubectl("rollout status statefulset/db --timeout=180s");
    const down = cluster.start("kubectl", ["get", "pods", "-l", "app=db", "-w", "--no-headers"]);
    await down.says(/db-2/);
    await cluster.kubectl("scale statefulset db --replicas=1");
    await cluster.until(
      async () => (await cluster.kubectl("get pods -l app=db -o name")) === "pod/db-0\n",
      "only the first is left",
    );
    await down.says(/^db-1 .*Terminating/m);
    const text = down.text();
    await down.stop();
    assert.ok(text.search(/^db-2 .*Terminating/m) < text.search(/^db-1 .*Terminating/m), text);
    await cluster.kubectl("delete statefulset db");
  });

  test("a DaemonSet has one pod on every node", async () => {
    await cluster.apply(`
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: agent}
spec:
  selector: {matchLabels: {app: agent}}
  template:
    metadata: {labels: {app: agent}}
    spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: "busybox:1.36", command: [sleep, "1000000"]}]}
`);
    await cluster.kubectl("rollout status daemonset/agent --timeout=180s");
    assert.match(await cluster.kubectl("get daemonset agent"), /^agent +1 +1 +1 +1 +1 +<none> +\S+$/m);
    assert.equal(await jsonpath("pods -l app=agent", "{.items[*].spec.nodeName}"), cluster.node);
    await cluster.kubectl("delete daemonset agent");
  });

  test("a Deployment with a failing readiness probe never becomes available and says why", async () => {
    await cluster.apply(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: unready}
spec:
  progressDeadlineSeconds: 6
  selector: {matchLabels: {app: unready}}
  template:
    metadata: {labels: {app: unready}}
    spec:
      terminationGracePeriodSeconds: 0
      containers:
        - name: c
          image: web:1
          readinessProbe: {httpGet: {path: /nothing, port: 80}, periodSeconds: 1}
`);
    assert.match(
      await cluster.refused("rollout status deployment/unready --timeout=180s"),
      /error: deployment "unready" exceeded its progress deadline/,
    );
    assert.match(await cluster.kubectl("get deployment unready"), /^unready +0\/1 +1 +0 /m);
    await cluster.until(
      async () => /^unready-\S+ +0\/1 +Running +0 /m.test(await cluster.kubectl("get pods -l app=unready")),
      "it runs",
    );
    await cluster.until(
      async () =>
        /Warning +Unhealthy +.*kubelet +.*Readiness probe failed: HTTP probe failed with statuscode: 404/.test(
          await cluster.kubectl("describe pods -l app=unready"),
        ),
      "why it isn't ready",
    );
    await cluster.kubectl("delete deployment unready");
  });

  test("a pod with an impossible request stays Pending, and describe names the reasons", async () => {
    await cluster.apply(
      `{apiVersion: v1, kind: Pod, metadata: {name: huge}, spec: {containers: [{name: c, image: "busybox:1.36", resources: {requests: {cpu: "1000"}}}]}}`,
    );
    const described = await cluster.until(async () => {
      const text = await cluster.kubectl("describe pod huge");
      return text.includes("FailedScheduling") ? text : "";
    }, "FailedScheduling");
    assert.match(
      described,
      /Warning +FailedScheduling +\S+( \(x\d+ over \S+\))? +default-scheduler +0\/1 nodes are available: 1 Insufficient cpu\. .*preemption: 0\/1 nodes are available: 1 Preemption is not helpful for scheduling\./,
    );
    assert.match(await cluster.kubectl("get pod huge"), /^huge +0\/1 +Pending +0 +\S+$/m);
    assert.equal(
      await jsonpath("pod huge", "{.status.conditions[0].type} {.status.conditions[0].reason}"),
      "PodScheduled Unschedulable",
    );
    await cluster.kubectl("delete pod huge");
  });

  test("an image that isn't there shows ErrImageNeverPull, one that can't be had ErrImagePull and then ImagePullBackOff", async () => {
    await cluster.kubectl("run never --image=nothing:1 --image-pull-policy=Never");
    await cluster.until(
      async () => /ErrImageNeverPull/.test(await cluster.kubectl("get pod never")),
      "ErrImageNeverPull",
    );
    await cluster.kubectl("run unpullable --image=127.0.0.1:1/nothing:1");
    await cluster.until(
      async () => /ImagePullBackOff/.test(await cluster.kubectl("get pod unpullable")),
      "ImagePullBackOff",
    );
    const pulls = await cluster.kubectl("describe pod unpullable");
    assert.match(pulls, /Warning +Failed +.*kubelet +.*Failed to pull image "127\.0\.0\.1:1\/nothing:1"/);
    assert.match(pulls, /Error: ErrImagePull/);
    await cluster.kubectl("delete pod never unpullable --now");
  });

  test("volumes and environment come from config maps, secrets and the pod itself, and live ones follow changes", async () => {
    await cluster.kubectl("create configmap settings --from-literal=colour=red");
    await cluster.kubectl("create secret generic hidden --from-literal=word=swordfish");
    await cluster.apply(`
apiVersion: v1
kind: Pod
metadata: {name: volumes, labels: {tier: back}, annotations: {note: first}}
spec:
  terminationGracePeriodSeconds: 0
  initContainers:
    - {name: first, image: "busybox:1.36", command: [sh, -c, "echo one > /shared/order"], volumeMounts: [{name: shared, mountPath: /shared}]}
    - {name: second, image: "busybox:1.36", command: [sh, -c, "echo two >> /shared/order"], volumeMounts: [{name: shared, mountPath: /shared}]}
  containers:
    - name: c
      image: busybox:1.36
      command: [sleep, "1000000"]
      resources: {limits: {memory: 64Mi, cpu: 500m}}
      envFrom: [{configMapRef: {name: settings}, prefix: FROM_}]
      env:
        - {name: COLOUR, valueFrom: {configMapKeyRef: {name: settings, key: colour}}}
        - {name: WORD, valueFrom: {secretKeyRef: {name: hidden, key: word}}}
        - {name: NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
        - {name: HOST, valueFrom: {fieldRef: {fieldPath: spec.nodeName}}}
        - {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
        - {name: MEMORY, valueFrom: {resourceFieldRef: {resource: limits.memory, divisor: 1Mi}}}
        - {name: GREETING, value: "hello $(NAME) $$(NAME)"}
      volumeMounts:
        - {name: settings, mountPath: /settings}
        - {name: hidden, mountPath: /hidden, readOnly: true}
        - {name: info, mountPath: /info}
        - {name: shared, mountPath: /shared}
        - {name: settings, mountPath: /single, subPath: colour}
    - {name: other, image: "busybox:1.36", command: [sleep, "1000000"], volumeMounts: [{name: shared, mountPath: /data}]}
  volumes:
    - {name: shared, emptyDir: {}}
    - {name: settings, configMap: {name: settings}}
    - {name: hidden, secret: {secretName: hidden, defaultMode: 0400}}
    - {name: info, downwardAPI: {items: [{path: labels, fieldRef: {fieldPath: metadata.labels}}, {path: note, fieldRef: {fieldPath: "metadata.annotations['note']"}}]}}
`);
    await ready("volumes");
    const at = (command: string) => cluster.kubectl(["exec", "volumes", "-c", "c", "--", "sh", "-c", command]);
    assert.equal(
      await at("echo $COLOUR $FROM_colour $WORD $NAME $HOST $MEMORY $GREETING"),
      `red red swordfish volumes ${cluster.node} 64 hello volumes $(NAME)\n`,
    );
    assert.equal((await at("echo $IP")).trim(), await jsonpath("pod volumes", "{.status.podIP}"));
    assert.equal(
      await at("cat /settings/colour /single /hidden/word /info/labels /info/note"),
      'redredswordfishtier="back"first',
    );
    assert.equal(await at("stat -Lc %a /hidden/word"), "400\n");
    await cluster.kubectl(["exec", "volumes", "-c", "other", "--", "sh", "-c", "echo three >> /data/order"]);
    assert.equal(await at("cat /shared/order"), "one\ntwo\nthree\n");
    assert.match(await at("cat /proc/1/cgroup"), /\/kubepods\/burstable\/pod/);
    assert.equal(
      await at("cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max"),
      "67108864\n",
    );

    await cluster.kubectl(["patch", "configmap", "settings", "-p", '{"data":{"colour":"blue"}}']);
    // A change of the pod makes its kubelet look at the volumes now instead of within a minute.
    await cluster.kubectl("annotate pod volumes --overwrite note=second");
    await cluster.until(
      async () => (await at("cat /settings/colour /single /info/note")) === "blueredsecond",
      "the mounted files follow, the one mounted by sub path doesn't",
      180_000,
    );
    await cluster.kubectl("delete pod volumes");
  });

  test("a pod speaks to the API server with its own token, with the rights of its account", async () => {
    await cluster.kubectl("create serviceaccount reader");
    await cluster.kubectl("create role pod-reader --verb=get,list --resource=pods");
    await cluster.kubectl("create rolebinding reader --role=pod-reader --serviceaccount=default:reader");
    // busybox speaks no TLS that the server would take: the pod borrows the node's curl.
    await cluster.apply(`
apiVersion: v1
kind: Pod
metadata: {name: reader}
spec: {serviceAccountName: reader, terminationGracePeriodSeconds: 0, containers: [{name: c, image: "busybox:1.36", command: [sleep, "1000000"], volumeMounts: [{name: host, mountPath: /host, readOnly: true}]}], volumes: [{name: host, hostPath: {path: /}}]}
`);
    await ready("reader");
    const folder = "/var/run/secrets/kubernetes.io/serviceaccount";
    assert.equal(await inside("reader", `cat ${folder}/namespace`), "default");
    const token = await inside("reader", `cat ${folder}/token`);
    const ca = cluster.file("pod-ca.crt", await inside("reader", `cat ${folder}/ca.crt`));
    const [host, port] = (await inside("reader", "echo $KUBERNETES_SERVICE_HOST $KUBERNETES_SERVICE_PORT"))
      .trim()
      .split(" ");
    const ask = async (path: string) =>
      JSON.parse(
        await cluster.sh(
          `curl -sS -m 60 --cacert ${ca} -H 'Authorization: Bearer ${token}' https://${host}:${port}${path}`,
        ),
      ) as any;
    assert.equal((await ask("/api/v1/namespaces/default/pods?limit=1")).kind, "PodList");
    assert.equal(
      (await ask("/api/v1/namespaces/default/secrets")).message,
      'secrets is forbidden: User "system:serviceaccount:default:reader" cannot list resource "secrets" in API group "" in the namespace "default"',
    );
    const claims = JSON.parse(Buffer.from(token.split(".")[1]!, "base64url").toString()) as any;
    assert.equal(claims["kubernetes.io"].pod.name, "reader");
    assert.match(
      await inside(
        "reader",
        `cat ${folder}/ca.crt | chroot /host curl -sS -m 60 --cacert /proc/self/fd/0 -H "Authorization: Bearer $(cat ${folder}/token)" https://$KUBERNETES_SERVICE_HOST/api/v1/namespaces/default/pods/reader`,
      ),
      /"name":\s*"reader"/,
    );
    await cluster.kubectl("delete pod reader");
    // A token of a pod that is gone is worth nothing.
    await cluster.until(
      async () => (await ask("/api/v1/namespaces/default/pods")).code === 401,
      "the token is refused",
    );
  });

  test("a container that fails is started again, later each time, and shows CrashLoopBackOff", async () => {
    await cluster.apply(
      `{apiVersion: v1, kind: Pod, metadata: {name: crashing}, spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: "busybox:1.36", command: [sh, -c, "echo going; exit 5"]}]}}`,
    );
    await cluster.until(
      async () => /^crashing +0\/1 +CrashLoopBackOff +\d+ /m.test(await cluster.kubectl("get pod crashing")),
      "CrashLoopBackOff",
    );
    await cluster.until(
      async () =>
        /^back-off \S+ restarting failed container=c pod=crashing_default\([-0-9a-f]+\)$/.test(
          await jsonpath("pod crashing", "{.status.containerStatuses[0].state.waiting.message}"),
        ),
      "for how long it waits",
    );
    assert.equal(await jsonpath("pod crashing", "{.status.containerStatuses[0].lastState.terminated.exitCode}"), "5");
    await cluster.until(
      async () => Number(await jsonpath("pod crashing", "{.status.containerStatuses[0].restartCount}")) >= 2,
      "a second restart after 10 s",
    );
    await cluster.until(
      async () => (await cluster.kubectl("logs crashing --previous")) === "going\n",
      "what the one before said",
    );
    await cluster.until(
      async () =>
        /Warning +BackOff +.*kubelet +.*Back-off restarting failed container c in pod crashing_default/.test(
          await cluster.kubectl("describe pod crashing"),
        ),
      "its event",
    );
    await cluster.kubectl("delete pod crashing");
  });

  test("a failing liveness probe restarts the container", async () => {
    await cluster.apply(`
apiVersion: v1
kind: Pod
metadata: {name: alive}
spec:
  terminationGracePeriodSeconds: 0
  containers:
    - name: c
      image: busybox:1.36
      command: [sh, -c, "touch /tmp/alive; sleep 2; rm /tmp/alive; sleep 1000000"]
      livenessProbe: {exec: {command: [cat, /tmp/alive]}, periodSeconds: 1, timeoutSeconds: 30, failureThreshold: 2, initialDelaySeconds: 1}
`);
    await cluster.until(
      async () => Number(await jsonpath("pod alive", "{.status.containerStatuses[0].restartCount}")) > 0,
      "a restart",
    );
    // In the order of their last times: it may have failed once more by now.
    const events = await cluster.kubectl("describe pod alive");
    assert.match(events, /Liveness probe failed: cat: can't open '\/tmp\/alive': No such file or directory/);
    assert.match(events, /Container c failed liveness probe, will be restarted/);
    assert.equal(await jsonpath("pod alive", "{.status.containerStatuses[0].lastState.terminated.exitCode}"), "137");
    await cluster.kubectl("delete pod alive");
  });

  test("a pod that ends runs its preStop hook, gets SIGTERM and the time it asked for", async () => {
    await cluster.apply(`
apiVersion: v1
kind: Pod
metadata: {name: ending}
spec:
  terminationGracePeriodSeconds: 10
  containers:
    - name: c
      image: busybox:1.36
      command: [sh, -c, "trap 'echo told; sleep 1; echo bye; exit 0' TERM; echo up; while true; do sleep 0.1; done"]
      lifecycle: {preStop: {exec: {command: [sh, -c, "echo hook > /proc/1/fd/1; sleep 1"]}}}
`);
    await ready("ending");
    const logs = cluster.start("kubectl", ["logs", "-f", "ending"]);
    await logs.says(/up/);
    const begun = Date.now();
    await cluster.kubectl("delete pod ending");
    const took = Date.now() - begun;
    await logs.exited;
    assert.equal(logs.text(), "up\nhook\ntold\nbye\n");
    assert.ok(took > 1900, `${took} ms`);
  });

  test("a pod that ignores SIGTERM is killed when its grace is over", async () => {
    await cluster.apply(
      `{apiVersion: v1, kind: Pod, metadata: {name: deaf}, spec: {terminationGracePeriodSeconds: 2, containers: [{name: c, image: "busybox:1.36", command: [sleep, "1000000"]}]}}`,
    );
    await ready("deaf");
    const begun = Date.now();
    await cluster.kubectl("delete pod deaf");
    const took = Date.now() - begun;
    assert.ok(took > 1800 && took < 28_000, `${took} ms`);
  });

  test("a container that takes more memory than it may is OOMKilled", async () => {
    await cluster.apply(`
apiVersion: v1
kind: Pod
metadata: {name: greedy}
spec:
  restartPolicy: Never
  containers: [{name: c, image: "busybox:1.36", command: [sh, -c, "x=a; while true; do x=$x$x; done"], resources: {limits: {memory: 24Mi}}}]
`);
    await cluster.until(async () => (await jsonpath("pod greedy", "{.status.phase}")) === "Failed", "the end", 180_000);
    assert.equal(
      await jsonpath(
        "pod greedy",
        "{.status.containerStatuses[0].state.terminated.reason} {.status.containerStatuses[0].state.terminated.exitCode}",
      ),
      "OOMKilled 137",
    );
    assert.match(await cluster.kubectl("get pod greedy"), /^greedy +0\/1 +OOMKilled +0 /m);
    await cluster.kubectl("delete pod greedy");
  });

  test("a static pod runs with a mirror pod that can't be taken away, until its file is", async () => {
    const file = join(cluster.scratch, "manifests", "static.yaml");
    writeFileSync(
      file,
      `
apiVersion: v1
kind: Pod
metadata: {name: static}
spec: {terminationGracePeriodSeconds: 0, containers: [{name: c, image: "busybox:1.36", command: [sh, -c, "echo here; sleep 1000000"]}]}
`,
    );
    const name = `static-${cluster.node}`;
    await cluster.until(
      async () => (await jsonpath(`pod ${name}`, "{.status.phase}")) === "Running",
      "the mirror pod",
      180_000,
    );
    await cluster.until(async () => (await cluster.kubectl(`logs ${name}`)) === "here\n", "what it says");
    assert.equal(await jsonpath(`pod ${name}`, "{.metadata.ownerReferences[0].kind}"), "Node");
    const id = await jsonpath(`pod ${name}`, "{.status.containerStatuses[0].containerID}");
    const uid = await jsonpath(`pod ${name}`, "{.metadata.uid}");
    await cluster.kubectl(`delete pod ${name} --wait=false`);
    await cluster.until(
      async () => (await jsonpath(`pod ${name}`, "{.metadata.uid}")) !== uid,
      "the mirror pod comes back",
    );
    await cluster.until(
      async () => (await jsonpath(`pod ${name}`, "{.status.containerStatuses[0].containerID}")) === id,
      "its container ran on",
    );
    rmSync(file);
    await cluster.until(
      async () => !(await cluster.kubectl("get pods -o name")).includes(name),
      "the mirror pod goes with its file",
      180_000,
    );
  });
});
