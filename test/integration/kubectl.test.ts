/** kubectl's commands, each with every version of it that is a minor version away from the server's, against one cluster with simulated containers. */
import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { KUBECTLS, realClients } from "../../tools/clients.ts";

const root = join(import.meta.dirname, "../..");
const scratch = mkdtempSync(join(tmpdir(), "t8s-kubectl-"));
const kubeconfig = join(scratch, "data/kubeconfig");

/** What it prints (errors too) must match; a command that has to fail begins with `!`, one with an editor with what `sed` does in it; `_` is a space in a word. */
type Row = readonly [command: string, prints: RegExp];

const ROWS: readonly Row[] = [
  ["cluster-info", /control plane.*is running at/],
  ["version", /Server Version: v1\.36/],
  ["api-versions", /^apps\/v1$/m],
  ["api-resources --namespaced=false", /^nodes +no +v1 +false +Node$/m],
  ["api-resources -o wide --api-group=apps", /^deployments +deploy +apps\/v1 +true +Deployment +.*watch.* +all/m],
  ["explain deployment.spec.strategy.rollingUpdate", /maxSurge\t<IntOrString>/],
  ["explain pods --recursive", /terminationGracePeriodSeconds\t<integer>/],
  ["auth whoami", /Username +kubernetes-admin/],
  ["auth can-i create deployments", /^yes$/m],
  ["! auth can-i create deployments --as=nobody", /^no$/m],
  ["auth can-i --list", /^\*\.\* +\[\] +\[\] +\[\*\]/m],
  ["auth reconcile -f role.yaml", /role\.rbac\.authorization\.k8s\.io\/reader reconciled/],
  ["create serviceaccount robot", /serviceaccount\/robot created/],
  ["create token robot --duration=1h", /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/m],
  ["create role editor --verb=get,list --resource=pods", /role\.rbac\.authorization\.k8s\.io\/editor created/],
  ["create rolebinding editor --role=editor --serviceaccount=NAMESPACE:robot", /rolebinding.*\/editor created/],
  ["auth can-i list pods --as=system:serviceaccount:NAMESPACE:robot", /^yes$/m],
  ["create configmap cm --from-literal=a=1 --from-file=role.yaml", /configmap\/cm created/],
  ["create secret generic s --from-literal=a=1", /secret\/s created/],
  ["create secret docker-registry d --docker-username=u --docker-password=p", /secret\/d created/],
  ["create quota q --hard=services=20", /resourcequota\/q created/],
  ["create job once --image=busybox?exit=0", /job\.batch\/once created/],
  ["create cronjob hourly --image=busybox --schedule=0_*_*_*_*", /cronjob\.batch\/hourly created/],
  ["create job now --from=cronjob/hourly", /job\.batch\/now created/],
  ["create ingress web --rule=example.com/*=web:80", /ingress\.networking\.k8s\.io\/web created/],
  ["create poddisruptionbudget p --selector=app=none --min-available=1", /poddisruptionbudget\.policy\/p created/],
  ["! create configmap cm", /configmaps "cm" already exists/],
  ["! get configmap none", /Error from server \(NotFound\): configmaps "none" not found/],
  ["! create -f wrong.yaml", /strict decoding error: unknown field "spec\.replica"/],
  ["create deployment web --image=nginx --replicas=2 --port=80", /deployment\.apps\/web created/],
  ["rollout status deployment/web --timeout=180s", /successfully rolled out/],
  ["wait --for=condition=Available deployment/web --timeout=180s", /condition met/],
  ["wait --for=jsonpath={.status.readyReplicas}=2 deployment/web --timeout=180s", /condition met/],
  ["get deployments", /^NAME +READY +UP-TO-DATE +AVAILABLE +AGE\nweb +2\/2 +2 +2 +\S+$/m],
  ["get deployment web -o wide", /CONTAINERS +IMAGES +SELECTOR\nweb .* nginx +nginx +app=web$/m],
  ["get deployment web -o yaml", /^kind: Deployment$/m],
  ["get deployment web -o json --show-managed-fields", /"manager": "kubectl-create"/],
  ["get deployment web -o jsonpath={.spec.replicas}", /^2$/],
  ["get deployments -o custom-columns=N:.metadata.name,R:.spec.replicas", /^N +R\nweb +2$/m],
  ["get deployment web -o go-template={{.spec.replicas}}", /^2$/],
  ["get all", /^replicaset\.apps\/web-\w+ +2 +2 +2/m],
  ["get pods -l app=web --field-selector=status.phase=Running --no-headers", /^web-\S+ +1\/1 +Running/m],
  ["get pods --sort-by=.metadata.name -o name", /^pod\/web-/m],
  ["get pods -A --chunk-size=1", /^NAMES[P]ACE +NAME +READY/m],
  ["get deployment web --output-watch-events --watch --request-timeout=6s", /^ADDED +web +2\/2/m],
  ["get --raw /readyz?verbose", /readyz check passed/],
  ["describe deployment web", /^Replicas: +2 desired \| 2 updated \| 2 total \| 2 available/m],
  ["describe pods -l app=web", /^Controlled By: +ReplicaSet\/web-/m],
  ["describe node NODE", /^Allocated resources:/m],
  ["events --for=deployment/web", /ScalingReplicaSet/],
  ["get events --sort-by=.lastTimestamp", /SuccessfulCreate/],
  ["logs deployment/web", /^/],
  ["exec deployment/web -- true", /^/],
  ["scale deployment/web --replicas=3 --current-replicas=2", /deployment\.apps\/web scaled/],
  ["set image deployment/web nginx=nginx:2", /image updated/],
  ["rollout history deployment/web", /^REVISION +CHANGE-CAUSE/m],
  ["rollout status deployment/web --timeout=180s", /successfully rolled out/],
  ["rollout undo deployment/web", /rolled back/],
  ["rollout restart deployment/web", /restarted/],
  ["rollout pause deployment/web", /paused/],
  ["rollout resume deployment/web", /resumed/],
  ["set env deployment/web A=1", /env updated/],
  ["set resources deployment/web --limits=cpu=100m", /resource requirements updated/],
  ["set serviceaccount deployment/web robot", /serviceaccount updated/],
  ["expose deployment web --port=80 --type=NodePort", /service\/web exposed/],
  ["set selector service web app=other", /selector updated/],
  ["get endpointslices -l kubernetes.io/service-name=web", /^web-/m],
  ["autoscale deployment web --min=1 --max=5 --cpu=80%", /horizontalpodautoscaler\.autoscaling\/web autoscaled/],
  ["get hpa", /^web +Deployment\/web +cpu: <unknown>\/80% +1 +5/m],
  ["label deployment web tier=front", /labeled/],
  ["! label deployment web tier=back", /already has a value \(front\), and --overwrite is false/],
  ["label deployment web tier-", /unlabeled/],
  ["annotate deployment web note=x --overwrite", /annotated/],
  ['patch deployment web -p {"spec":{"minReadySeconds":1}}', /patched/],
  ['patch deployment web --type=merge -p {"metadata":{"labels":{"a":"b"}}}', /patched/],
  ['patch deployment web --type=json -p [{"op":"remove","path":"/metadata/labels/a"}]', /patched/],
  ['patch deployment web --subresource=scale --type=merge -p {"spec":{"replicas":1}}', /patched/],
  ["get deployment web --subresource=scale", /^web +1 /m],
  ["EDITOR=/minReadySeconds:/d edit deployment web", /deployment\.apps\/web edited/],
  ["get deployment web -o jsonpath={.spec.minReadySeconds}", /^$/],
  ["apply -f app.yaml", /deployment\.apps\/app created\n.*service\/app created/],
  ["apply -f app.yaml", /deployment\.apps\/app unchanged\n.*service\/app unchanged/],
  ["! diff -f app-2.yaml", /^\+ +replicas: 2$/m],
  ["apply -f app-2.yaml --dry-run=server", /deployment\.apps\/app configured \(server dry run\)/],
  ["apply -f app-2.yaml", /deployment\.apps\/app configured/],
  ["apply view-last-applied deployment app", /replicas: 2/],
  ["apply -f app.yaml --server-side --force-conflicts", /deployment\.apps\/app serverside-applied/],
  ["! apply -f app-2.yaml --server-side --field-manager=other", /conflict with "kubectl": \.spec\.replicas/],
  ["diff -f app.yaml --server-side", /^$/],
  ["replace -f app-2.yaml", /deployment\.apps\/app replaced/],
  ["replace --force --grace-period=0 -f app.yaml", /deployment\.apps\/app replaced/],
  ["apply -f app.yaml --prune -l set=app --prune-allowlist=core/v1/ConfigMap", /service\/app/],
  ["kustomize kustom", /name: pre-cm-/],
  ["apply -k kustom", /configmap\/pre-cm-\w+ created/],
  ["delete -k kustom", /configmap "pre-cm-\w+" deleted/],
  ["delete -f app.yaml", /deployment\.apps "app" deleted/],
  ["run single --image=nginx --labels=a=b --env=X=1", /pod\/single created/],
  ["wait --for=condition=Ready pod/single --timeout=180s", /condition met/],
  ["wait --for=create pod/single --timeout=180s", /condition met/],
  ["debug single --image=busybox --target=single", /Defaulting debug container name|Targeting container/],
  ["get pod single -o jsonpath={.spec.ephemeralContainers[0].image}", /^busybox$/],
  ["delete pod single --wait --timeout=180s", /pod "single" deleted/],
  ["apply -f crd.yaml", /customresourcedefinition.*created|customresourcedefinition.*unchanged/],
  ["wait --for=condition=Established crd/widgets.example.com --timeout=180s", /condition met/],
  ["explain widget.spec", /size\t<integer> -required-/],
  ["apply -f widget.yaml", /widget\.example\.com\/w created/],
  ["get widgets", /^NAME +SIZE\nw +3$/m],
  ["scale widget w --replicas=4", /widget\.example\.com\/w scaled/],
  ['patch widget w --type=merge -p {"spec":{"size":5}}', /patched/],
  ['! patch widget w --type=merge -p {"spec":{"size":-5}}', /spec\.size: Invalid value: -5/],
  ["delete widget --all", /widget\.example\.com "w" deleted/],
  ["cordon NODE", /node\/\S+ cordoned/],
  ["uncordon NODE", /node\/\S+ uncordoned/],
  ["drain NODE --dry-run=server --ignore-daemonsets --force --delete-emptydir-data", /drained \(server dry run\)/],
  ["taint nodes NODE test=x:PreferNoSchedule", /node\/\S+ tainted/],
  ["taint nodes NODE test-", /node\/\S+ untainted/],
  ["! top pods", /Metrics API not available/],
  ["apply -f csr.yaml", /certificatesigningrequest\.certificates\.k8s\.io\/robot-NAMESPACE created/],
  ["certificate approve robot-NAMESPACE", /robot-NAMESPACE approved/],
  ["get csr robot-NAMESPACE", /Approved/],
  ["certificate deny robot-NAMESPACE-2", /robot-NAMESPACE-2 denied/],
  ["delete deployment web --cascade=foreground --timeout=180s", /deployment\.apps "web" deleted/],
  ["delete job,cronjob --all", /job\.batch "once" deleted/],
  ["delete configmap cm --dry-run=server", /configmap "cm" deleted.*\(server dry run\)/],
  ["delete namespace NAMESPACE --timeout=180s", /namespace "NAMESPACE" deleted/],
];

const FILES: Record<string, (namespace: string) => string> = {
  "role.yaml": (namespace) => `
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: reader, namespace: ${namespace} }
rules: [{ apiGroups: [""], resources: [pods], verbs: [get] }]
`,
  "wrong.yaml": () => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: wrong }
spec:
  replica: 1
  selector: { matchLabels: { app: wrong } }
  template: { metadata: { labels: { app: wrong } }, spec: { containers: [{ name: c, image: i }] } }
`,
  "app.yaml": () => app(1),
  "app-2.yaml": () => app(2),
  "crd.yaml": () => `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: widgets.example.com }
spec:
  group: example.com
  scope: Namespaced
  names: { plural: widgets, singular: widget, kind: Widget }
  versions:
    - name: v1
      served: true
      storage: true
      subresources: { status: {}, scale: { specReplicasPath: .spec.replicas, statusReplicasPath: .status.replicas } }
      additionalPrinterColumns: [{ name: Size, type: integer, jsonPath: .spec.size }]
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec: { type: object, required: [size], properties: { size: { type: integer, minimum: 0 }, replicas: { type: integer } } }
            status: { type: object, properties: { replicas: { type: integer } } }
`,
  "widget.yaml": () => `
apiVersion: example.com/v1
kind: Widget
metadata: { name: w }
spec: { size: 3, replicas: 1 }
`,
  "csr.yaml": (namespace) => `${csr(`robot-${namespace}`)}---${csr(`robot-${namespace}-2`)}`,
  "kustom/kustomization.yaml": () => `
namePrefix: pre-
configMapGenerator: [{ name: cm, literals: [a=1] }]
`,
};

const app = (replicas: number) => `
apiVersion: apps/v1
kind: Deployment
metadata: { name: app, labels: { set: app } }
spec:
  replicas: ${replicas}
  selector: { matchLabels: { app: app } }
  template:
    metadata: { labels: { app: app } }
    spec: { terminationGracePeriodSeconds: 0, containers: [{ name: c, image: nginx, ports: [{ containerPort: 80 }] }] }
---
apiVersion: v1
kind: Service
metadata: { name: app, labels: { set: app } }
spec: { selector: { app: app }, ports: [{ port: 80 }] }
`;

/** A request for a key that nobody has any more. */
const csr = (name: string) => `
apiVersion: certificates.k8s.io/v1
kind: CertificateSigningRequest
metadata: { name: ${name} }
spec:
  signerName: kubernetes.io/kube-apiserver-client
  usages: [client auth]
  request: LS0tLS1CRUdJTiBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0KTUlITE1ISUNBUUF3RURFT01Bd0dBMVVFQXd3RmNtOWliM1F3V1RBVEJnY3Foa2pPUFFJQkJnZ3Foa2pPUFFNQgpCd05DQUFUZy96cXFmdG1YRHdBTm5Ua0paak5XNkxKbDVSVTZFamdLU21HR0MwaFI4VGpkcXhiYXFXc3hhVWt2CjUyRkxtYW5YS25IU1FSYmhpNHlVSmNia1dudlpvQUF3Q2dZSUtvWkl6ajBFQXdJRFNRQXdSZ0loQU9pMnh6aUgKSGFoQUdNYVc4L0ZuME5XN1pFNy9EcG1KWVBkUVJtVzV3MXhlQWlFQS9wTy9xVFk1K2RSTGIzWlVBVkhERGg5VApzZlU0Szh0WlozU3ZOUkt1VFRFPQotLS0tLUVORCBDRVJUSUZJQ0FURSBSRVFVRVNULS0tLS0K
`;

async function run(program: string, command: string, namespace: string): Promise<readonly [ok: boolean, text: string]> {
  const words = command.replaceAll("NAMESPACE", namespace).replaceAll("NODE", node).split(" ");
  const fails = words[0] === "!" && words.shift() !== undefined;
  const editor = words[0]!.startsWith("EDITOR=") ? words.shift()!.slice("EDITOR=".length) : "";
  return await new Promise((resolve) => {
    const child = execFile(
      program,
      [`--kubeconfig=${kubeconfig}`, `--namespace=${namespace}`, ...words.map((word) => word.replaceAll("_", " "))],
      {
        cwd: join(scratch, namespace),
        timeout: 240_000,
        env: { ...process.env, HOME: scratch, EDITOR: `sed -i ${editor}` },
      },
      (error, out, err) => resolve([(error === null) !== fails, out + err]),
    );
    child.stdin!.end();
  });
}

const versions = Object.keys(KUBECTLS).map(
  (version) => [version, realClients(root, version as keyof typeof KUBECTLS)] as const,
);
let cluster: ChildProcess;
let node = "";

describe(
  "kubectl",
  { skip: versions.some(([, folder]) => folder !== undefined) ? false : "kubectl could not be fetched" },
  () => {
    before(async () => {
      cluster = spawn(
        process.execPath,
        [
          join(root, "src/cli/main.ts"),
          ..."up --runtime simulated --kubeconfig-merge=false --port 0 --data-dir".split(" "),
          join(scratch, "data"),
        ],
        { stdio: ["ignore", "pipe", "pipe"], env: { ...process.env, HOME: scratch } },
      );
      let said = "";
      await new Promise<void>((resolve, reject) => {
        const hear = (chunk: Buffer) => {
          said += chunk.toString();
          if (/^Ready in/m.test(said)) resolve();
        };
        cluster.stdout!.on("data", hear);
        cluster.stderr!.on("data", hear);
        cluster.once("exit", () => reject(new Error(`the cluster ended: ${said}`)));
      });
    });
    after(async () => {
      const ended = new Promise((resolve) => cluster.once("exit", resolve));
      if (cluster.exitCode === null && cluster.kill("SIGTERM")) await ended;
      rmSync(scratch, { recursive: true, force: true });
    });

    for (const [version, folder] of versions)
      test(
        `every command does its work with kubectl ${version}`,
        { skip: folder === undefined ? "it could not be fetched" : false },
        async () => {
          const program = join(folder!, "kubectl");
          const namespace = `v${version.replace(".", "-")}`;
          for (const [name, text] of Object.entries(FILES)) {
            const path = join(scratch, namespace, name);
            mkdirSync(join(path, ".."), { recursive: true });
            writeFileSync(path, text(namespace));
          }
          const [, nodes] = await run(program, "get nodes -o jsonpath={.items[0].metadata.name}", namespace);
          node = nodes.trim();
          await run(program, `create namespace ${namespace}`, namespace);
          const wrong: string[] = [];
          for (const [command, prints] of ROWS) {
            const begun = Date.now();
            const [ok, text] = await run(program, command, namespace);
            if (process.env["T8S_TIMES"]) console.log(String(Date.now() - begun).padStart(6), command);
            const expected = new RegExp(
              prints.source.replaceAll("NAMESPACE", namespace),
              prints.flags.replace("s", "") + "s",
            );
            if (!ok || !expected.test(text))
              wrong.push(
                `kubectl ${command}\n${text.slice(0, 800)}\n  expected ${ok ? String(expected) : "another exit code"}`,
              );
          }
          assert.deepEqual(wrong, []);
        },
      );
  },
);
