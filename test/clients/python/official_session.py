"""The official client of Python against a cluster whose containers are processes; KUBECONFIG says where. A line for each thing that works."""
import base64
import json
import os
import queue
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from kubernetes import client, config, dynamic, utils, watch
from kubernetes.client.rest import ApiException
from kubernetes.dynamic.exceptions import ConflictError, NotFoundError
from kubernetes.leaderelection import electionconfig, leaderelection
from kubernetes.stream import portforward, stream

from steps import eventually, raises, step

config.load_kube_config()
NAMESPACE = "python-official"
core = client.CoreV1Api()
apps = client.AppsV1Api()
DEFINITION = {
    "apiVersion": "apiextensions.k8s.io/v1",
    "kind": "CustomResourceDefinition",
    "metadata": {"name": "gadgets.python.example.com"},
    "spec": {
        "group": "python.example.com",
        "scope": "Namespaced",
        "names": {"plural": "gadgets", "singular": "gadget", "kind": "Gadget"},
        "versions": [
            {
                "name": "v1",
                "served": True,
                "storage": True,
                "subresources": {"status": {}, "scale": {"specReplicasPath": ".spec.replicas", "statusReplicasPath": ".status.replicas"}},
                "schema": {
                    "openAPIV3Schema": {
                        "type": "object",
                        "properties": {
                            "spec": {
                                "type": "object",
                                "properties": {"size": {"type": "integer", "maximum": 9}, "replicas": {"type": "integer"}},
                            },
                            "status": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
                        },
                    }
                },
            }
        ],
    },
}


def pod(name, *command, **more):
    container = client.V1Container(name="c", image="machine", command=list(command), **more)
    return client.V1Pod(
        metadata=client.V1ObjectMeta(name=name, labels={"app": name}),
        spec=client.V1PodSpec(containers=[container], termination_grace_period_seconds=0),
    )


def running(name):
    return eventually(lambda: (found := core.read_namespaced_pod(name, NAMESPACE)).status.phase == "Running" and found)


@step("versions, groups, resources and OpenAPI are there")
def discovery():
    assert client.VersionApi().get_code().minor == "36"
    groups = [group.name for group in client.ApisApi().get_api_versions().groups]
    assert "apps" in groups and "rbac.authorization.k8s.io" in groups
    assert any(resource.name == "pods/exec" for resource in core.get_api_resources().resources)
    assert "jwks_uri" in client.WellKnownApi().get_service_account_issuer_open_id_configuration()


@step("typed objects are created, read, replaced, listed in pages and deleted")
def typed():
    core.create_namespace(client.V1Namespace(metadata=client.V1ObjectMeta(name=NAMESPACE)))
    for number in range(7):
        labels = {"n": str(number)}
        core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(generate_name="paged-", labels=labels)))
    seen, pages, token = 0, 0, None
    while True:
        page = core.list_namespaced_config_map(NAMESPACE, limit=3, _continue=token, label_selector="n")
        seen, pages, token = seen + len(page.items), pages + 1, page.metadata._continue
        if not token:
            break
    assert (seen, pages) == (7, 3), (seen, pages)
    assert len(core.list_namespaced_config_map(NAMESPACE, label_selector="n in (1,2,9)").items) == 2
    assert len(core.list_namespaced_config_map(NAMESPACE, field_selector="metadata.name=none").items) == 0
    made = core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="typed"), data={"a": "1"}))
    changed = core.replace_namespaced_config_map("typed", NAMESPACE, client.V1ConfigMap(metadata=made.metadata, data={"a": "2"}))
    assert changed.data == {"a": "2"} and changed.metadata.resource_version != made.metadata.resource_version
    raises(409, lambda: core.replace_namespaced_config_map("typed", NAMESPACE, made))
    raises(409, lambda: core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="typed"))))
    raises(422, lambda: core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="No"))))
    tried = core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="dry")), dry_run="All")
    assert tried.metadata.uid
    raises(404, lambda: core.read_namespaced_config_map("dry", NAMESPACE))
    raises(409, lambda: core.delete_namespaced_config_map("typed", NAMESPACE, body=client.V1DeleteOptions(preconditions=client.V1Preconditions(uid="other"))))
    ended = core.delete_namespaced_config_map("typed", NAMESPACE)
    assert (ended["status"] if isinstance(ended, dict) else ended.status) == "Success", ended
    core.delete_collection_namespaced_config_map(NAMESPACE, label_selector="n")
    assert core.list_namespaced_config_map(NAMESPACE, label_selector="n").items == []


@step("patches of all four types, and server-side apply with its conflicts")
def patches():
    core.create_namespaced_config_map(NAMESPACE, client.V1ConfigMap(metadata=client.V1ObjectMeta(name="patched"), data={"a": "1"}))
    patch = lambda body, kind, **more: core.patch_namespaced_config_map("patched", NAMESPACE, body, _content_type=kind, **more)
    assert patch([{"op": "add", "path": "/data/b", "value": "1"}], "application/json-patch+json").data["b"] == "1"
    assert patch({"data": {"a": None}}, "application/merge-patch+json").data == {"b": "1"}
    assert patch({"metadata": {"finalizers": ["example.com/x"]}}, "application/strategic-merge-patch+json").metadata.finalizers
    assert patch({"metadata": {"$deleteFromPrimitiveList/finalizers": ["example.com/x"]}}, "application/strategic-merge-patch+json").metadata.finalizers is None
    raises(422, lambda: patch([{"op": "test", "path": "/data/b", "value": "2"}], "application/json-patch+json"))
    applied = {"apiVersion": "v1", "kind": "ConfigMap", "data": {"c": "1"}}
    apply = "application/apply-patch+yaml"
    owners = {field.manager: field.operation for field in patch(applied, apply, field_manager="one").metadata.managed_fields}
    assert owners["one"] == "Apply", owners
    raises(409, lambda: patch({**applied, "data": {"c": "2"}}, apply, field_manager="two"))
    assert patch({**applied, "data": {"c": "2"}}, apply, field_manager="two", force=True).data["c"] == "2"


@step("a watch resumes from where it was, hears bookmarks, and starts anew after 410")
def watches():
    listed = core.list_namespaced_secret(NAMESPACE)
    for name in ("one", "two"):
        core.create_namespaced_secret(NAMESPACE, client.V1Secret(metadata=client.V1ObjectMeta(name=name), string_data={"a": name}))
    watcher = watch.Watch()
    seen = []
    for event in watcher.stream(core.list_namespaced_secret, NAMESPACE, resource_version=listed.metadata.resource_version, timeout_seconds=60):
        seen.append((event["type"], event["object"].metadata.name))
        break
    core.delete_namespaced_secret("one", NAMESPACE)
    for event in watcher.stream(core.list_namespaced_secret, NAMESPACE, resource_version=watcher.resource_version, timeout_seconds=60):
        seen.append((event["type"], event["object"].metadata.name))
        if len(seen) == 3:
            watcher.stop()
    assert seen == [("ADDED", "one"), ("ADDED", "two"), ("DELETED", "one")], seen
    assert base64.b64decode(core.read_namespaced_secret("two", NAMESPACE).data["a"]) == b"two"
    kinds = []
    options = dict(allow_watch_bookmarks=True, send_initial_events=True, resource_version_match="NotOlderThan", resource_version="0", timeout_seconds=60)
    for event in watch.Watch().stream(core.list_namespaced_secret, NAMESPACE, **options):
        kinds.append((event["type"], event["raw_object"]["metadata"].get("annotations", {}).get("k8s.io/initial-events-end")))
        if kinds[-1][0] == "BOOKMARK":
            break
    assert kinds == [("ADDED", None), ("BOOKMARK", "true")], kinds
    try:
        for event in watch.Watch().stream(core.list_namespaced_secret, NAMESPACE, resource_version="99999999", timeout_seconds=1):
            raise AssertionError(event)
    except ApiException as error:
        assert error.status in (410, 504), error
    ended = list(watch.Watch().stream(core.list_namespaced_secret, NAMESPACE, timeout_seconds=1))
    assert [event["type"] for event in ended] == ["ADDED"], ended


@step("metadata alone and tables are listed")
def projections():
    api = client.ApiClient()

    def call(accept):
        response = api.call_api("GET", f"{api.configuration.host}/api/v1/namespaces/{NAMESPACE}/secrets", header_params={"Accept": accept})
        return json.loads(response.read())

    partial = call("application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1")
    assert partial["kind"] == "PartialObjectMetadataList" and "data" not in partial["items"][0], partial
    table = call("application/json;as=Table;g=meta.k8s.io;v=v1")
    assert [column["name"] for column in table["columnDefinitions"]] == ["Name", "Type", "Data", "Age"], table


@step("a definition is made, and its objects are written by the client of custom objects")
def custom():
    definitions = client.ApiextensionsV1Api()
    definitions.create_custom_resource_definition(DEFINITION)
    eventually(
        lambda: any(c.type == "Established" and c.status == "True" for c in definitions.read_custom_resource_definition(DEFINITION["metadata"]["name"]).status.conditions or [])
    )
    objects = client.CustomObjectsApi()
    where = ("python.example.com", "v1", NAMESPACE, "gadgets")
    gadget = {"apiVersion": "python.example.com/v1", "kind": "Gadget", "metadata": {"name": "g"}, "spec": {"size": 1, "replicas": 1}}
    objects.create_namespaced_custom_object(*where, gadget)
    raises(422, lambda: objects.create_namespaced_custom_object(*where, {**gadget, "metadata": {"name": "h"}, "spec": {"size": 10}}))
    assert objects.patch_namespaced_custom_object(*where, "g", {"spec": {"size": 2}})["spec"] == {"size": 2, "replicas": 1}
    assert objects.patch_namespaced_custom_object_status(*where, "g", {"status": {"replicas": 3}})["status"] == {"replicas": 3}
    assert objects.get_namespaced_custom_object_scale(*where, "g")["status"]["replicas"] == 3
    assert objects.patch_namespaced_custom_object_scale(*where, "g", {"spec": {"replicas": 5}})["spec"]["replicas"] == 5
    assert [item["metadata"]["name"] for item in objects.list_namespaced_custom_object(*where)["items"]] == ["g"]
    assert [item["metadata"]["name"] for item in objects.list_cluster_custom_object("python.example.com", "v1", "gadgets")["items"]] == ["g"]


@step("the dynamic client finds resources, applies, watches and deletes")
def dynamically():
    finder = dynamic.DynamicClient(client.ApiClient())
    gadgets = finder.resources.get(api_version="python.example.com/v1", kind="Gadget")
    found = gadgets.get(name="g", namespace=NAMESPACE)
    assert found.spec.replicas == 5
    body = {"apiVersion": "python.example.com/v1", "kind": "Gadget", "metadata": {"name": "applied"}, "spec": {"size": 4}}
    gadgets.server_side_apply(body, name="applied", namespace=NAMESPACE, field_manager="dynamic")
    try:
        gadgets.server_side_apply({**body, "spec": {"size": 5}}, name="applied", namespace=NAMESPACE, field_manager="other")
        raise AssertionError("no conflict")
    except ConflictError as error:
        assert ".spec.size" in error.summary(), error.summary()
    gadgets.status.patch(name="applied", namespace=NAMESPACE, body={"status": {"phase": "x"}}, content_type="application/merge-patch+json")
    version = gadgets.get(namespace=NAMESPACE).metadata.resourceVersion
    gadgets.delete(name="applied", namespace=NAMESPACE)
    for event in gadgets.watch(namespace=NAMESPACE, resource_version=version, timeout=60):
        assert (event["type"], event["object"].metadata.name) == ("DELETED", "applied"), event
        break
    try:
        gadgets.get(name="applied", namespace=NAMESPACE)
        raise AssertionError("it is still there")
    except NotFoundError:
        pass
    services = finder.resources.get(api_version="v1", kind="Service")
    made = services.create(namespace=NAMESPACE, body={"apiVersion": "v1", "kind": "Service", "metadata": {"name": "dynamic"}, "spec": {"ports": [{"port": 80}]}})
    assert made.spec.clusterIP.startswith("10.")


@step("create_from_yaml makes what a file holds, and apply changes it")
def from_yaml():
    text = """
apiVersion: apps/v1
kind: Deployment
metadata: { name: filed }
spec:
  replicas: 2
  selector: { matchLabels: { app: filed } }
  template:
    metadata: { labels: { app: filed } }
    spec: { terminationGracePeriodSeconds: 0, containers: [{ name: c, image: machine, command: [sleep, "1000"] }] }
---
apiVersion: v1
kind: List
items:
  - { apiVersion: v1, kind: ConfigMap, metadata: { name: listed-1 } }
  - { apiVersion: v1, kind: ConfigMap, metadata: { name: listed-2 } }
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata: { name: filed }
spec: { minAvailable: 1, selector: { matchLabels: { app: filed } } }
"""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        utils.create_from_yaml(client.ApiClient(), file.name, namespace=NAMESPACE)
        try:
            utils.create_from_yaml(client.ApiClient(), file.name, namespace=NAMESPACE)
            raise AssertionError("made twice")
        except utils.FailToCreateError as error:
            assert len(error.api_exceptions) == 1 and error.api_exceptions[0].status == 409 or len(error.api_exceptions) == 4, error
    eventually(lambda: apps.read_namespaced_deployment_status("filed", NAMESPACE).status.available_replicas == 2)
    scale = apps.read_namespaced_deployment_scale("filed", NAMESPACE)
    scale.spec.replicas = 1
    apps.replace_namespaced_deployment_scale("filed", NAMESPACE, scale)
    eventually(lambda: apps.read_namespaced_deployment("filed", NAMESPACE).status.replicas == 1)
    eventually(lambda: client.PolicyV1Api().read_namespaced_pod_disruption_budget("filed", NAMESPACE).status.current_healthy == 1)
    (one,) = core.list_namespaced_pod(NAMESPACE, label_selector="app=filed").items
    eviction = client.V1Eviction(metadata=client.V1ObjectMeta(name=one.metadata.name))
    raises(429, lambda: core.create_namespaced_pod_eviction(one.metadata.name, NAMESPACE, eviction))


@step("logs are read and followed")
def logs():
    core.create_namespaced_pod(NAMESPACE, pod("talker", "sh", "-c", "for i in 1 2 3 4 5; do echo line $i; sleep 0.2; done; sleep 1000"))
    running("talker")
    followed = []
    watcher = watch.Watch()
    for line in watcher.stream(core.read_namespaced_pod_log, "talker", NAMESPACE):
        followed.append(line)
        if line == "line 5":
            watcher.stop()
    assert followed == [f"line {number}" for number in range(1, 6)], followed
    assert core.read_namespaced_pod_log("talker", NAMESPACE, tail_lines=2) == "line 4\nline 5\n"
    assert core.read_namespaced_pod_log("talker", NAMESPACE, limit_bytes=4) == "line"
    assert core.read_namespaced_pod_log("talker", NAMESPACE, timestamps=True, tail_lines=1).split(" ", 1)[1] == "line 5\n"
    raises(400, lambda: core.read_namespaced_pod_log("talker", NAMESPACE, container="none"))


@step("commands run in a pod: their output, their input, their exit code")
def executes():
    run = lambda *command: stream(core.connect_get_namespaced_pod_exec, "talker", NAMESPACE, command=list(command), stderr=True, stdin=False, stdout=True, tty=False)
    assert run("echo", "hello") == "hello\n"
    session = stream(
        core.connect_get_namespaced_pod_exec, "talker", NAMESPACE, command=["sh"], stderr=True, stdin=True, stdout=True, tty=False, _preload_content=False
    )
    session.write_stdin("echo out; echo err >&2; exit 3\n")
    session.run_forever(timeout=60)
    assert (session.read_stdout(), session.read_stderr(), session.returncode) == ("out\n", "err\n", 3), session.returncode
    data = bytes(range(256)) * 1000
    binary = stream(
        core.connect_get_namespaced_pod_exec, "talker", NAMESPACE, command=["head", "-c", str(len(data))], stderr=True, stdin=True, stdout=True, tty=False,
        _preload_content=False, binary=True,
    )
    for start in range(0, len(data), 16384):
        binary.write_stdin(data[start : start + 16384])
    received = b""
    while binary.is_open():
        binary.update(timeout=5)
        received += binary.read_stdout() if binary.peek_stdout() else b""
    assert received == data, len(received)
    try:
        stream(core.connect_get_namespaced_pod_exec, "none", NAMESPACE, command=["true"])
        raise AssertionError("a pod that isn't there")
    except ApiException as error:
        assert "404" in str(error) or error.status == 404, error


@step("attach gives what a container writes and takes what it reads")
def attaches():
    core.create_namespaced_pod(NAMESPACE, pod("echo", "sh", "-c", 'while read line; do echo "heard $line"; done', stdin=True))
    running("echo")
    session = stream(core.connect_get_namespaced_pod_attach, "echo", NAMESPACE, container="c", stderr=True, stdin=True, stdout=True, tty=False, _preload_content=False)
    session.write_stdin("you\n")
    assert session.readline_stdout(timeout=60) == "heard you"
    session.close()


def through(name, path):
    try:
        return core.connect_get_namespaced_pod_proxy_with_path(name, NAMESPACE, path)
    except ApiException as error:
        assert error.status in (500, 502, 503), error


@step("a port is forwarded")
def forwards():
    program = 'require("http").createServer((q, r) => r.end("served " + q.url)).listen(8123)'
    core.create_namespaced_pod(NAMESPACE, pod("server", "node", "-e", program))
    running("server")
    # What a pod serves can be had by the API server's proxy too.
    eventually(lambda: through("server:8123", "y") == "served /y")
    forwarded = portforward(core.connect_get_namespaced_pod_portforward, "server", NAMESPACE, ports="8123,9999")
    end = forwarded.socket(8123)
    end.setblocking(True)
    end.sendall(b"GET /x HTTP/1.0\r\nHost: x\r\n\r\n")
    answer = b""
    while chunk := end.recv(4096):
        answer += chunk
    assert answer.endswith(b"served /x"), (answer, forwarded.error(8123))
    assert "refused" in forwarded.error(9999).lower(), forwarded.error(9999)


def allowed(api):
    try:
        client.CoreV1Api(api).list_namespaced_pod(NAMESPACE)
        return True
    except ApiException as error:
        assert error.status == 403, error
        return False


@step("a token of a service account and a certificate are let in, and allowed what their roles say")
def identities():
    core.create_namespaced_service_account(NAMESPACE, client.V1ServiceAccount(metadata=client.V1ObjectMeta(name="robot")))
    request = client.AuthenticationV1TokenRequest(spec=client.V1TokenRequestSpec(audiences=[], expiration_seconds=600))
    token = core.create_namespaced_service_account_token("robot", NAMESPACE, request).status.token
    rbac = client.RbacAuthorizationV1Api()
    rbac.create_namespaced_role(
        NAMESPACE, client.V1Role(metadata=client.V1ObjectMeta(name="reader"), rules=[client.V1PolicyRule(api_groups=[""], resources=["pods"], verbs=["list"])])
    )
    rbac.create_namespaced_role_binding(
        NAMESPACE,
        client.V1RoleBinding(
            metadata=client.V1ObjectMeta(name="reader"),
            role_ref=client.V1RoleRef(api_group="rbac.authorization.k8s.io", kind="Role", name="reader"),
            subjects=[
                client.RbacV1Subject(kind="ServiceAccount", name="robot", namespace=NAMESPACE),
                client.RbacV1Subject(kind="User", name="anna", api_group="rbac.authorization.k8s.io"),
            ],
        ),
    )
    own = client.Configuration.get_default_copy()
    bearer = client.Configuration()
    bearer.host, bearer.ssl_ca_cert, bearer.api_key = own.host, own.ssl_ca_cert, {"authorization": f"Bearer {token}"}
    robot = client.ApiClient(bearer)
    review = client.AuthenticationV1Api(robot).create_self_subject_review({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"})
    assert review.status.user_info.username == f"system:serviceaccount:{NAMESPACE}:robot"
    eventually(lambda: allowed(robot))
    raises(403, lambda: client.CoreV1Api(robot).list_namespaced_secret(NAMESPACE))
    bearer.api_key = {"authorization": "Bearer " + token[:-4] + "AAAA"}
    raises(401, lambda: client.CoreV1Api(client.ApiClient(bearer)).list_namespaced_pod(NAMESPACE))

    with tempfile.TemporaryDirectory() as folder:
        key, signing, certificate = f"{folder}/key", f"{folder}/csr", f"{folder}/crt"
        subprocess.run(
            ["openssl", "req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", signing, "-subj", "/CN=anna/O=team"], check=True, capture_output=True
        )
        with open(signing, "rb") as file:
            encoded = base64.b64encode(file.read()).decode()
        certificates = client.CertificatesV1Api()
        spec = client.V1CertificateSigningRequestSpec(request=encoded, signer_name="kubernetes.io/kube-apiserver-client", usages=["client auth"])
        made = certificates.create_certificate_signing_request(client.V1CertificateSigningRequest(metadata=client.V1ObjectMeta(name="anna"), spec=spec))
        made.status.conditions = [client.V1CertificateSigningRequestCondition(type="Approved", status="True", reason="Test", message="yes")]
        certificates.replace_certificate_signing_request_approval("anna", made)
        issued = eventually(lambda: certificates.read_certificate_signing_request("anna").status.certificate)
        with open(certificate, "wb") as file:
            file.write(base64.b64decode(issued))
        by_certificate = client.Configuration()
        by_certificate.host, by_certificate.ssl_ca_cert, by_certificate.cert_file, by_certificate.key_file = own.host, own.ssl_ca_cert, certificate, key
        anna = client.ApiClient(by_certificate)
        user = client.AuthenticationV1Api(anna).create_self_subject_review({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"}).status.user_info
        assert (user.username, "team" in user.groups) == ("anna", True), user
        assert allowed(anna)
        raises(403, lambda: client.CoreV1Api(anna).list_namespaced_secret(NAMESPACE))
        certificates.delete_certificate_signing_request("anna")


@step("of two candidates one leads, and the other when it is gone")
def elections():
    led = queue.Queue()

    class Ended(Exception):
        pass

    def lead(name, lock):
        class Lock(lock):
            stopped = False

            def update(self, *arguments):
                if self.stopped:
                    raise Ended
                return super().update(*arguments)

        held = Lock("election", NAMESPACE, name)

        def begin():
            led.put(name)
            if name == "first":
                time.sleep(1)
                held.stopped = True

        def work():
            try:
                leaderelection.LeaderElection(
                    electionconfig.Config(held, lease_duration=3, renew_deadline=2, retry_period=1, onstarted_leading=begin, onstopped_leading=lambda: None)
                ).run()
            except Ended:
                pass

        threading.Thread(target=work, daemon=True).start()

    try:
        from kubernetes.leaderelection.resourcelock.leaselock import LeaseLock as lock
    except ImportError:
        from kubernetes.leaderelection.resourcelock.configmaplock import ConfigMapLock as lock
    lead("first", lock)
    assert led.get(timeout=60) == "first"
    lead("second", lock)
    assert led.get(timeout=60) == "second"


@step("what was made goes with its namespace")
def away():
    core.delete_namespace(NAMESPACE)
    client.ApiextensionsV1Api().delete_custom_resource_definition(DEFINITION["metadata"]["name"])

    def gone():
        try:
            core.read_namespace(NAMESPACE)
        except ApiException as error:
            return error.status == 404

    eventually(gone, 30)
