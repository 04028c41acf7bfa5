"""kr8s: objects, waits, scaling, exec, logs, port forwards, watches, custom objects."""
import httpx
import kr8s
from kr8s.objects import ConfigMap, Deployment, Namespace, Pod, new_class

from steps import eventually, step

NAMESPACE = "python-kr8s"


@step("kr8s: objects, waits, scaling, exec, logs, a port forward, tables")
def session():
    api = kr8s.api(namespace=NAMESPACE)
    assert api.version()["minor"] == "36"
    Namespace({"metadata": {"name": NAMESPACE}}).create()
    template = {
        "metadata": {"labels": {"app": "web"}},
        "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [
                {
                    "name": "c",
                    "image": "machine",
                    "command": ["node", "-e", 'console.log("up"); require("http").createServer((q, r) => r.end("served")).listen(8080)'],
                    "ports": [{"containerPort": 8080}],
                    "readinessProbe": {"tcpSocket": {"port": 8080}, "periodSeconds": 1},
                }
            ],
        },
    }
    web = Deployment({"metadata": {"name": "web", "namespace": NAMESPACE}, "spec": {"selector": {"matchLabels": {"app": "web"}}, "template": template}})
    web.create()
    web.wait("condition=Available", timeout=60)
    web.scale(2)
    web.wait("jsonpath='{.status.availableReplicas}'=2", timeout=60)
    pod = next(iter(web.pods()))
    assert pod.ready()
    assert pod.exec(["echo", "hello"]).stdout == b"hello\n"
    eventually(lambda: list(pod.logs()) == ["up"])
    with pod.portforward(8080, local_port="auto") as port:
        assert httpx.get(f"http://127.0.0.1:{port}").text == "served"
    web.label(a="b")
    web.annotate({"x": "y"})
    assert Deployment.get("web", namespace=NAMESPACE).labels["a"] == "b"
    config = ConfigMap({"metadata": {"name": "c", "namespace": NAMESPACE}, "data": {"a": "1"}})
    config.create()
    config.patch({"data": {"a": "2"}})
    config.patch([{"op": "add", "path": "/data/b", "value": "3"}], type="json")
    assert config.data == {"a": "2", "b": "3"}
    assert config.exists()
    Lease = new_class("Lease", "coordination.k8s.io/v1", namespaced=True)
    Lease({"metadata": {"name": "l", "namespace": NAMESPACE}, "spec": {}}).create()
    assert [lease.name for lease in kr8s.get("leases.coordination.k8s.io", namespace=NAMESPACE)] == ["l"]
    config.delete()
    config.wait("delete", timeout=60)
    web.delete(propagation_policy="Foreground")
    Namespace.get(NAMESPACE).delete()
