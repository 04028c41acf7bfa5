/** Registry credentials from pull secrets: which of them fit an image, most specific first. Upstream: pkg/credentialprovider/keyring.go */
import type { Secret } from "../../api/generated/core.v1.ts";
import type { AuthConfig } from "../../protocols/cri/generated.ts";
import type { Init } from "../../wire/rpc/service.ts";

interface DockerEntry {
  readonly username?: string;
  readonly password?: string;
  readonly auth?: string;
  readonly identitytoken?: string;
  readonly registrytoken?: string;
}

export function credentialsFor(image: string, secrets: readonly Secret[]): readonly Init<AuthConfig>[] {
  const found: { readonly pattern: string; readonly auth: Init<AuthConfig> }[] = [];
  const target = repositoryOf(image);
  for (const secret of secrets) {
    for (const [pattern, entry] of Object.entries(entriesOf(secret))) {
      if (matches(normalise(pattern), target)) found.push({ pattern: normalise(pattern), auth: authOf(entry) });
    }
  }
  return found.sort((a, b) => b.pattern.length - a.pattern.length).map(({ auth }) => auth);
}

function entriesOf(secret: Secret): Readonly<Record<string, DockerEntry>> {
  const json = (key: string): unknown => {
    const data = secret.data?.[key];
    if (data === undefined) return undefined;
    try {
      return JSON.parse(Buffer.from(data, "base64").toString("utf8"));
    } catch {
      return undefined; // An unreadable secret is no credential; the pull's own error tells the user.
    }
  };
  if (secret.type === "kubernetes.io/dockerconfigjson")
    return (json(".dockerconfigjson") as { auths?: Record<string, DockerEntry> } | undefined)?.auths ?? {};
  if (secret.type === "kubernetes.io/dockercfg") return (json(".dockercfg") as Record<string, DockerEntry>) ?? {};
  return {};
}

/** `host/path` of an image; bare names are Docker Hub's. */
function repositoryOf(image: string): string {
  const name = image.split("@")[0]!.replace(/:[^/:]*$/, "");
  const first = name.split("/")[0]!;
  if (!name.includes("/")) return `index.docker.io/library/${name}`;
  return first.includes(".") || first.includes(":") || first === "localhost" ? name : `index.docker.io/${name}`;
}

const normalise = (pattern: string): string =>
  pattern
    .replace(/^https?:\/\//, "")
    .replace(/\/(v1|v2)?\/?$/, "")
    .replace(/^docker\.io/, "index.docker.io");

/** Host labels may be `*`; the path is a prefix. */
function matches(pattern: string, repository: string): boolean {
  const [host = "", ...path] = pattern.split("/");
  const [targetHost = "", ...targetPath] = repository.split("/");
  const labels = host.split(".");
  const targetLabels = targetHost.split(".");
  if (labels.length !== targetLabels.length) return false;
  if (!labels.every((label, i) => label === targetLabels[i] || glob(label, targetLabels[i]!))) return false;
  return path.every((part, i) => part === targetPath[i]);
}

function glob(pattern: string, text: string): boolean {
  if (!pattern.includes("*")) return false;
  const [head = "", ...rest] = pattern.split("*");
  return (
    text.startsWith(head) && text.endsWith(rest.at(-1) ?? "") && text.length >= head.length + (rest.at(-1) ?? "").length
  );
}

function authOf(entry: DockerEntry): Init<AuthConfig> {
  const decoded = entry.auth === undefined ? "" : Buffer.from(entry.auth, "base64").toString("utf8");
  const colon = decoded.indexOf(":");
  return {
    username: entry.username ?? (colon < 0 ? "" : decoded.slice(0, colon)),
    password: entry.password ?? (colon < 0 ? "" : decoded.slice(colon + 1)),
    identity_token: entry.identitytoken ?? "",
    registry_token: entry.registrytoken ?? "",
  };
}
