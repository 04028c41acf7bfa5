"""lightkube: typed and generic resources, server-side apply, watches and waits, logs."""
from lightkube import ApiError, Client
from lightkube.generic_resource import create_namespaced_resource
from lightkube.models.core_v1 import Container, PodSpec, ServicePort, ServiceSpec
from lightkube.models.meta_v1 import ObjectMeta
from lightkube.resources.apps_v1 import Deployment
from lightkube.resources.core_v1 import ConfigMap, Namespace, Pod, Service
from lightkube.types import CascadeType, PatchType
from lightkube import codecs

from steps import eventually, step

NAMESPACE = "python-lightkube"
MANIFEST = """
apiVersion: apps/v1
kind: Deployment
metadata: { name: web }
spec:
  replicas: 1
  selector: { matchLabels: { app: web } }
  template:
    metadata: { labels: { app: web } }
    spec: { terminationGracePeriodSeconds: 0, containers: [{ name: c, image: machine, command: [sh, -c, "echo up; sleep 1000"] }] }
"""


@step("lightkube: objects, patches, apply and its conflicts, generic resources, a scale, waits, logs")
def session():
    client = Client(field_manager="lightkube", namespace=NAMESPACE)
    client.create(Namespace(metadata=ObjectMeta(name=NAMESPACE)))
    made = client.create(ConfigMap(metadata=ObjectMeta(name="c", labels={"a": "b"}), data={"x": "1"}))
    made.data["x"] = "2"
    assert client.replace(made).data["x"] == "2"
    assert client.patch(ConfigMap, "c", {"data": {"y": "1"}}, patch_type=PatchType.MERGE).data == {"x": "2", "y": "1"}
    assert [item.metadata.name for item in client.list(ConfigMap, labels={"a": ["b", "c"]})] == ["c"]
    assert len(list(client.list(ConfigMap, namespace="*", chunk_size=1))) > 1
    client.apply(ConfigMap(metadata=ObjectMeta(name="c"), data={"z": "1"}))
    try:
        client.apply(ConfigMap(metadata=ObjectMeta(name="c"), data={"z": "2"}), field_manager="other")
        raise AssertionError("no conflict")
    except ApiError as error:
        assert error.status.code == 409 and error.status.reason == "Conflict", error.status
    client.apply(ConfigMap(metadata=ObjectMeta(name="c"), data={"z": "2"}), field_manager="other", force=True)
    for deployment in codecs.load_all_yaml(MANIFEST):
        client.apply(deployment)
    client.wait(Deployment, "web", for_conditions=["Available"])
    client.apply(Service(metadata=ObjectMeta(name="web"), spec=ServiceSpec(ports=[ServicePort(port=80)], selector={"app": "web"})))
    scale = client.get(Deployment.Scale, "web")
    scale.spec.replicas = 2
    # Of no version: the controller may have written the deployment's status since.
    scale.metadata.resourceVersion = None
    client.replace(scale, "web")
    for kind, deployment in client.watch(Deployment, fields={"metadata.name": "web"}):
        if deployment.status.availableReplicas == 2:
            break
    pod = next(iter(client.list(Pod, labels={"app": "web"})))
    eventually(lambda: list(client.log(pod.metadata.name)) == ["up\n"])
    Lease = create_namespaced_resource("coordination.k8s.io", "v1", "Lease", "leases")
    client.create(Lease(metadata={"name": "l"}, spec={"holderIdentity": "me"}))
    assert client.get(Lease, "l").spec["holderIdentity"] == "me"
    client.deletecollection(Lease)
    client.delete(Deployment, "web", cascade=CascadeType.FOREGROUND)
    client.delete(Namespace, NAMESPACE)
