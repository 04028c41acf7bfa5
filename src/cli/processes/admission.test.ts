import assert from "node:assert/strict";
import { test } from "node:test";
import { parseFlags } from "../flags.ts";
import { kubeApiserverFlags } from "../flags/kube-apiserver.ts";
import { admissionOptions, checkAdmission } from "./admission.ts";

const files = (contents: Readonly<Record<string, string>>) => ({
  readFile: async (path: string) => {
    const text = contents[path];
    if (text === undefined)
      throw Object.assign(new Error(`open ${path}: no such file or directory`), { code: "ENOENT" });
    return Buffer.from(text);
  },
});
const parsed = (...args: string[]) => parseFlags(kubeApiserverFlags, args);

const FLAGS: readonly (readonly [readonly string[], ...string[]])[] = [
  [["--enable-admission-plugins=AlwaysDeny", "--disable-admission-plugins=PodSecurity"]],
  [["--enable-admission-plugins=Foo"], 'enable-admission-plugins plugin "Foo" is unknown'],
  [["--disable-admission-plugins=Foo"], 'disable-admission-plugins plugin "Foo" is unknown'],
  [
    ["--enable-admission-plugins=PodSecurity,Priority", "--disable-admission-plugins=Priority,PodSecurity"],
    "[PodSecurity Priority] in enable-admission-plugins and disable-admission-plugins overlapped",
  ],
  [
    ["--admission-control=AlwaysAdmit", "--enable-admission-plugins=AlwaysDeny"],
    "admission-control and enable-admission-plugins/disable-admission-plugins flags are mutually exclusive",
  ],
  [["--admission-control=Foo"], 'admission-control plugin "Foo" is unknown'],
];
for (const [args, ...expected] of FLAGS)
  test(`${args.join(" ")} is ${expected.length === 0 ? "fine" : expected.join("; ")}`, () => {
    const { values, set } = parsed(...args);
    assert.deepEqual(checkAdmission(values, set), expected);
  });

test("the old list of plugins is all that runs", async () => {
  const { values, set } = parsed("--admission-control=AlwaysAdmit,NamespaceLifecycle");
  const options = await admissionOptions(files({}), values, set);
  assert.deepEqual(options.enableAdmissionPlugins, ["AlwaysAdmit", "NamespaceLifecycle"]);
  assert.ok(options.disableAdmissionPlugins?.includes("PodSecurity"));
  assert.ok(!options.disableAdmissionPlugins?.includes("NamespaceLifecycle"));
});

const HEAD = "apiVersion: apiserver.config.k8s.io/v1\nkind: AdmissionConfiguration\n";
const read = async (contents: Readonly<Record<string, string>>) => {
  const { values, set } = parsed("--admission-control-config-file=/etc/admission.yaml");
  return (await admissionOptions(files(contents), values, set)).admission!.plugins;
};

test("a plugin is configured inline, or in a file beside the configuration", async () => {
  const plugins = await read({
    "/etc/admission.yaml": `${HEAD}plugins:
- name: PodSecurity
  configuration: {apiVersion: pod-security.admission.config.k8s.io/v1, kind: PodSecurityConfiguration, defaults: {enforce: baseline}}
- name: EventRateLimit
  path: events.yaml
`,
    "/etc/events.yaml":
      "apiVersion: eventratelimit.admission.k8s.io/v1alpha1\nkind: Configuration\nlimits: [{type: Server, qps: 1, burst: 1}]",
  });
  assert.equal((plugins.get("PodSecurity")!.configuration as any).defaults.enforce, "baseline");
  assert.equal((plugins.get("EventRateLimit")!.configuration as any).limits[0].type, "Server");
});

test("the configurations from before there were kinds are read, too", async () => {
  const plugins = await read({
    "/etc/admission.yaml": "podNodeSelectorPluginConfig: {clusterDefaultNodeSelector: a=b}",
  });
  assert.deepEqual(plugins.get("PodNodeSelector")?.configuration, {
    podNodeSelectorPluginConfig: { clusterDefaultNodeSelector: "a=b" },
  });
});

test("webhooks are shown what the kubeconfig has for them", async () => {
  const plugins = await read({
    "/etc/admission.yaml": `${HEAD}plugins:
- name: MutatingAdmissionWebhook
  configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: WebhookAdmissionConfiguration, kubeConfigFile: /etc/hooks}
`,
    "/etc/hooks": `users:
- {name: "a.ns.svc", user: {token: a}}
- {name: "*.ns.svc", user: {token: ns}}
- {name: "b.example.com:8443", user: {token: b}}
- {name: "*", user: {token: any, client-certificate-data: ${Buffer.from("PEM").toString("base64")}}}
`,
  });
  const identify = plugins.get("MutatingAdmissionWebhook")!.identify!;
  const tokens = ["a.ns.svc:443", "c.ns.svc:443", "b.example.com:8443", "b.example.com:443"].map(
    (target) => identify(target)?.token,
  );
  assert.deepEqual(tokens, ["a", "ns", "b", "any"]);
  assert.equal(identify("x:1")?.tls.cert, "PEM");
});

const WRONG: readonly (readonly [string, string, RegExp])[] = [
  ["a file that isn't there", "", /unable to read admission control configuration from "\/etc\/admission.yaml"/],
  ["a file of another kind", "kind: Foo\napiVersion: v1", /no kind "Foo" is registered for version "v1"/],
  ["a file without a kind", "plugins: []", /Object 'Kind' is missing/],
  ["a field that nobody knows", `${HEAD}plugin: []`, /strict decoding error: unknown field "plugin"/],
  [
    "a configuration for another plugin",
    `${HEAD}plugins: [{name: PodSecurity, configuration: {apiVersion: v1, kind: Configuration}}]`,
    /couldn't init admission plugin "PodSecurity": no kind "Configuration" is registered for version "v1"/,
  ],
  [
    "a kubeconfig at a relative path",
    `${HEAD}plugins: [{name: ValidatingAdmissionWebhook, configuration: {apiVersion: apiserver.config.k8s.io/v1, kind: WebhookAdmissionConfiguration, kubeConfigFile: hooks}}]`,
    /kubeConfigFile: Invalid value: "hooks": must be an absolute file path/,
  ],
];
for (const [what, text, error] of WRONG)
  test(`${what} is told of`, async () => {
    await assert.rejects(read(text === "" ? {} : { "/etc/admission.yaml": text }), error);
  });
