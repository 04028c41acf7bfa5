"""kopf: an operator with handlers of creation, change and deletion, finalizers and annotations of its own, at work on a definition."""
import asyncio
import threading

import kopf
from kubernetes import client, config

from steps import eventually, step

NAMESPACE = "python-kopf"
config.load_kube_config()
core, objects = client.CoreV1Api(), client.CustomObjectsApi()
GROUP, PLURAL = "kopf.example.com", "boxes"


@kopf.on.startup()
def configure(settings, **_):
    settings.posting.enabled = True


@kopf.on.create(GROUP, "v1", PLURAL)
def created(spec, body, name, namespace, **_):
    child = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"size": str(spec["size"])}}
    kopf.adopt(child)
    kopf.info(body, reason="Packed", message="It is made.")
    core.create_namespaced_config_map(namespace, child)
    return {"made": name}


@kopf.on.update(GROUP, "v1", PLURAL, field="spec.size")
def changed(new, name, namespace, **_):
    core.patch_namespaced_config_map(name, namespace, {"data": {"size": str(new)}})


@kopf.on.delete(GROUP, "v1", PLURAL)
def deleted(name, namespace, **_):
    core.create_namespaced_config_map(namespace, {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": f"{name}-was"}})


@step("kopf: an operator makes, changes and lets go, with status, events, finalizers and owners")
def session():
    schema = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}
    definition = {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {"plural": PLURAL, "singular": "box", "kind": "Box"},
            "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema}}],
        },
    }
    client.ApiextensionsV1Api().create_custom_resource_definition(definition)
    core.create_namespace({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    stop, ready = threading.Event(), threading.Event()
    operator = threading.Thread(
        target=lambda: asyncio.run(kopf.operator(namespaces=[NAMESPACE], standalone=True, stop_flag=stop, ready_flag=ready)), daemon=True
    )
    operator.start()
    assert ready.wait(60)
    where = (GROUP, "v1", NAMESPACE, PLURAL)
    objects.create_namespaced_custom_object(*where, {"apiVersion": f"{GROUP}/v1", "kind": "Box", "metadata": {"name": "b"}, "spec": {"size": 1}})
    size = lambda: next((item.data["size"] for item in core.list_namespaced_config_map(NAMESPACE, field_selector="metadata.name=b").items), None)
    eventually(lambda: size() == "1")
    box = eventually(lambda: (found := objects.get_namespaced_custom_object(*where, "b")).get("status") and found)
    assert box["status"] == {"created": {"made": "b"}} and box["metadata"]["finalizers"] == ["kopf.zalando.org/KopfFinalizerMarker"], box
    assert core.read_namespaced_config_map("b", NAMESPACE).metadata.owner_references[0].kind == "Box"
    objects.patch_namespaced_custom_object(*where, "b", {"spec": {"size": 2}})
    eventually(lambda: size() == "2")
    eventually(lambda: any((event.involved_object.kind, event.reason) == ("Box", "Packed") for event in core.list_namespaced_event(NAMESPACE).items))
    objects.delete_namespaced_custom_object(*where, "b")
    eventually(lambda: core.list_namespaced_config_map(NAMESPACE, field_selector="metadata.name=b-was").items)
    eventually(lambda: objects.list_namespaced_custom_object(*where)["items"] == [])
    # Its owner has gone: so does the child, once the garbage collector has found the new kind; it looks every 30 seconds, as upstream's.
    eventually(lambda: size() is None, 90)
    stop.set()
    operator.join(10)
    core.delete_namespace(NAMESPACE)
    client.ApiextensionsV1Api().delete_custom_resource_definition(f"{PLURAL}.{GROUP}")
