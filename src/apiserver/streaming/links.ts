/** Links within proxied pages. Upstream: apimachinery/pkg/util/proxy/transport.go */
export interface Proxy {
  /** Of the proxy's own paths. */
  readonly prefix: string;
  /** The names of what is proxied. */
  readonly hosts: readonly string[];
  /** The name by which the client calls this server. */
  readonly own: string;
}

/** A path from the root, of this page's host, is below the proxy. */
export function linked(link: string, { prefix, hosts, own }: Proxy): string {
  const parts = /^(?:([a-z][a-z0-9+.-]*):)?(?:\/\/([^/?#]*))?([^?#]*)(.*)$/is.exec(link);
  if (parts === null) return link;
  const [, scheme, host = "", path = "", behind = ""] = parts;
  if (!path.startsWith("/") || (host !== "" && host !== own && !hosts.includes(host))) return link;
  const isOwn = host !== "" && host === own;
  const before = isOwn ? `${scheme === undefined ? "" : `${scheme}:`}//${host}` : "";
  return before + (path.startsWith(prefix) ? path : prefix + path.replace(/\/{2,}/g, "/")) + behind;
}

/** The attributes that are links, of each element. */
const LINKS: Readonly<Record<string, readonly string[]>> = {
  a: ["href"],
  applet: ["codebase"],
  area: ["href"],
  audio: ["src"],
  base: ["href"],
  blockquote: ["cite"],
  body: ["background"],
  button: ["formaction"],
  command: ["icon"],
  del: ["cite"],
  embed: ["src"],
  form: ["action"],
  frame: ["longdesc", "src"],
  head: ["profile"],
  html: ["manifest"],
  iframe: ["longdesc", "src"],
  img: ["longdesc", "src", "usemap"],
  input: ["src", "usemap", "formaction"],
  ins: ["cite"],
  link: ["href"],
  object: ["classid", "codebase", "data", "usemap"],
  q: ["cite"],
  script: ["src"],
  source: ["src"],
  video: ["poster", "src"],
};

/** Comments, elements whose content is no markup, and tags. */
const MARKUP =
  /<!--[^]*?-->|(<(script|style|textarea|title|xmp|iframe|noembed|noframes)\b(?:[^>"']|"[^"]*"|'[^']*')*>)([^]*?)(?=<\/\2|$)|<[a-z](?:[^>"']|"[^"]*"|'[^']*')*>/gi;

export function withLinks(page: string, proxy: Proxy): string {
  return page.replace(MARKUP, (all: string, raw: string | undefined, _name, content: string | undefined) => {
    if (all.startsWith("<!--")) return all;
    return raw === undefined ? tagWithLinks(all, proxy) : tagWithLinks(raw, proxy) + content!;
  });
}

const ATTRIBUTE = /([^\s=/>"']+)(?:\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s>]+)))?/g;

function tagWithLinks(tag: string, proxy: Proxy): string {
  const [, name = ""] = /^<([a-z][^\s/>]*)/i.exec(tag) ?? [];
  const links = LINKS[name.toLowerCase()];
  if (links === undefined) return tag;
  const isClosed = tag.endsWith("/>");
  const inside = tag.slice(name.length + 1, isClosed ? -2 : -1);
  const attributes = [...inside.matchAll(ATTRIBUTE)].map(([, key = "", double, single, bare]) => {
    const value = unescaped(double ?? single ?? bare ?? "");
    return ` ${key.toLowerCase()}="${escaped(links.includes(key.toLowerCase()) ? linked(value, proxy) : value)}"`;
  });
  return `<${name.toLowerCase()}${attributes.join("")}${isClosed ? "/" : ""}>`;
}

const NAMED: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };
const unescaped = (text: string) =>
  text.replace(/&(amp|lt|gt|quot|apos|#39|#34);/g, (_, name: string) =>
    name.startsWith("#") ? String.fromCharCode(Number(name.slice(1))) : NAMED[name]!,
  );
const SPECIAL: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "'": "&#39;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&#34;",
};
const escaped = (text: string) => text.replace(/[&'<>"]/g, (character) => SPECIAL[character]!);
