/**
 * The images that upstream's tests name, made here: agnhost and the sample API server are upstream's own programs, built from upstream's sources; around them
 * is busybox instead of Alpine, with the machine's curl, dig and nc. A web server that only has to run is busybox's own.
 */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync, realpathSync } from "node:fs";
import { join } from "node:path";
import { type Image, tar as layer, type TarEntry } from "../../src/kubelet/images/oci-archive.ts";
import { selfMade } from "../../src/cli/certificates.ts";
import type { World } from "../../src/world/world.ts";
import { archiveOf, busyboxLayer } from "../../src/testing/images.ts";

const TESTS = "registry.k8s.io/e2e-test-images";
const architecture = process.arch === "arm64" ? "arm64" : "amd64";
/** What images have that the machine has: upstream's bring the same programs. */
const PROGRAMS = ["bash", "curl", "dig", "nc", "getent", "stat", "printenv"];

/** An archive of all images that can be made of the programs in a folder. */
export async function imagesOf(world: Pick<World, "clock" | "random">, programs: string): Promise<Uint8Array> {
  const read = (name: string) => readFileSync(join(programs, name));
  const file = (path: string, data: Uint8Array): TarEntry => ({ path, data, mode: 0o755 });
  const users: readonly TarEntry[] = [
    {
      path: "etc/passwd",
      data: Buffer.from(
        "root:x:0:0:root:/root:/bin/sh\nuser-defined-in-image:x:1000:1000::/home:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
      ),
    },
    {
      path: "etc/group",
      data: Buffer.from(
        "root:x:0:\nuser-defined-in-image:x:1000:\ngroup-defined-in-image:x:50000:user-defined-in-image\nnogroup:x:65534:\n",
      ),
    },
    { path: "etc/nsswitch.conf", data: Buffer.from("hosts: files dns\n") },
  ];
  const Env = ["PATH=/usr/local/bin:/usr/bin:/bin:/"];
  // Busybox's own shell passes on no variable whose name it could not set.
  const shell = existsSync("/usr/bin/bash")
    ? [...withLibraries(["bash"]), { path: "bin/sh", linkTo: "../usr/bin/bash" }]
    : [];
  const base = busyboxLayer([...users, ...shell]);
  const tools = busyboxLayer([
    ...users,
    ...shell,
    ...withLibraries(PROGRAMS),
    { path: "uploads", dir: true, mode: 0o1777 },
    { path: "var", dir: true },
    { path: "var/tmp", dir: true, mode: 0o1777 },
  ]);
  const { cert, key } = await selfMade(world, "conformance", ["localhost"], 1);
  const agnhost = layer([
    file("agnhost", read("agnhost")),
    { path: "agnhost-2", linkTo: "agnhost" },
    { path: "localhost.crt", data: Buffer.from(cert) },
    { path: "localhost.key", data: Buffer.from(key) },
  ]);
  const image = (names: readonly string[], layers: readonly Uint8Array[], config: Image["config"]): Image => ({
    names: names.map((name) => (name.includes(".io/") ? name : `${TESTS}/${name}`)),
    architecture,
    layers,
    config: { Env, ...config },
  });
  const pages = layer([
    { path: "usr/share", dir: true },
    { path: "usr/share/nginx", dir: true },
    { path: "usr/share/nginx/html", dir: true },
    { path: "usr/share/nginx/html/index.html", data: Buffer.from("<h1>Welcome to nginx!</h1>\n") },
  ]);
  const web = ["/bin/busybox", "httpd", "-f", "-p", "80", "-h", "/usr/share/nginx/html"];
  const images = [
    image(["agnhost:2.63.0", "agnhost:2.55", "glibc-dns-testing:2.0.0"], [tools, agnhost], {
      Entrypoint: ["/agnhost"],
      Cmd: ["pause"],
    }),
    ...["nautilus", "kitten"].map(
      (name) =>
      image([`${name}:1.8`], [base, agnhost, layer([{ path: "data.json", data: Buffer.from(`{"image": "${name}.jpg"}`) }])], { Entrypoint: ["/agnhost"], Cmd: ["test-webserver"] }), // prettier-ignore
    ),
    image(["busybox:1.37.0-1"], [base], { Cmd: ["sh"] }),
    image(["nonroot:1.5"], [base], { Cmd: ["sh"], User: "1234" }),
    image(["nginx:1.15-4", "nginx:1.27-0"], [base, pages], { Cmd: web, ExposedPorts: { "80/tcp": {} } }),
    image(["registry.k8s.io/pause:3.10.2"], [base, agnhost], { Entrypoint: ["/agnhost", "pause"] }),
  ];
  if (existsSync(join(programs, "nonewprivs")))
    images.push(
      image(["nonewprivs:1.4"], [base, layer([...["usr/local", "usr/local/bin"].map((path) => ({ path, dir: true })), { ...file("usr/local/bin/nnp", read("nonewprivs")), mode: 0o6755 }])], { Cmd: ["nnp"] }), // prettier-ignore
    );
  if (existsSync(join(programs, "sample-apiserver")))
    images.push(
      image(["sample-apiserver:1.29.2"], [base, layer([file("sample-apiserver", read("sample-apiserver"))])], {
        Entrypoint: ["/sample-apiserver"],
      }),
      image(["registry.k8s.io/etcd:3.6.8-0"], [base, layer([{ path: "usr/local", dir: true }, { path: "usr/local/bin", dir: true }, file("usr/local/bin/etcd", read("etcd"))])], {}), // prettier-ignore
    );
  return archiveOf(...images);
}

/** The machine's programs where it has them, and the libraries they load. */
function withLibraries(names: readonly string[]): readonly TarEntry[] {
  const found = names.map((name) => `/usr/bin/${name}`).filter((path) => existsSync(path));
  const libraries = new Set<string>();
  for (const path of found)
    for (const [library] of execFileSync("ldd", [path], { encoding: "utf8" }).matchAll(/\/\S+/g))
      libraries.add(library);
  const folders = new Set<string>();
  for (const path of libraries)
    for (let at = path.indexOf("/", 1); at > 0; at = path.indexOf("/", at + 1)) folders.add(path.slice(1, at));
  return [
    ...[...folders].filter((path) => path !== "usr").map((path) => ({ path, dir: true })),
    ...[...libraries].map((path) => ({ path: path.slice(1), data: readFileSync(realpathSync(path)), mode: 0o755 })),
    ...found.map((path) => ({ path: path.slice(1), data: readFileSync(realpathSync(path)), mode: 0o755 })),
  ];
}
