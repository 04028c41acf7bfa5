/**
 * The flags of `kube-apiserver` for admission, and the files that they name.
 * Upstream: pkg/kubeapiserver/options/admission.go, apiserver/pkg/admission/config.go
 */
import { dirname, resolve } from "node:path";
import { parse } from "yaml";
import { type AdmissionConfiguration, checkKind } from "../../apiserver/admission/configuration.ts";
import type { WebhookIdentity } from "../../apiserver/admission/framework.ts";
import { plugins } from "../../apiserver/admission/plugins/index.ts";
import type { ApiServerOptions } from "../../apiserver/options.ts";
import { parseKubeconfig } from "../../client/kubeconfig.ts";
import type { Fs } from "../../world/fs.ts";
import { CommandError } from "../command.ts";
import type { Values } from "../flags.ts";
import type { kubeApiserverFlags } from "../flags/kube-apiserver.ts";
import { targetOf } from "./access.ts";
import { readText } from "./files.ts";

type Options = Values<typeof kubeApiserverFlags>;
type Files = Pick<Fs, "readFile">;

/** All that is wrong with these flags, in upstream's words. */
export function checkAdmission(values: Options, set: ReadonlySet<string>): readonly string[] {
  const errors: string[] = [];
  const lists = ["enable-admission-plugins", "disable-admission-plugins"] as const;
  if (set.has("admission-control") && lists.some((flag) => set.has(flag)))
    errors.push(
      "admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive",
    );
  for (const flag of ["admission-control", ...lists] as const)
    for (const name of values[flag])
      if (!plugins.some((plugin) => plugin.name === name))
        errors.push(`${flag} plugin ${JSON.stringify(name)} is unknown`);
  const both = values[lists[0]].filter((name) => values[lists[1]].includes(name));
  if (both.length > 0)
    errors.push(
      `[${[...new Set(both)].sort().join(" ")}] in enable-admission-plugins and disable-admission-plugins overlapped`,
    );
  return errors;
}

export async function admissionOptions(
  fs: Files,
  values: Options,
  set: ReadonlySet<string>,
): Promise<Pick<ApiServerOptions, "enableAdmissionPlugins" | "disableAdmissionPlugins" | "admission">> {
  const only = set.has("admission-control") ? values["admission-control"] : undefined;
  const enabled = only ?? values["enable-admission-plugins"];
  const disabled =
    only === undefined
      ? values["disable-admission-plugins"]
      : plugins.map(({ name }) => name).filter((name) => !only.includes(name));
  const path = values["admission-control-config-file"];
  return {
    enableAdmissionPlugins: enabled,
    disableAdmissionPlugins: disabled,
    admission: {
      plugins: path === "" ? new Map() : await readPlugins(fs, path),
      flags: {
        notReadySeconds: values["default-not-ready-toleration-seconds"],
        unreachableSeconds: values["default-unreachable-toleration-seconds"],
      },
    },
  };
}

type Entry = readonly [name: string, configuration: unknown, folder: string];

async function readPlugins(fs: Files, path: string): Promise<AdmissionConfiguration["plugins"]> {
  const fail = (why: string) => new CommandError(`failed to read plugin config: ${why}`);
  const document = parse(
    await readText(fs, path).catch((error: unknown) => {
      throw fail(
        `unable to read admission control configuration from ${JSON.stringify(path)} [${(error as Error).message}]`,
      );
    }),
  ) as Readonly<Record<string, unknown>> | null;
  const entries: Entry[] = [];
  const { kind = "", apiVersion = "" } = (document ?? {}) as Readonly<Record<string, string>>;
  if (kind === "AdmissionConfiguration" && /^apiserver\.(config\.)?k8s\.io\/v1(alpha1)?$/.test(apiVersion)) {
    const unknown = Object.keys(document!).filter((name) => !["kind", "apiVersion", "plugins"].includes(name));
    if (unknown.length > 0)
      throw fail(`strict decoding error: ${unknown.map((name) => `unknown field ${JSON.stringify(name)}`).join(", ")}`);
    for (const { name, path: file = "", configuration } of (document!["plugins"] ?? []) as readonly Readonly<
      Record<string, any>
    >[]) {
      if (entries.some(([known]) => known === name)) continue;
      if (configuration !== undefined && configuration !== null) entries.push([name, configuration, dirname(path)]);
      else if (file !== "") {
        const at = resolve(dirname(path), file);
        entries.push([name, parse(await readText(fs, at)), dirname(at)]);
      }
    }
  } else if (document?.["imagePolicy"] !== undefined || document?.["podNodeSelectorPluginConfig"] !== undefined) {
    // From before the file had a kind: it is the configuration of these two itself.
    for (const name of ["ImagePolicyWebhook", "PodNodeSelector"]) entries.push([name, document, dirname(path)]);
  } else if (kind === "") throw fail(`Object 'Kind' is missing in '${JSON.stringify(document)}'`);
  else throw fail(`no kind ${JSON.stringify(kind)} is registered for version ${JSON.stringify(apiVersion)}`);
  const all = await Promise.all(entries.map(async (entry) => [entry[0], await withFiles(fs, entry)] as const));
  return new Map(all);
}

/** Adds what is in the files that a plugin's configuration names. */
async function withFiles(fs: Files, [name, configuration, folder]: Entry) {
  try {
    checkKind(name, configuration);
    const given = configuration as {
      readonly kubeConfigFile?: string;
      readonly imagePolicy?: { kubeConfigFile?: string };
    };
    if (name === "ImagePolicyWebhook") {
      const file = given.imagePolicy?.kubeConfigFile ?? "";
      return { configuration, ...(file !== "" && { target: await targetOf(fs, resolve(folder, file)) }) };
    }
    const file = given.kubeConfigFile ?? "";
    if (!name.endsWith("AdmissionWebhook") || file === "") return { configuration };
    if (!file.startsWith("/"))
      throw new Error(`kubeConfigFile: Invalid value: ${JSON.stringify(file)}: must be an absolute file path`);
    return { configuration, identify: await identities(fs, file) };
  } catch (error) {
    throw new CommandError(
      `couldn't init admission plugin ${JSON.stringify(name)}: ${error instanceof Error ? error.message : String(error)}`,
    );
  }
}

/** Users of a kubeconfig are named after the webhooks they are for: `host:port`, `*.domain`, `*`; else the current context's. */
async function identities(fs: Files, path: string): Promise<(target: string) => WebhookIdentity | undefined> {
  const config = parseKubeconfig(await readText(fs, path));
  const text = async (data: string | undefined, file: string | undefined) =>
    data !== undefined
      ? Buffer.from(data, "base64").toString()
      : file === undefined
        ? undefined
        : await readText(fs, resolve(dirname(path), file));
  const users = new Map<string, WebhookIdentity>();
  for (const { name, user } of config.users) {
    const cert = await text(user["client-certificate-data"], user["client-certificate"]);
    const key = await text(user["client-key-data"], user["client-key"]);
    const token = user.token ?? (await text(undefined, user.tokenFile))?.trim();
    users.set(name, {
      tls: { ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) },
      ...(token !== undefined && token !== "" && { token }),
    });
  }
  const current = config.contexts.find(({ name }) => name === config["current-context"])?.context.user;
  return (target) => {
    const names = [target, ...(target.endsWith(":443") ? [target.slice(0, -":443".length)] : [])].flatMap((one) => {
      const steps = one.split(".");
      return [one, ...steps.slice(1).map((_, i) => `*.${steps.slice(i + 1).join(".")}`)];
    });
    const known = [...names, "*", current ?? ""].find((name) => users.has(name));
    return known === undefined ? undefined : users.get(known);
  };
}
