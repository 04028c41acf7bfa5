/** Images for tests, made from the machine's static busybox: no registry, no build tool. */
import { execFileSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import { type Image, ociArchive, tar, type TarEntry } from "../kubelet/images/oci-archive.ts";

const BUSYBOX = "/bin/busybox";

/** Why test images can't be made here, or undefined. */
export function noImages(): string | undefined {
  return existsSync(BUSYBOX) || existsSync("/usr/bin/busybox")
    ? undefined
    : "no static busybox to make images from (apt-get install busybox-static)";
}

/** Files of a small userland: busybox under all its names, users, a tmp folder. */
export function busyboxLayer(extra: readonly TarEntry[] = []): Uint8Array {
  const program = existsSync(BUSYBOX) ? BUSYBOX : "/usr/bin/busybox";
  const applets = execFileSync(program, ["--list"], { encoding: "utf8" }).trim().split("\n");
  return tar([
    ...["bin", "etc", "home", "proc", "root", "sys", "usr", "usr/bin", "var", "var/run", "www"].map((path) => ({
      path,
      dir: true,
    })),
    { path: "tmp", dir: true, mode: 0o1777 },
    { path: "bin/busybox", data: readFileSync(program), mode: 0o755 },
    ...applets.filter((name) => name !== "busybox").map((name) => ({ path: `bin/${name}`, linkTo: "busybox" })),
    {
      path: "etc/passwd",
      data: Buffer.from("root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/home:/bin/false\n"),
    },
    { path: "etc/group", data: Buffer.from("root:x:0:\nnogroup:x:65534:\n") },
    ...extra,
  ]);
}

const architecture = process.arch === "arm64" ? "arm64" : "amd64";

/** `docker.io/library/busybox:1.36`: a shell. */
export function busyboxImage(...names: readonly string[]): Image {
  return { names, architecture, layers: [busyboxLayer()], config: { Cmd: ["sh"], Env: ["PATH=/bin:/usr/bin"] } };
}

/** A web server on port 80 that answers every path of its folder, and `/` with `text`. */
export function webImage(text: string, ...names: readonly string[]): Image {
  const layer = busyboxLayer([{ path: "www/index.html", data: Buffer.from(text) }]);
  return {
    names,
    architecture,
    layers: [layer],
    config: {
      Entrypoint: ["/bin/busybox", "httpd", "-f", "-v", "-p", "80", "-h", "/www"],
      Env: ["PATH=/bin:/usr/bin"],
      ExposedPorts: { "80/tcp": {} },
      StopSignal: "SIGTERM",
    },
  };
}

export function archiveOf(...images: readonly Image[]): Uint8Array {
  return ociArchive(images);
}
