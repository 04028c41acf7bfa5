"""kubernetes_asyncio: typed objects, a watch, exec over a WebSocket, the dynamic client."""
import asyncio

from kubernetes_asyncio import client, config, dynamic, watch
from kubernetes_asyncio.client.exceptions import ApiException
from kubernetes_asyncio.stream import WsApiClient

from steps import step

NAMESPACE = "python-asyncio"


@step("kubernetes_asyncio: objects, a watch, server-side apply, logs, exec, the dynamic client")
async def session():
    await config.load_kube_config()
    async with client.ApiClient() as api:
        core = client.CoreV1Api(api)
        await core.create_namespace({"metadata": {"name": NAMESPACE}})
        made = await core.create_namespaced_config_map(NAMESPACE, {"metadata": {"name": "one"}, "data": {"a": "1"}})

        async def hear():
            seen = []
            async with watch.Watch() as watcher:
                options = dict(resource_version=made.metadata.resource_version, timeout_seconds=60)
                async for event in watcher.stream(core.list_namespaced_config_map, NAMESPACE, field_selector="metadata.name=one", **options):
                    seen.append((event["type"], event["object"].data))
                    if event["type"] == "DELETED":
                        break
            return seen

        hearing = asyncio.create_task(hear())
        await core.patch_namespaced_config_map("one", NAMESPACE, {"data": {"a": "2"}})
        applied = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one"}, "data": {"b": "1"}}
        await core.patch_namespaced_config_map("one", NAMESPACE, applied, field_manager="asyncio", _content_type="application/apply-patch+yaml")
        await core.delete_namespaced_config_map("one", NAMESPACE)
        assert await hearing == [("MODIFIED", {"a": "2"}), ("MODIFIED", {"a": "2", "b": "1"}), ("DELETED", {"a": "2", "b": "1"})]
        try:
            await core.read_namespaced_config_map("one", NAMESPACE)
            raise AssertionError("it is still there")
        except ApiException as error:
            assert error.status == 404

        container = {"name": "c", "image": "machine", "command": ["sh", "-c", "echo ready; sleep 1000"]}
        await core.create_namespaced_pod(NAMESPACE, {"metadata": {"name": "p"}, "spec": {"containers": [container], "terminationGracePeriodSeconds": 0}})
        async with watch.Watch() as watcher:
            async for event in watcher.stream(core.list_namespaced_pod, NAMESPACE, timeout_seconds=60):
                if event["object"].status.phase == "Running":
                    break
        async with watch.Watch() as watcher:
            async for line in watcher.stream(core.read_namespaced_pod_log, "p", NAMESPACE):
                assert line.strip() == "ready", line
                break
        async with WsApiClient() as ws:
            said = await client.CoreV1Api(ws).connect_get_namespaced_pod_exec(
                "p", NAMESPACE, command=["echo", "hello"], stderr=True, stdin=False, stdout=True, tty=False
            )
            assert said == "hello\n", said
        finder = await dynamic.DynamicClient(api)
        leases = await finder.resources.get(api_version="coordination.k8s.io/v1", kind="Lease")
        await leases.create(namespace=NAMESPACE, body={"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "l"}})
        assert [item.metadata.name for item in (await leases.get(namespace=NAMESPACE)).items] == ["l"]
        await core.delete_namespace(NAMESPACE)
