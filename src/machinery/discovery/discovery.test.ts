import assert from "node:assert/strict";
import { existsSync, readFileSync } from "node:fs";
import { test } from "node:test";
import { builtinResources } from "../../api/index.ts";
import { aggregatedDiscovery } from "./aggregated.ts";
import { compareVersions, groupsOf } from "./groups.ts";
import { apiGroupList, apiResourceList } from "./legacy.ts";

const golden = `${process.env["T8S_PEER_DATA"] ?? "../shared/peer-data"}/discovery/aggregated_v2.json`;

test(
  "the document for /apis is upstream's",
  { skip: existsSync(golden) ? false : "no golden file: set T8S_PEER_DATA" },
  () => {
    const ours = aggregatedDiscovery(groupsOf(builtinResources), "/apis");
    const theirs = JSON.parse(readFileSync(golden, "utf8"));
    assert.deepEqual(
      ours.items.map((item) => item.metadata.name),
      theirs.items.map((item: any) => item.metadata.name),
    );
    assert.deepEqual(JSON.parse(JSON.stringify(ours.items)), theirs.items);
  },
);

test("versions are ordered by stage, then number", () => {
  const versions = ["v1alpha1", "foo", "v1", "v2beta1", "v11alpha2", "v2", "v1beta2", "bar", "v10"];
  assert.deepEqual(versions.sort(compareVersions), [
    "v10",
    "v2",
    "v1",
    "v2beta1",
    "v1beta2",
    "v11alpha2",
    "v1alpha1",
    "bar",
    "foo",
  ]);
});

test("the old documents say the same", () => {
  const groups = groupsOf(builtinResources);
  const list = apiGroupList(groups);
  assert.equal(list.groups[0]!.name, "apiregistration.k8s.io");
  assert.equal(list.groups.find(({ name }) => name === "autoscaling")!.preferredVersion.version, "v2");
  const core = apiResourceList("", "v1", groups.find(({ name }) => name === "")!.versions[0]!.resources);
  assert.equal(core.groupVersion, "v1");
  const pods = core.resources.find(({ name }) => name === "pods")!;
  assert.deepEqual([pods.singularName, pods.storageVersionHash, pods.shortNames], ["pod", "xPOwRZ+Yhw8=", ["po"]]);
  const eviction = core.resources.find(({ name }) => name === "pods/eviction")!;
  assert.deepEqual(
    [eviction.group, eviction.version, eviction.kind, eviction.verbs],
    ["policy", "v1", "Eviction", ["create"]],
  );
  assert.equal(core.resources.find(({ name }) => name === "services")!.storageVersionHash, "0/CO1lhkEBI=");
  assert.equal("group" in core.resources.find(({ name }) => name === "pods/binding")!, false);
});
