/** What a cluster says to input that is wrong: upstream's words each time, and it goes on as if nothing had been. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { noCluster, TestCluster } from "../../src/testing/cluster.ts";
import { realClients } from "../../tools/clients.ts";

const clients = realClients();
const SERVER = "https://127.0.0.1:6443";

describe("bad input", { skip: noCluster(clients) }, () => {
  let cluster: TestCluster;
  before(async () => {
    cluster = new TestCluster("bad", clients!);
    await cluster.up("--runtime", "simulated");
    await cluster.kubectl("create configmap kept --from-literal=a=b");
  });
  after(() => cluster[Symbol.asyncDispose]());

  const pki = (file: string) => join(cluster.dataDir, "pki", file);
  /** A request as the administrator, with any bytes as its body: status, then the answer. */
  async function raw(method: string, path: string, type: string, body: string | Uint8Array) {
    const { out } = await cluster.run(
      "curl",
      [
        ..."-sS -m 20 -H expect: --data-binary @- -w \n%{http_code}".split(" "),
        "--cacert",
        pki("ca.crt"),
        "--cert",
        pki("admin.crt"),
        "--key",
        pki("admin.key"),
        "-X",
        method,
        "-H",
        `content-type: ${type}`,
        `${SERVER}${path}`,
      ],
      { input: body },
    );
    const cut = out.lastIndexOf("\n");
    const text = out.slice(0, cut);
    const parsed = text.startsWith("{") ? (JSON.parse(text) as { reason?: string; message?: string }) : {};
    return { status: Number(out.slice(cut + 1)), text, reason: parsed.reason, message: parsed.message };
  }
  const MAPS = "/api/v1/namespaces/default/configmaps";
  const deployment = (name: string, replicas: string, more = "") => `
apiVersion: apps/v1
kind: Deployment
metadata: {name: ${name}}
spec:
  replicas: ${replicas}
  selector: {matchLabels: {app: a}}
  template: {metadata: {labels: {app: a}}, spec: {containers: [{name: c, image: i${more}}]}}
`;

  test("text that is no YAML and text that is no JSON", async () => {
    assert.match(
      await cluster.refused("apply -f -", { input: "a: b: c\n - d" }),
      /error: error parsing STDIN: error converting YAML to JSON: yaml: .*mapping values are not allowed in this context/,
    );
    const yaml = await raw("POST", MAPS, "application/yaml", "a: b: c\n - d");
    assert.equal(yaml.status, 400);
    assert.equal(yaml.reason, "BadRequest");
    assert.match(yaml.message!, /mapping values are not allowed in this context/);
    const cut = await raw("POST", MAPS, "application/json", '{"apiVersion":"v1","kind":"ConfigMap","meta');
    assert.deepEqual([cut.status, cut.reason], [400, "BadRequest"]);
    assert.match(
      cut.message!,
      /^the object provided is unrecognized \(must be of type ConfigMap\): couldn't get version\/kind; json parse error: unexpected end of JSON input/,
    );
    const bytes = await raw(
      "POST",
      MAPS,
      "application/vnd.kubernetes.protobuf",
      Uint8Array.of(0x6b, 0x38, 0x73, 0, 255, 255, 255),
    );
    assert.equal(bytes.status, 400, bytes.text);
    const deep = await raw("POST", MAPS, "application/json", "[".repeat(500_000));
    assert.equal(deep.status, 400);
    const type = await raw("POST", MAPS, "text/plain", "hello");
    assert.deepEqual([type.status, type.reason], [415, "UnsupportedMediaType"]);
  });

  test("unknown and repeated fields are refused where strictness is asked for, and warned of otherwise", async () => {
    const input = deployment("strict", "1", ", imagePolicy: x");
    assert.match(
      await cluster.refused("create --validate=strict -f -", { input }),
      /Error from server \(BadRequest\): error when creating "STDIN": Deployment in version "v1" cannot be handled as a Deployment: strict decoding error: unknown field "spec\.template\.spec\.containers\[0\]\.imagePolicy"/,
    );
    const warned = await cluster.run("kubectl", ["create", "--validate=warn", "--dry-run=server", "-f", "-"], {
      input,
    });
    assert.equal(warned.code, 0);
    assert.match(warned.err, /Warning: unknown field "spec\.template\.spec\.containers\[0\]\.imagePolicy"/);
    const twice = await raw(
      "POST",
      `${MAPS}?fieldValidation=Strict`,
      "application/json",
      '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"twice"},"data":{"a":"1"},"data":{"a":"2"}}',
    );
    assert.equal(
      twice.message,
      'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: duplicate field "data"',
    );
  });

  test("values of the wrong type", async () => {
    assert.match(
      await cluster.refused("create -f -", { input: deployment("typed", "three") }),
      /Error from server \(BadRequest\): error when creating "STDIN": Deployment in version "v1" cannot be handled as a Deployment: json: cannot unmarshal string into Go struct field DeploymentSpec\.spec\.replicas of type int32/,
    );
    assert.match(
      await cluster.refused("create -f -", {
        input: "{apiVersion: v1, kind: ConfigMap, metadata: {name: m}, data: {a: 1}}",
      }),
      /cannot be handled as a ConfigMap: json: cannot unmarshal number into Go struct field ConfigMap\.data of type string/,
    );
    assert.match(
      await cluster.refused("create -f -", {
        input: deployment("quantity", "1", ", resources: {limits: {cpu: lots}}"),
      }),
      /quantities must match the regular expression '\^\(\[\+-\]\?\[0-9\.\]\+\)\(\[eEinumkKMGTP\]\*\[-\+\]\?\[0-9\]\*\)\$'/,
    );
    assert.match(
      await cluster.refused("create -f -", { input: "{apiVersion: v1, kind: Nothing, metadata: {name: thing}}" }),
      /no matches for kind "Nothing" in version "v1"/,
    );
  });

  test("values that validation refuses", async () => {
    assert.match(
      await cluster.refused("create -f -", { input: deployment("negative", "-1") }),
      /The Deployment "negative" is invalid: spec\.replicas: Invalid value: -1: must be greater than or equal to 0/,
    );
    assert.match(
      await cluster.refused("create configmap Capital"),
      /error: failed to create configmap: ConfigMap "Capital" is invalid: metadata\.name: Invalid value: "Capital": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '\.', and must start and end with an alphanumeric character \(e\.g\. 'example\.com', regex used for validation is '\[a-z0-9\]\(\[-a-z0-9\]\*\[a-z0-9\]\)\?\(\\\.\[a-z0-9\]\(\[-a-z0-9\]\*\[a-z0-9\]\)\?\)\*'\)/,
    );
    assert.match(
      await cluster.refused("create -f -", {
        input: deployment("other", "1").replace("labels: {app: a}", "labels: {app: b}"),
      }),
      /spec\.template\.metadata\.labels: Invalid value: \{"app":"b"\}: `selector` does not match template `labels`/,
    );
    await cluster.apply(deployment("fixed", "1"));
    assert.match(
      await cluster.refused([
        "patch",
        "deployment",
        "fixed",
        "-p",
        '{"spec":{"selector":{"matchLabels":{"app":"z"}}}}',
      ]),
      /spec\.selector: Invalid value: .*: field is immutable/,
    );
    assert.match(await cluster.refused("scale deployment fixed --replicas=-3"), /--replicas=COUNT is required|must be/);
    await cluster.kubectl("delete deployment fixed");
  });

  test("bodies that are too large", async () => {
    const map = (size: number) =>
      JSON.stringify({
        apiVersion: "v1",
        kind: "ConfigMap",
        metadata: { name: "large" },
        data: { a: "x".repeat(size) },
      });
    const body = await raw("POST", MAPS, "application/json", map(4 << 20));
    assert.deepEqual(
      [body.status, body.reason, body.message],
      [413, "RequestEntityTooLarge", "Request entity too large: limit is 3145728"],
    );
    const data = await raw("POST", MAPS, "application/json", map(2 << 20));
    assert.deepEqual([data.status, data.reason], [422, "Invalid"]);
    assert.match(data.message!, /ConfigMap "large" is invalid: \[?.*Too long: may not be more than 1048576 bytes/);
  });

  test("names and versions that are not there, or not any more", async () => {
    assert.equal(await cluster.refused("get pod nobody"), 'Error from server (NotFound): pods "nobody" not found\n');
    assert.equal(await cluster.refused("get widgets"), 'error: the server doesn\'t have a resource type "widgets"\n');
    assert.match(
      await cluster.refused("create configmap kept"),
      /error: failed to create configmap: configmaps "kept" already exists/,
    );
    const stale = await cluster.kubectl("get configmap kept -o yaml");
    await cluster.kubectl("label configmap kept a=b");
    assert.match(
      await cluster.refused("replace -f -", { input: stale }),
      /Error from server \(Conflict\): error when replacing "STDIN": Operation cannot be fulfilled on configmaps "kept": the object has been modified; please apply your changes to the latest version and try again/,
    );
    assert.match(await cluster.refused("create configmap there -n nowhere"), /namespaces "nowhere" not found/);
    const version = await raw("GET", `${MAPS}?resourceVersion=abc`, "application/json", "");
    assert.equal(version.status, 400);
    assert.match(
      version.message!,
      /^invalid resource version: resourceVersion: Invalid value: "abc": strconv\.ParseUint: parsing "abc": invalid syntax/,
    );
    const selector = await raw("GET", `${MAPS}?labelSelector=a%20b`, "application/json", "");
    assert.equal(selector.status, 400);
    assert.match(selector.message!, /unable to parse requirement|found 'b'/);
    const path = await raw("GET", "/apis/nothing/v1/things", "application/json", "");
    assert.equal(path.status, 404);
  });

  test("tokens and certificates that nobody here signed", async () => {
    const curl = async (...args: string[]) =>
      (
        await cluster.run("curl", [
          "-sS",
          "-m",
          "10",
          "--cacert",
          pki("ca.crt"),
          ...args,
          `${SERVER}/api/v1/namespaces`,
        ])
      ).out;
    const unauthorized = { status: "Failure", message: "Unauthorized", reason: "Unauthorized", code: 401 };
    const seen = (text: string) => {
      const { status, message, reason, code } = JSON.parse(text) as Record<string, unknown>;
      return { status, message, reason, code };
    };
    assert.deepEqual(seen(await curl("-H", "Authorization: Bearer wrong")), unauthorized);
    assert.deepEqual(seen(await curl("-H", "Authorization: Bearer eyJhbGciOiJub25lIn0.e30.")), unauthorized);
    const token = (await cluster.kubectl("create token default")).trim();
    assert.equal(
      (JSON.parse(await curl("-H", `Authorization: Bearer ${token}`)) as any).message,
      'namespaces is forbidden: User "system:serviceaccount:default:default" cannot list resource "namespaces" in API group "" at the cluster scope',
    );
    assert.deepEqual(seen(await curl("-H", `Authorization: Bearer ${token.slice(0, -4)}AAAA`)), unauthorized);
    assert.equal(
      (JSON.parse(await curl()) as any).message,
      'namespaces is forbidden: User "system:anonymous" cannot list resource "namespaces" in API group "" at the cluster scope',
    );
    await cluster.sh(
      "openssl req -x509 -newkey rsa:2048 -nodes -keyout other.key -out other.crt -subj /O=system:masters/CN=intruder -days 2 2>/dev/null",
    );
    assert.deepEqual(seen(await curl("--cert", "other.crt", "--key", "other.key")), unauthorized);
    assert.match(
      await cluster.refused("get nodes --certificate-authority=other.crt"),
      /x509: certificate signed by unknown authority/,
    );
    assert.equal(
      await cluster.refused(
        `get nodes --kubeconfig=/dev/null --server=${SERVER} --certificate-authority=${pki("ca.crt")} --token=wrong`,
      ),
      "error: You must be logged in to the server (Unauthorized)\n",
    );
  });

  test("bytes that are no TLS, and requests that are none", async () => {
    assert.match(
      await cluster.sh("curl -sS -m 5 http://127.0.0.1:6443/ || true"),
      /Client sent an HTTP request to an HTTPS server\./,
    );
    await cluster.sh("head -c 100000 /dev/urandom | timeout 5 busybox nc 127.0.0.1 6443 || true");
    const method = await raw("BREW", MAPS, "application/json", "");
    assert.equal(method.status, 405);
  });

  test("the cluster has not noticed", async () => {
    assert.equal(await cluster.kubectl("get configmap kept -o jsonpath={.data.a}"), "b");
    assert.equal(
      await cluster.kubectl("get configmaps,deployments -o name"),
      "configmap/kept\nconfigmap/kube-root-ca.crt\n",
    );
    assert.match(await cluster.kubectl("get nodes"), / Ready /);
    assert.deepEqual(cluster.errors(), []);
  });
});
