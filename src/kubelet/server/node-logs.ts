/** The machine's folder of logs, as a web server shows it. Upstream: pkg/kubelet/kubelet.go (ServeLogs), Go's net/http (FileServer) */
import type { Exchange } from "../../world/net.ts";
import type { World } from "../../world/world.ts";

const TEXT = { "content-type": "text/plain; charset=utf-8" };
const HTML = { "content-type": "text/html; charset=utf-8" };
const BLOCK = 64 * 1024;

/** `path` is what follows `/logs`, decoded, and begins with a slash. */
export async function serveNodeLogs(
  { fs }: Pick<World, "fs">,
  folder: string,
  exchange: Exchange,
  path: string,
): Promise<void> {
  const missing = () => exchange.respond(404, TEXT, "404 page not found\n");
  if (path.includes("\0")) return missing();
  const parts = tidy(path);
  const place = [folder, ...parts].join("/");
  const stat = await fs.stat(place).catch(() => undefined);
  if (stat === undefined || (stat.kind !== "dir" && stat.kind !== "file")) return missing();
  const isFolderAsked = path.endsWith("/");
  if (stat.kind === "dir") {
    if (!isFolderAsked) return exchange.respond(301, { location: `${encodeURIComponent(parts.at(-1) ?? "logs")}/` });
    return exchange.respond(200, HTML, await listing({ fs }, place));
  }
  if (isFolderAsked) return exchange.respond(301, { location: `../${encodeURIComponent(parts.at(-1)!)}` });
  const file = await fs.open(place, {});
  try {
    const response = exchange.stream(200, { ...TEXT, "content-length": String(stat.sizeBytes) });
    // No more than was promised, should it grow meanwhile.
    for (let at = 0; at < stat.sizeBytes;) {
      const chunk = await file.read(at, Math.min(BLOCK, stat.sizeBytes - at));
      if (chunk.length === 0) return response.destroy();
      at += chunk.length;
      if (!response.write(chunk)) await response.drained;
      if (exchange.request.signal.aborted) return;
    }
    response.end();
  } finally {
    await file.close();
  }
}

/** Nothing leads out of the folder. */
function tidy(path: string): readonly string[] {
  const parts: string[] = [];
  for (const part of path.split("/")) {
    if (part === "..") parts.pop();
    else if (part !== "" && part !== ".") parts.push(part);
  }
  return parts;
}

async function listing({ fs }: Pick<World, "fs">, place: string): Promise<string> {
  const lines: string[] = [];
  for (const name of await fs.list(place)) {
    const isFolder = (await fs.lstat(`${place}/${name}`).catch(() => undefined))?.kind === "dir";
    const shown = isFolder ? `${name}/` : name;
    const link = shown.split("/").map(encodeURIComponent).join("/");
    lines.push(`<a href="${link.includes(":") ? "./" : ""}${link}">${escaped(shown)}</a>\n`);
  }
  return `<!doctype html>\n<meta name="viewport" content="width=device-width">\n<pre>\n${lines.join("")}</pre>\n`;
}

const SPECIAL: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "'": "&#39;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
};
const escaped = (text: string) => text.replace(/[&'<>"]/g, (character) => SPECIAL[character]!);
