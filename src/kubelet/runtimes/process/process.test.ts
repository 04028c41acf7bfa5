import assert from "node:assert/strict";
import { test } from "node:test";
import { ownerOf } from "./identity.ts";
import { capabilitiesOf, parseStat, startError } from "./launch.ts";
import { freeAddress, hostPortRule } from "./network.ts";

const passwd = "root:x:0:0:root:/root:/bin/sh\nweb:x:33:44:web:/www:/bin/false\n";
const group = "root:x:0:\nweb:x:44:\nlogs:x:55:web,other\n";
const nobody = { uid: undefined, gid: undefined, username: "", imageUser: "", supplementalGroups: [] };

for (const [name, wanted, expected] of [
  ["nobody in particular", {}, undefined],
  ["a user by number", { uid: 7 }, { uid: 7, gid: 0, groups: [] }],
  ["a user with a line in passwd", { uid: 33 }, { uid: 33, gid: 44, groups: [55] }],
  ["a user and a group", { uid: 33, gid: 9 }, { uid: 33, gid: 9, groups: [55] }],
  ["a user by name", { username: "web" }, { uid: 33, gid: 44, groups: [55] }],
  ["the image's user", { imageUser: "web" }, { uid: 33, gid: 44, groups: [55] }],
  ["the image's user and group by name", { imageUser: "web:logs" }, { uid: 33, gid: 55, groups: [55] }],
  ["the image's user and group by number", { imageUser: "5:6" }, { uid: 5, gid: 6, groups: [] }],
  ["the security context before the image", { uid: 1, imageUser: "web:logs" }, { uid: 1, gid: 0, groups: [] }],
  ["groups besides", { uid: 33, supplementalGroups: [55, 2000] }, { uid: 33, gid: 44, groups: [55, 2000] }],
] as const)
  test(`a container runs as ${name}`, () =>
    assert.deepEqual(ownerOf({ ...nobody, ...wanted }, passwd, group), expected));

test("a user that the image doesn't know is an error", () => {
  assert.throws(
    () => ownerOf({ ...nobody, imageUser: "who" }, passwd, group),
    /unable to find user who: no matching entries in passwd file/,
  );
});

test("an address is free, in the subnet, and later than the last one until the end of it", () => {
  const next = (taken: readonly string[], after?: string) => freeAddress("10.1.2.0/29", new Set(taken), after);
  assert.equal(next([]), "10.1.2.2");
  assert.equal(next(["10.1.2.2"]), "10.1.2.3");
  assert.equal(next([], "10.1.2.4"), "10.1.2.5");
  assert.equal(next([], "10.1.2.6"), "10.1.2.2", "the broadcast address is nobody's");
  assert.equal(next(["10.1.2.2", "10.1.2.3", "10.1.2.4", "10.1.2.5", "10.1.2.6"]), undefined);
});

test("a process is known by its pid and its start, whatever its name", () => {
  const fields = Array.from({ length: 30 }, (_, i) => String(i + 4)).join(" ");
  assert.deepEqual(parseStat(`123 (a) b (c) S ${fields}`), { pid: 123, group: 5, started: "22" });
  assert.deepEqual(parseStat("123"), { pid: 123, group: 0, started: "" });
});

test("a command that never ran is told from one that failed", () => {
  const missing = "unshare: failed to execute web: No such file or directory\n";
  assert.match(startError(127, missing, ["web"])!, /exec: "web": executable file not found in \$PATH$/);
  assert.match(
    startError(126, "unshare: failed to execute /a: Permission denied\n", ["/a"])!,
    /"\/a": permission denied$/,
  );
  assert.equal(startError(127, "sh: web: not found\n", ["web"]), undefined);
  assert.equal(startError(3, missing, ["web"]), undefined);
});

test("capabilities are the usual ones, with what is added and without what is dropped", () => {
  assert.equal(capabilitiesOf([], [])!.length, 14);
  assert.ok(capabilitiesOf(["NET_ADMIN"], [])!.includes("net_admin"));
  assert.ok(!capabilitiesOf([], ["CAP_KILL"])!.includes("kill"));
  assert.deepEqual(capabilitiesOf(["NET_BIND_SERVICE"], ["ALL"]), [
    "net_bind_service",
    "setgid",
    "setuid",
    "sys_chroot",
  ]);
  assert.equal(capabilitiesOf(["ALL"], []), undefined);
});

test("a port of the node leads to its pod", () => {
  const port = { protocol: "TCP", container_port: 80, host_port: 8080, host_ip: "" };
  assert.equal(
    hostPortRule("t8s-1", "10.1.2.3", port).join(" "),
    "-p tcp --dport 8080 -m comment --comment t8s-1 -j DNAT --to-destination 10.1.2.3:80",
  );
  assert.match(
    hostPortRule("t8s-1", "10.1.2.3", { ...port, host_ip: "10.0.0.9" }).join(" "),
    /^-p tcp -d 10\.0\.0\.9 --dport/,
  );
});
