/** Turns the flags of `kube-controller-manager` into controllers. Upstream: cmd/kube-controller-manager/app/controllermanager.go */
import { createClient } from "../../client/create-client.ts";
import { httpsTransport } from "../../client/https.ts";
import { CONTROLLERS, OFF_BY_DEFAULT } from "../../controllers/index.ts";
import { createControllerManager } from "../../controllers/manager.ts";
import { serviceAccountOf } from "../../controllers/service-accounts.ts";
import { CommandError } from "../command.ts";
import type { Values } from "../flags.ts";
import { controllerFlags, type kubeControllerManagerFlags } from "../flags/kube-controller-manager.ts";
import { connection } from "./connection.ts";
import { controllerClients } from "./controller-clients.ts";
import { featureGates } from "./feature-gates.ts";
import { readOptional } from "./files.ts";
import { electionEvents, electionOf, leaderElectionCheck } from "./leadership.ts";
import { closing, type Make } from "./process.ts";
import { servingPort } from "./serving.ts";
import { followedAuthorities } from "./signing-authorities.ts";

type Options = Values<typeof kubeControllerManagerFlags>;

export const kubeControllerManager: Make<typeof kubeControllerManagerFlags> = async (process) => {
  const { world, log, metrics, values } = process;
  checkControllers(values.controllers);
  const election = electionOf(world, values);
  const signing = await followedAuthorities(world, values, log);
  const serviceAccountKey = await readOptional(world.fs, values["service-account-private-key-file"]);
  const server = await connection(world, values, process.userAgent);
  const rootCa = (await readOptional(world.fs, values["root-ca-file"])) ?? server.ca;
  const client = createClient(httpsTransport(world, server));
  const accounts = values["use-service-account-credentials"]
    ? controllerClients(world, client, server, serviceAccountOf)
    : undefined;
  const { events, carrier } = electionEvents(process, client, "kube-controller-manager");
  const manager = createControllerManager({
    world: { clock: world.clock, random: process.random },
    client,
    // The token controller makes the accounts' tokens, so it can't wait for one of its own.
    ...(accounts && {
      clientFor: (name: string) => (name === "serviceaccount-token-controller" ? client : accounts.clientFor(name)),
    }),
    log,
    metrics,
    options: settings(values),
    controllers: values.controllers,
    featureGates: featureGates(values["feature-gates"]),
    ...(rootCa !== undefined && { rootCa }),
    ...(signing && { signingCa: signing.authorities }),
    ...(serviceAccountKey !== undefined && { serviceAccountKey }),
    ...(election && { leaderElection: { ...election, events } }),
  });
  const port = await servingPort({
    ...process,
    checks: [leaderElectionCheck],
    configz: { kubecontrollermanager: { ...settings(values), controllers: values.controllers } },
  });
  const connections = [client.transport, ...(accounts ? [accounts] : [])];
  const files = signing === undefined ? [] : [signing.component];
  return [...(port === undefined ? [] : [port]), ...files, closing(carrier, connections), manager];
};

/** What controllers read; flags that are empty say nothing. */
function settings(values: Options): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.keys(controllerFlags)
      .map((name) => [name, values[name as keyof Options]] as const)
      .filter(([, value]) => value !== ""),
  );
}

function checkControllers(words: readonly string[]): void {
  const known = new Set([
    ...CONTROLLERS.flatMap(({ name, aliases = [] }) => [name, ...aliases]),
    ...OFF_BY_DEFAULT,
    ...ELSEWHERE,
  ]);
  for (const word of words) {
    const name = word.replace(/^-/, "");
    if (name !== "*" && !known.has(name)) throw new CommandError(`"${name}" is not in the list of known controllers`);
  }
}

/** Upstream's controllers that aren't here: to name them is no mistake. */
const ELSEWHERE = [
  "endpointslicemirroring",
  "horizontalpodautoscaling",
  "attachdetach",
  "persistentvolume-expander",
  "svm",
  "storage-version-gc",
  "resource-claim-controller",
  "legacy-service-account-token-cleaner",
  "cloud-node-lifecycle-controller",
  "service-lb-controller",
  "node-route-controller",
  "service",
  "route",
  "cloud-node-lifecycle",
  "endpointslice-mirroring-controller",
  "horizontal-pod-autoscaler-controller",
  "legacy-serviceaccount-token-cleaner-controller",
  "persistentvolume-attach-detach-controller",
  "persistentvolume-expander-controller",
  "podcertificaterequest-cleaner-controller",
  "resourceclaim-controller",
  "storage-version-migrator-controller",
  "storageversion-garbage-collector-controller",
  "device-taint-eviction-controller",
  "validatingadmissionpolicy-status-controller",
  "volumeattributesclass-protection-controller",
];
