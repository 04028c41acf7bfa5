/** Turns the flags of `kube-apiserver` into a server. Upstream: cmd/kube-apiserver/app/{server.go,options} */
import { X509Certificate } from "node:crypto";
import { isIP } from "node:net";
import { type Configured, configurationReloads } from "../../apiserver/configuration-metrics.ts";
import { identityOf } from "../../apiserver/identity.ts";
import { IpRange } from "../../apiserver/registry/specials/ip-range.ts";
import { builtinResources } from "../../api/index.ts";
import {
  type ApiServerOptions,
  parseStaticTokens,
  RECONCILER_TYPES,
  type ReconcilerType,
} from "../../apiserver/options.ts";
import { type ApiServer, createApiServer } from "../../apiserver/server.ts";
import type { TracingConfiguration } from "../../apiserver/tracing/tracing.ts";
import { parseTracing } from "../../apiserver/tracing/tracing.ts";
import type { Metrics } from "../../observe/metrics.ts";
import { connectEtcd } from "../../protocols/etcd/connect.ts";
import type { EtcdClient } from "../../protocols/etcd/client.ts";
import type { World } from "../../world/world.ts";
import { describeFields } from "../descriptions.ts";
import { CommandError } from "../command.ts";
import { flagTexts, type Values } from "../flags.ts";
import { kubeApiserverFlags } from "../flags/kube-apiserver.ts";
import { primaryAddress } from "../host-facts.ts";
import { accessOptions, checkAccess, readAuthentication, readAuthorization } from "./access.ts";
import { admissionOptions, checkAdmission } from "./admission.ts";
import { auditOf } from "./audit.ts";
import { checkBundle, checkKeyPair, checkPublicKeys } from "./credential-files.ts";
import { serverGates } from "./feature-gates.ts";
import { readOptional, readPair, readText } from "./files.ts";
import type { Make } from "./process.ts";
import { type WatchedFiles, watchFiles } from "./watched-files.ts";
import { servedResources } from "./runtime-config.ts";
import { checkServer } from "./server-checks.ts";
import { tlsBounds } from "./tls-bounds.ts";
import { ownPair } from "./serving.ts";

type Options = Values<typeof kubeApiserverFlags>;

const NEVER_MS = 2 ** 31 - 1;

export const kubeApiserver: Make<typeof kubeApiserverFlags> = async ({ world, log, metrics, values, set }) => {
  check(values, set);
  const { fs } = world;
  const access = await wrong(() => accessOptions(fs, values, set));
  const modes = access.authorization!.configuration.authorizers!.map(({ type }) => type);
  const kubeletClient = await readPair(
    fs,
    ["kubelet-client-certificate", values["kubelet-client-certificate"]],
    ["kubelet-client-key", values["kubelet-client-key"]],
  );
  const kubeletCa = await readOptional(fs, values["kubelet-certificate-authority"]);
  const proxyClient = await readPair(
    fs,
    ["proxy-client-cert-file", values["proxy-client-cert-file"]],
    ["proxy-client-key-file", values["proxy-client-key-file"]],
  );
  const clientCa = await readOptional(fs, values["client-ca-file"]);
  if (clientCa !== undefined) checkBundle("client-ca-bundle", values["client-ca-file"], clientCa);
  const tokens = await readOptional(fs, values["token-auth-file"]);
  const advertiseAddress = values["advertise-address"] || specific(values["bind-address"]) || primaryAddress(world);
  // Whoever may do everything without a name would.
  const anonymousAuth = values["anonymous-auth"] && !modes.includes("AlwaysAllow");
  if (values["anonymous-auth"] && !anonymousAuth)
    log.info(
      "AnonymousAuth is not allowed with the AlwaysAllow authorizer. Resetting AnonymousAuth to false. You should use a different authorizer",
    );
  const maxTokenMs = values["service-account-max-token-expiration"];
  const tracing = await readOptional(fs, values["tracing-config-file"]);
  const audit = await auditOf(
    fs,
    values,
    (text) => void process.stdout.write(text),
    (what) => log.warn(what),
  );
  const options: ApiServerOptions = {
    describe: describeFields,
    ...(audit !== undefined && { audit }),
    ...(tracing !== undefined && { tracing: parsedTracing(tracing) }),
    ...(values["encryption-provider-config"] !== "" && {
      encryption: {
        path: values["encryption-provider-config"],
        reload: values["encryption-provider-config-automatic-reload"],
        identity: identityOf(world.host.hostname),
      },
    }),
    secure: {
      bindAddress: values["bind-address"],
      port: values["secure-port"],
      ...(await certificate(world, values, advertiseAddress)),
      ...(clientCa !== undefined && { clientCa }),
      byName: await certificatesByName(world, values["tls-sni-cert-key"]),
      bounds: tlsBounds(values),
      http1Only: values["disable-http2-serving"],
      maxStreams: values["http2-max-streams-per-connection"],
    },
    browsers: {
      origins: values["cors-allowed-origins"],
      transportSecurity: values["strict-transport-security-directives"],
    },
    kubernetesServiceNodePort: values["kubernetes-service-node-port"],
    advertiseAddress,
    hostname: world.host.hostname,
    ...(values["external-hostname"] !== "" && { externalHost: values["external-hostname"] }),
    flags: () => ({
      ...flagTexts(kubeApiserverFlags, values),
      // As the server fills them in.
      "advertise-address": advertiseAddress,
      "external-hostname": values["external-hostname"] || advertiseAddress,
    }),
    serviceAccount: {
      issuer: values["service-account-issuer"][0]!,
      otherIssuers: values["service-account-issuer"].slice(1),
      ...(values["service-account-jwks-uri"] !== "" && { jwksUri: values["service-account-jwks-uri"] }),
      lookup: values["service-account-lookup"],
      signingKey: await readText(fs, values["service-account-signing-key-file"]),
      verifyingKeys: await Promise.all(values["service-account-key-file"].map((path) => readPublicKeys(fs, path))),
      ...(values["api-audiences"].length > 0 && { apiAudiences: values["api-audiences"] }),
      ...(maxTokenMs > 0 && { maxExpirationSeconds: maxTokenMs / 1000 }),
      extendExpiration: values["service-account-extend-token-expiration"],
    },
    ...access,
    anonymousAuth,
    ...(tokens !== undefined && {
      staticTokens: await wrong(() => parseStaticTokens(tokens, values["token-auth-file"])),
    }),
    bootstrapTokens: values["enable-bootstrap-token-auth"],
    serviceClusterIpRange: values["service-cluster-ip-range"],
    endpointReconciler: (values["endpoint-reconciler-type"] || "lease") as ReconcilerType,
    apiserverCount: values["apiserver-count"],
    serviceNodePortRange: values["service-node-port-range"],
    ...(await admissionOptions(fs, values, set)),
    storageMediaType: values["storage-media-type"] as NonNullable<ApiServerOptions["storageMediaType"]>,
    featureGates: serverGates(values["feature-gates"]),
    allowPrivileged: values["allow-privileged"],
    kubelet: {
      tls: {
        ...(kubeletCa === undefined ? { insecureSkipVerify: true } : { ca: kubeletCa }),
        ...kubeletClient,
      },
      ...(set.has("kubelet-preferred-address-types") && { addressTypes: values["kubelet-preferred-address-types"] }),
    },
    etcdCompactionIntervalMs: values["etcd-compaction-interval"] || NEVER_MS,
    ...(proxyClient && { proxyClient }),
    eventTtlMs: values["event-ttl"],
    deleteCollectionWorkers: values["delete-collection-workers"],
    minRequestTimeoutMs: values["min-request-timeout"] * 1000,
    goawayChance: values["goaway-chance"],
    livezGraceMs: values["livez-grace-period"],
    shutdown: {
      delayMs: values["shutdown-delay-duration"],
      sendRetryAfter: values["shutdown-send-retry-after"],
      watchGraceMs: values["shutdown-watch-termination-grace-period"],
    },
    requestTimeoutMs: values["request-timeout"],
    priorityAndFairness: values["enable-priority-and-fairness"],
    maxRequestsInFlight: values["max-requests-inflight"],
    maxMutatingRequestsInFlight: values["max-mutating-requests-inflight"],
    resources: servedResources(builtinResources, values["runtime-config"]),
  };
  const etcd = await etcdOf(world, values);
  const server = await wrong(() => createApiServer(options, { ...world, etcd, log, metrics }));
  const names = values["t8s-controllers"];
  const controllers =
    names.length === 0
      ? undefined
      : (await import("./embedded-controllers.ts")).embeddedControllers(server, names, world, log);
  return [
    {
      name: server.name,
      async run(signal, ready) {
        let controlling: Promise<void> | undefined;
        try {
          await server.run(signal, () => {
            controlling = controllers?.run(signal, () => {});
            log.info("Serving securely on", { address: `${server.address?.host}:${server.address?.port}` });
            const files = watchedFiles(world, values, server, metrics);
            void files.then((all) => watchFiles(world, all, log, signal));
            ready();
          });
          await controlling;
        } finally {
          await etcd.close();
        }
      },
    },
  ];
};

async function readPublicKeys(fs: World["fs"], path: string): Promise<string> {
  const text = await readText(fs, path);
  checkPublicKeys(path, text);
  return text;
}

/** What can be wrong with a file is the administrator's to mend, and no failure of ours. */
async function wrong<T>(read: () => T | Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    throw error instanceof CommandError
      ? error
      : new CommandError(error instanceof Error ? error.message : String(error));
  }
}

/** A configuration file, with the metrics of its reloads. `reload` says whether there was something new in it. */
async function configurationFile(
  world: World,
  of: Configured,
  path: string,
  metrics: Metrics,
  reload: () => Promise<boolean>,
): Promise<WatchedFiles> {
  const what = `${of} configuration`;
  if (path === "") return { what, paths: [], apply: async () => {} };
  const reloads = configurationReloads(of, identityOf(world.host.hostname), { metrics, clock: world.clock });
  reloads.started(await readText(world.fs, path));
  return {
    what,
    paths: [path],
    async apply() {
      try {
        const text = await readText(world.fs, path);
        if (await reload()) reloads.succeeded(text);
      } catch (error) {
        reloads.failed();
        throw error;
      }
    },
  };
}

/** What is read again while the server runs. */
async function watchedFiles(
  world: World,
  values: Options,
  server: ApiServer,
  metrics: Metrics,
): Promise<readonly WatchedFiles[]> {
  const { fs } = world;
  const clientCa = values["client-ca-file"];
  const proxyCa = values["requestheader-client-ca-file"];
  const sni = values["tls-sni-cert-key"].map((word) => word.split(":")[0]!.split(","));
  const folder = values["cert-dir"];
  const [cert, key] =
    values["tls-cert-file"] === ""
      ? [`${folder}/apiserver.crt`, `${folder}/apiserver.key`]
      : [values["tls-cert-file"], values["tls-private-key-file"]];
  return [
    {
      what: "serving certificates",
      paths: [cert, key, ...sni.flat()],
      apply: async () => {
        const secure = { cert: await readText(fs, cert), key: await readText(fs, key) };
        await server.reload({ secure, byName: await certificatesByName(world, values["tls-sni-cert-key"]) });
      },
    },
    {
      what: "authorities of clients",
      paths: [clientCa, proxyCa],
      apply: async () => {
        const ca = await readOptional(fs, clientCa);
        const proxies = await readOptional(fs, proxyCa);
        await server.reload({
          ...(ca !== undefined && { clientCa: ca }),
          ...(proxies !== undefined && { requestHeaderClientCa: proxies }),
        });
      },
    },
    await configurationFile(world, "authentication", values["authentication-config"], metrics, async () => {
      const authentication = await readAuthentication(fs, values);
      return authentication === undefined ? false : await server.reload({ authentication });
    }),
    await configurationFile(world, "authorization", values["authorization-config"], metrics, async () =>
      server.reload({ authorization: await readAuthorization(fs, values) }),
    ),
  ];
}

function parsedTracing(text: string): TracingConfiguration {
  try {
    return parseTracing(text);
  } catch (error) {
    throw new CommandError((error as Error).message);
  }
}

/** All that is wrong with the flags, in upstream's words. */
function check(values: Options, set: ReadonlySet<string>): void {
  const errors: string[] = [...checkServer(values), ...checkAccess(values, set)];
  if (values["etcd-servers"].length === 0) errors.push("--etcd-servers must be specified");
  if (values["storage-backend"] !== "" && values["storage-backend"] !== "etcd3")
    errors.push(`--storage-backend invalid, allowed values: etcd3. If not specified, it will default to 'etcd3'`);
  if (values["etcd-prefix"].replace(/^\/?/, "/") !== "/registry")
    errors.push("--etcd-prefix: keys begin with /registry, nothing else can be had");
  if (!["application/json", "application/vnd.kubernetes.protobuf"].includes(values["storage-media-type"]))
    errors.push(
      `--storage-media-type ${JSON.stringify(values["storage-media-type"])} invalid, allowed values: application/json, application/vnd.kubernetes.protobuf`,
    );
  if (values["service-account-issuer"].length === 0 || values["service-account-issuer"][0] === "")
    errors.push("service-account-issuer is a required flag");
  if (values["service-account-signing-key-file"] === "")
    errors.push("--service-account-signing-key-file and --service-account-issuer are required flags");
  errors.push(...checkAdmission(values, set));
  if (values["apiserver-count"] <= 0)
    errors.push(`--apiserver-count should be a positive number, but value '${values["apiserver-count"]}' provided`);
  if (!["", ...RECONCILER_TYPES].includes(values["endpoint-reconciler-type"]))
    errors.push(`Reconciler not implemented: ${values["endpoint-reconciler-type"]}`);
  if (values["secure-port"] < 1 || values["secure-port"] > 65_535)
    errors.push(
      `--secure-port ${values["secure-port"]} must be between 1 and 65535, inclusive. It cannot be turned off with 0`,
    );
  const notNegative = (flag: keyof Options & string, what = "can not be negative value") => {
    if ((values[flag] as number) < 0) errors.push(`--${flag} ${what}`);
  };
  notNegative("max-requests-inflight");
  notNegative("max-mutating-requests-inflight");
  notNegative("request-timeout");
  notNegative("livez-grace-period", "can not be a negative value");
  notNegative("min-request-timeout");
  notNegative("shutdown-delay-duration");
  if (values["shutdown-watch-termination-grace-period"] < 0)
    errors.push("shutdown-watch-termination-grace-period, if provided, can not be a negative value");
  if (values["goaway-chance"] < 0 || values["goaway-chance"] > 0.02)
    errors.push("--goaway-chance can not be less than 0 or greater than 0.02");
  if (
    values["enable-priority-and-fairness"] &&
    values["max-requests-inflight"] + values["max-mutating-requests-inflight"] <= 0
  )
    errors.push(
      `invalid configuration: MaxRequestsInFlight=${values["max-requests-inflight"]} and MaxMutatingRequestsInFlight=${values["max-mutating-requests-inflight"]}; they must add up to something positive`,
    );
  if (errors.length > 0) throw new CommandError(errors.length === 1 ? errors[0]! : `[${errors.join(", ")}]`);
}

/** Empty for an address that others can't reach. */
const specific = (address: string): string =>
  ["", "0.0.0.0", "::", "::1"].includes(address) || address.startsWith("127.") ? "" : address;

async function certificate(world: World, values: Options, advertiseAddress: string) {
  const given = await readPair(
    world.fs,
    ["tls-cert-file", values["tls-cert-file"]],
    ["tls-private-key-file", values["tls-private-key-file"]],
  );
  if (given !== undefined) {
    checkKeyPair(given);
    return given;
  }
  const names = ["kubernetes.default.svc", "kubernetes.default", "kubernetes"];
  const first = new IpRange(values["service-cluster-ip-range"].split(",")[0]!.trim()).first;
  const addresses = [advertiseAddress, first].filter((address) => isIP(address) !== 0);
  return await ownPair(
    world,
    "apiserver",
    values["cert-dir"],
    values["bind-address"],
    values["external-hostname"],
    names,
    addresses,
  );
}

const NO_SNI = "failed to load SNI cert and key: ";

async function certificatesByName({ fs }: World, words: readonly string[]) {
  const byName = new Map<string, { readonly cert: string; readonly key: string }>();
  for (const word of words) {
    const [files = "", names] = word.split(/:(.*)/s);
    const [certFile, keyFile, ...more] = files.split(",");
    if (!certFile || !keyFile || more.length > 0)
      throw new CommandError(
        `invalid argument ${JSON.stringify(word)} for "--tls-sni-cert-key" flag: expected comma separated certificate and key file paths`,
      );
    const read = async (path: string) =>
      await readText(fs, path).catch((error: Error) => {
        throw new CommandError(`${NO_SNI}${error.message}`);
      });
    const pair = { cert: await read(certFile), key: await read(keyFile) };
    checkKeyPair(pair, NO_SNI);
    const own = [...(new X509Certificate(pair.cert).subjectAltName ?? "").matchAll(/DNS:([^,\s]+)/g)].map(
      ([, name]) => name!,
    );
    for (const name of names === undefined ? own : names.split(",")) byName.set(name, pair);
  }
  return byName;
}

async function etcdOf(world: World, values: Options): Promise<EtcdClient> {
  const ca = await readOptional(world.fs, values["etcd-cafile"]);
  const pair = await readPair(
    world.fs,
    ["etcd-certfile", values["etcd-certfile"]],
    ["etcd-keyfile", values["etcd-keyfile"]],
  );
  return connectEtcd(world, {
    endpoints: values["etcd-servers"],
    ...((ca !== undefined || pair !== undefined) && { tls: { ...(ca !== undefined && { ca }), ...pair } }),
  });
}
