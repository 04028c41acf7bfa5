"""pykube-ng: queries, updates by patches, scaling, watches, logs, custom objects by their factory."""
import pykube

from steps import eventually, step

NAMESPACE = "python-pykube"


@step("pykube-ng: queries, updates, scaling, a watch, logs")
def session():
    api = pykube.HTTPClient(pykube.KubeConfig.from_env())
    namespace = pykube.Namespace(api, {"metadata": {"name": NAMESPACE}})
    namespace.create()
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [{"name": "c", "image": "machine", "command": ["sh", "-c", "echo up; sleep 1000"]}]},
    }
    web = pykube.Deployment(api, {"metadata": {"name": "web", "namespace": NAMESPACE}, "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template}})
    web.create()
    eventually(lambda: (web.reload(), web.obj.get("status", {}).get("availableReplicas") == 1)[1])
    web.scale(2)
    pods = pykube.Pod.objects(api, namespace=NAMESPACE)
    eventually(lambda: len([pod for pod in pods.filter(selector={"app__in": {"web"}}, field_selector={"status.phase": "Running"})]) == 2)
    eventually(lambda: [pod.logs() for pod in pods] == ["up\n", "up\n"])
    web.reload()
    web.annotations["x"] = "y"
    web.update()
    web.patch({"metadata": {"labels": {"a": "b"}}})
    assert pykube.Deployment.objects(api, namespace=NAMESPACE).get_by_name("web").labels == {"a": "b"}
    seen = pykube.ConfigMap.objects(api, namespace=NAMESPACE).filter(field_selector={"metadata.name": "c"}).watch()
    pykube.ConfigMap(api, {"metadata": {"name": "c", "namespace": NAMESPACE}, "data": {"a": "1"}}).create()
    event = next(iter(seen))
    assert (event.type, event.object.name) == ("ADDED", "c")
    Lease = pykube.object_factory(api, "coordination.k8s.io/v1", "Lease")
    Lease(api, {"metadata": {"name": "l", "namespace": NAMESPACE}, "spec": {}}).create()
    assert Lease.objects(api, namespace=NAMESPACE).get(name="l").exists()
    web.delete(propagation_policy="Foreground")
    namespace.delete()
