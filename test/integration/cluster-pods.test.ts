/** What pods may ask for, on real containers: users, hooks, sidecars, probes, host namespaces, deadlines, and the words for what can't start. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { noCluster, TestCluster } from "../../src/testing/cluster.ts";
import { realClients } from "../../tools/clients.ts";

const clients = realClients();

describe("pods of a cluster", { skip: noCluster(clients), concurrency: 4 }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = new TestCluster("pods", clients!);
    await cluster.up();
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
  const remove = (pod: string) => cluster.kubectl(`delete pod ${pod} --now --wait=false`);
  /** A pod of one container, as YAML flow: its container's fields, then the pod's. */
  const pod = (name: string, container: string, spec = "") =>
    cluster.apply(
      `{apiVersion: v1, kind: Pod, metadata: {name: ${name}}, spec: {terminationGracePeriodSeconds: 1, ${spec} containers: [{name: c, image: "busybox:1.36", ${container}}]}}`,
    );
  const resize = (name: string, resources: object) =>
    cluster.kubectl([
      ...`patch pod ${name} --subresource resize -p`.split(" "),
      JSON.stringify({ spec: { containers: [{ name: "c", resources }] } }),
    ]);
  const FOREVER = "command: [sleep, '1000000']";

  test("a security context gives user, groups, capabilities and a root that is read only", async () => {
    await pod(
      "secured",
      `${FOREVER}, securityContext: {readOnlyRootFilesystem: true, allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}, volumeMounts: [{name: data, mountPath: /data}]`,
      "securityContext: {runAsUser: 1000, runAsGroup: 3000, fsGroup: 2000, runAsNonRoot: true, seccompProfile: {type: RuntimeDefault}}, volumes: [{name: data, emptyDir: {}}],",
    );
    await ready("secured");
    assert.match(await inside("secured", "id"), /^uid=1000 gid=3000 groups=(2000,3000|3000,2000|2000)\n/);
    assert.equal(await inside("secured", "touch /x 2>&1 || true"), "touch: /x: Read-only file system\n");
    assert.equal(await inside("secured", "touch /data/x && stat -c %g /data/x"), "2000\n");
    assert.match(
      await inside("secured", "grep -E 'CapEff|NoNewPrivs|Seccomp:' /proc/self/status"),
      /CapEff:\s0+\n.*1\n.*2\n/,
    );
    await remove("secured");
  });

  test("a container that must not be root and would be is not started, and says so", async () => {
    await pod("rootish", `${FOREVER}, securityContext: {runAsNonRoot: true}`);
    await cluster.until(
      async () => /CreateContainerConfigError/.test(await cluster.kubectl("get pod rootish")),
      "CreateContainerConfigError",
    );
    assert.match(
      await jsonpath("pod rootish", "{.status.containerStatuses[0].state.waiting.message}"),
      /^container has runAsNonRoot and image will run as root \(pod: "rootish_default\(.*\)", container: c\)$/,
    );
    await remove("rootish");
  });

  test("what is missing is named: config map, key, secret of a volume", async () => {
    await pod("no-map", `${FOREVER}, envFrom: [{configMapRef: {name: missing}}]`);
    await pod(
      "no-secret",
      `${FOREVER}, volumeMounts: [{name: s, mountPath: /s}]`,
      "volumes: [{name: s, secret: {secretName: missing}}],",
    );
    await cluster.until(
      async () =>
        (await jsonpath(
          "pod no-map",
          "{.status.containerStatuses[0].state.waiting.reason}: {.status.containerStatuses[0].state.waiting.message}",
        )) === 'CreateContainerConfigError: configmap "missing" not found',
      "CreateContainerConfigError",
    );
    await cluster.until(
      async () =>
        /Warning +FailedMount +.*kubelet +MountVolume\.SetUp failed for volume "s" : secret "missing" not found/.test(
          await cluster.kubectl("describe pod no-secret"),
        ),
      "FailedMount",
    );
    assert.match(await cluster.kubectl("get pod no-secret"), / 0\/1 +ContainerCreating +0 /);
    await cluster.kubectl("create configmap missing --from-literal=a=b");
    await cluster.kubectl("create secret generic missing --from-literal=a=b");
    await ready("no-map");
    await ready("no-secret");
    await remove("no-map");
    await remove("no-secret");
  });

  test("a command that isn't there shows RunContainerError with the runtime's words", async () => {
    await pod("no-command", "command: [/nothing]");
    await cluster.until(
      async () => /RunContainerError|CrashLoopBackOff/.test(await cluster.kubectl("get pod no-command")),
      "RunContainerError",
    );
    await cluster.until(
      async () =>
        /Warning +Failed +.*kubelet +.*(Error: failed to create containerd task|Error: failed to start container).*exec: "\/nothing": stat \/nothing: no such file or directory/.test(
          await cluster.kubectl("describe pod no-command"),
        ),
      "the event says why",
    );
    await cluster.until(
      async () =>
        (await jsonpath("pod no-command", "{.status.containerStatuses[0].lastState.terminated.exitCode}")) === "128",
      "how it ended",
    );
    await remove("no-command");
  });

  test("a sidecar starts before the containers, outlives them and ends with the pod", async () => {
    await cluster.apply(`
apiVersion: v1
kind: Pod
metadata: {name: sidecar}
spec:
  restartPolicy: Never
  terminationGracePeriodSeconds: 60
  volumes: [{name: data, emptyDir: {}}]
  initContainers:
    - {name: side, image: "busybox:1.36", restartPolicy: Always, command: [sh, -c, "touch /data/up; trap 'exit 0' TERM; while true; do sleep 0.1; done"], volumeMounts: [{name: data, mountPath: /data}], startupProbe: {exec: {command: [test, -f, /data/up]}, periodSeconds: 1, timeoutSeconds: 30}}
    - {name: once, image: "busybox:1.36", command: [test, -f, /data/up], volumeMounts: [{name: data, mountPath: /data}]}
  containers:
    - {name: c, image: "busybox:1.36", command: [sh, -c, "ls /data; until [ -e /data/end ]; do sleep 0.1; done"], volumeMounts: [{name: data, mountPath: /data}]}
`);
    await cluster.until(async () => /2\/2 +Running/.test(await cluster.kubectl("get pod sidecar")), "both run");
    await cluster.kubectl("exec sidecar -c side -- touch /data/end");
    await cluster.until(async () => (await jsonpath("pod sidecar", "{.status.phase}")) === "Succeeded", "the end");
    assert.equal(await cluster.kubectl("logs sidecar -c c"), "up\n");
    assert.match(await cluster.kubectl("get pod sidecar"), / 0\/2 +Completed +0 /);
    await remove("sidecar");
  });

  test("an init container that fails holds the pod back", async () => {
    await cluster.apply(`
{apiVersion: v1, kind: Pod, metadata: {name: held}, spec: {terminationGracePeriodSeconds: 0, initContainers: [{name: i, image: "busybox:1.36", command: [sh, -c, "exit 2"]}], containers: [{name: c, image: "busybox:1.36", ${FOREVER}}]}}`);
    await cluster.until(
      async () => /0\/1 +Init:CrashLoopBackOff +[1-9]/.test(await cluster.kubectl("get pod held")),
      "Init:CrashLoopBackOff",
    );
    assert.equal(
      await jsonpath("pod held", '{.status.conditions[?(@.type=="Initialized")].reason}'),
      "ContainersNotInitialized",
    );
    await remove("held");
  });

  test("startup, readiness and liveness probes over TCP and HTTP do what they should", async () => {
    await cluster.apply(`
apiVersion: v1
kind: Pod
metadata: {name: probed}
spec:
  terminationGracePeriodSeconds: 1
  containers:
    - name: c
      image: web:1
      ports: [{name: web, containerPort: 80}]
      startupProbe: {tcpSocket: {port: web}, periodSeconds: 1, failureThreshold: 20}
      readinessProbe: {httpGet: {port: web, path: /ready}, periodSeconds: 1, timeoutSeconds: 30}
      livenessProbe: {httpGet: {port: web, httpHeaders: [{name: X-A, value: b}]}, periodSeconds: 1, timeoutSeconds: 30}
`);
    await cluster.until(
      async () =>
        (await jsonpath(
          "pod probed",
          "{.status.containerStatuses[0].started} {.status.containerStatuses[0].ready}",
        )) === "true false",
      "started, not ready",
    );
    await inside("probed", "touch /www/ready");
    await ready("probed");
    await inside("probed", "rm /www/ready");
    await cluster.until(
      async () => / 0\/1 +Running +0 /.test(await cluster.kubectl("get pod probed")),
      "not ready any more",
    );
    await remove("probed");
  });

  test("hooks run after the start and a failing one kills the container", async () => {
    await pod("hooked", `${FOREVER}, lifecycle: {postStart: {exec: {command: [sh, -c, 'echo hook > /tmp/hook']}}}`);
    await pod("unhooked", `${FOREVER}, lifecycle: {postStart: {exec: {command: [sh, -c, 'exit 9']}}}`);
    await ready("hooked");
    assert.equal(await inside("hooked", "cat /tmp/hook"), "hook\n");
    await cluster.until(
      async () =>
        /Warning +FailedPostStartHook +.*kubelet +.*PostStartHook failed/.test(
          await cluster.kubectl("describe pod unhooked"),
        ),
      "FailedPostStartHook",
    );
    await remove("hooked");
    await remove("unhooked");
  });

  test("host network, host PID, a shared process namespace, host name, hosts file and DNS settings", async () => {
    await pod("on-host", FOREVER, "hostNetwork: true, hostPID: true, dnsPolicy: ClusterFirstWithHostNet,");
    await pod(
      "named",
      FOREVER,
      "shareProcessNamespace: true, hostname: box, subdomain: sub, hostAliases: [{ip: 192.0.2.7, hostnames: [far]}], dnsConfig: {options: [{name: ndots, value: '1'}], searches: [example.com]},",
    );
    await ready("on-host");
    assert.equal(await jsonpath("pod on-host", "{.status.podIP}"), await jsonpath("pod on-host", "{.status.hostIP}"));
    assert.match(await inside("on-host", "ip -o addr show eth0"), /172\.31\.20\.2\/24/);
    assert.match(await inside("on-host", "ps | grep -c containerd"), /^[1-9]/);
    assert.match(await inside("on-host", "cat /etc/resolv.conf"), /nameserver 10\.96\.0\.10/);
    await ready("named");
    assert.equal(await inside("named", "hostname"), "box\n");
    assert.equal(await inside("named", "hostname -f"), "box.sub.default.svc.cluster.local\n");
    assert.match(await inside("named", "cat /etc/hosts"), /^192\.0\.2\.7\tfar$/m);
    assert.match(await inside("named", "ps"), /\/pause/);
    assert.match(await inside("named", "cat /etc/resolv.conf"), /search .* example\.com\n[^]*ndots:1/);
    await remove("on-host");
    await remove("named");
  });

  test("a pod ends at its deadline; a job at its own, and goes when its time is up", async () => {
    await pod("limited", FOREVER, "activeDeadlineSeconds: 2,");
    await cluster.until(
      async () => (await jsonpath("pod limited", "{.status.phase} {.status.reason}")) === "Failed DeadlineExceeded",
      "DeadlineExceeded",
    );
    await cluster.apply(`
{apiVersion: batch/v1, kind: Job, metadata: {name: brief}, spec: {ttlSecondsAfterFinished: 1, completions: 2, parallelism: 2, completionMode: Indexed, template: {spec: {restartPolicy: Never, containers: [{name: c, image: "busybox:1.36", command: [sh, -c, "echo index $JOB_COMPLETION_INDEX; hostname"]}]}}}}`);
    await cluster.until(
      async () =>
        (await cluster.kubectl("get jobs,pods -l job-name=brief -o name --ignore-not-found")) === "" &&
        !/brief/.test(await cluster.kubectl("get jobs -o name")),
      "the job and its pods are gone by themselves",
    );
    await remove("limited");
  });

  test("what a container says at its end is in its status", async () => {
    await pod("worded", "command: [sh, -c, 'echo the reason > /dev/termination-log; exit 4']", "restartPolicy: Never,");
    await pod(
      "logged",
      "command: [sh, -c, 'echo last words; exit 4'], terminationMessagePolicy: FallbackToLogsOnError",
      "restartPolicy: Never,",
    );
    for (const [name, words] of [
      ["worded", "the reason\n"],
      ["logged", "last words\n"],
    ] as const) {
      await cluster.until(async () => (await jsonpath(`pod ${name}`, "{.status.phase}")) === "Failed", "the end");
      assert.equal(await jsonpath(`pod ${name}`, "{.status.containerStatuses[0].state.terminated.message}"), words);
      await remove(name);
    }
  });

  test("a running container is given other resources in place, and is started anew only where its policy says so", async () => {
    const both = (amounts: object) => ({ requests: amounts, limits: amounts });
    const limits = async () => {
      const read = (files: string) => inside("resized", `cat ${files} 2>/dev/null || true`);
      const memory = await read("/sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max");
      const quota = await read("/sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max");
      return `${Number(memory) / 2 ** 20} ${Number.parseInt(quota, 10)}`;
    };
    const settled = () =>
      cluster.until(async () => {
        const found = await cluster.get<any>("pod resized");
        const resizing = found.status.conditions.some(({ type }: { type: string }) => type.startsWith("PodResize"));
        return found.status.observedGeneration === found.metadata.generation && !resizing ? found : undefined;
      }, "the resize is done");
    await pod(
      "resized",
      `${FOREVER}, resources: ${JSON.stringify(both({ cpu: "100m", memory: "64Mi" }))}, resizePolicy: [{resourceName: memory, restartPolicy: RestartContainer}, {resourceName: cpu, restartPolicy: NotRequired}]`,
    );
    await ready("resized");
    assert.equal(await limits(), "64 10000");
    await resize("resized", both({ cpu: "200m", memory: "64Mi" }));
    const faster = await settled();
    assert.equal(await limits(), "64 20000");
    assert.deepEqual(faster.status.containerStatuses[0].resources.limits, { cpu: "200m", memory: "64Mi" });
    assert.equal(faster.status.resources.limits.cpu, "200m");
    assert.equal(faster.status.containerStatuses[0].restartCount, 0);
    await resize("resized", both({ cpu: "200m", memory: "96Mi" }));
    const larger = await settled();
    await ready("resized");
    assert.equal(await limits(), "96 20000");
    assert.equal(larger.status.allocatedResources.memory, "96Mi");
    await cluster.until(
      async () => (await jsonpath("pod resized", "{.status.containerStatuses[0].restartCount}")) === "1",
      "one restart",
    );
    await remove("resized");
  });

  test("memory is not taken that a container uses, and the condition says why", async () => {
    const limit = (memory: string) => `resources: {limits: {cpu: 100m, memory: ${memory}}}`;
    await pod(
      "keeps",
      `command: [sh, -c, "dd if=/dev/zero of=/dev/shm/x bs=1M count=40; sleep 1000000"], ${limit("96Mi")}`,
    );
    await ready("keeps");
    await cluster.until(async () => /40.0M/.test(await inside("keeps", "du -h /dev/shm/x")), "40 MiB are used");
    await resize("keeps", { requests: { memory: "24Mi" }, limits: { memory: "24Mi" } });
    const condition = '{.status.conditions[?(@.type=="PodResizeInProgress")]}';
    const told = await cluster.until(async () => {
      const { reason, message } = JSON.parse((await jsonpath("pod keeps", condition)) || "{}");
      return reason === "Error" ? message : undefined;
    }, "an error");
    assert.match(
      told,
      /^cannot decrease memory limits: \[attempting to set pod memory limit \(25165824\) below current usage \(\d+\), attempting to set container "c" memory limit/,
    );
    assert.equal(await jsonpath("pod keeps", "{.status.containerStatuses[0].resources.limits.memory}"), "96Mi");
    await inside("keeps", "rm /dev/shm/x");
    await cluster.until(
      async () => (await jsonpath("pod keeps", "{.status.containerStatuses[0].resources.limits.memory}")) === "24Mi",
      "the memory is given back",
    );
    await remove("keeps");
  });

  test("a pod that fills more than its volume may hold is evicted, and says so", async () => {
    await pod(
      "fills",
      `command: [sh, -c, "dd if=/dev/zero of=/data/x bs=1M count=8; sleep 1000000"], volumeMounts: [{name: data, mountPath: /data}]`,
      "volumes: [{name: data, emptyDir: {sizeLimit: 4Mi}}],",
    );
    await cluster.until(
      async () => (await jsonpath("pod fills", "{.status.phase}")) === "Failed",
      "it is evicted",
      60_000,
    );
    assert.equal(
      await jsonpath("pod fills", "{.status.reason}: {.status.message}"),
      'Evicted: Usage of EmptyDir volume "data" exceeds the limit "4Mi". ',
    );
    await remove("fills");
  });
});
