/** Turns the flags of `kube-scheduler` into a scheduler. Upstream: cmd/kube-scheduler/app/server.go */
import { parse, stringify } from "yaml";
import type { Component } from "../../base/component-group.ts";
import type { Client } from "../../client/client.ts";
import { createClient } from "../../client/create-client.ts";
import { createEventBroadcaster } from "../../client/event-recorder.ts";
import type { EventRecorder } from "../../client/events.ts";
import { httpsTransport } from "../../client/https.ts";
import { createInformers } from "../../client/informer/informers.ts";
import { leadWhenElected } from "../../client/leader-election.ts";
import { ConfigurationError, readConfiguration } from "../../scheduler/configuration.ts";
import { createScheduler, type SchedulerOptions } from "../../scheduler/scheduler.ts";
import { CommandError } from "../command.ts";
import { formatDuration } from "../flags.ts";
import type { kubeSchedulerFlags } from "../flags/kube-scheduler.ts";
import { together } from "../together.ts";
import { connection } from "./connection.ts";
import { readText } from "./files.ts";
import { type Election, electionEvents, electionOf, leaderElectionCheck } from "./leadership.ts";
import { closing, type Make, type Process } from "./process.ts";
import { servingPort } from "./serving.ts";

export const kubeScheduler: Make<typeof kubeSchedulerFlags> = async (process) => {
  const { world, values, set } = process;
  const document: unknown = values.config === "" ? {} : parse(await readText(world.fs, values.config));
  const configuration = configurationOf(document);
  const { leaderElection } = configuration;
  // Of the flags that the file stands in for, only those of leader election still count beside it.
  const inFile = values.config !== "";
  const merged = {
    ...values,
    ...(inFile && {
      "leader-elect": leaderElection.leaderElect,
      "leader-elect-lease-duration": leaderElection.leaseDurationSeconds * 1000,
      "leader-elect-renew-deadline": leaderElection.renewDeadlineSeconds * 1000,
      "leader-elect-retry-period": leaderElection.retryPeriodSeconds * 1000,
      "leader-elect-resource-name": leaderElection.resourceName,
      "leader-elect-resource-namespace": leaderElection.resourceNamespace,
      kubeconfig: configuration.kubeconfig,
    }),
    ...Object.fromEntries(
      [...set]
        .filter((name) => name.startsWith("leader-elect"))
        .map((name) => [name, values[name as keyof typeof values]]),
    ),
  };
  const written = writtenConfiguration(document, merged);
  if (values["write-config-to"] !== "") {
    await world.fs.writeFile(values["write-config-to"], stringify(written));
    process.log.info("Wrote configuration to", { file: values["write-config-to"] });
    return "done";
  }
  const election = electionOf(world, merged);
  const server = await connection(world, merged, process.userAgent);
  const client = createClient(httpsTransport(world, server));
  const options: SchedulerOptions = {
    ...configuration.options,
    podMaxInUnschedulablePodsSeconds: values["pod-max-in-unschedulable-pods-duration"] / 1000,
  };
  const port = await servingPort({
    ...process,
    checks: [leaderElectionCheck],
    configz: { "kubescheduler.config.k8s.io": written },
  });
  const { events, carrier } = electionEvents(process, client, "default-scheduler");
  const scheduler =
    election === undefined
      ? schedulerOn(process, client, options)
      : elected(process, client, options, { ...election, events });
  return [...(port === undefined ? [] : [port]), closing(carrier, [client.transport]), scheduler];
};

function configurationOf(document: unknown) {
  try {
    return readConfiguration(document);
  } catch (error) {
    throw error instanceof ConfigurationError ? new CommandError(error.message) : error;
  }
}

function schedulerOn(
  { world, random, log, metrics }: Process<typeof kubeSchedulerFlags>,
  client: Client,
  options: SchedulerOptions,
): Component {
  const deps = { clock: world.clock, random, log, client };
  const broadcaster = createEventBroadcaster(deps);
  const informers = createInformers(deps);
  const events = broadcaster.recorder(options.schedulerName ?? "default-scheduler");
  return together(
    "kube-scheduler",
    createScheduler({ ...deps, informers, metrics, events, options }),
    broadcaster,
    informers,
  );
}

/** A candidate is ready while it waits: it does what it should. Upstream also keeps its caches warm; here they fill when it leads. */
function elected(
  process: Process<typeof kubeSchedulerFlags>,
  client: Client,
  options: SchedulerOptions,
  election: Election & { readonly events: EventRecorder },
): Component {
  const { world, log, random } = process;
  return {
    name: "kube-scheduler",
    async run(signal, ready) {
      ready();
      const candidate = { ...election, client, clock: world.clock, random: random.fork("leader-election"), log };
      await leadWhenElected(candidate, signal, (leading) =>
        schedulerOn(process, client, options).run(leading, () => log.info("Leading")),
      );
    },
  };
}

/** The configuration as it counts, for /configz and --write-config-to. */
function writtenConfiguration(document: unknown, values: { readonly [name: string]: unknown }) {
  const ms = (name: string) => formatDuration(Number(values[name]));
  return {
    parallelism: 16,
    percentageOfNodesToScore: 0,
    podInitialBackoffSeconds: 1,
    podMaxBackoffSeconds: 10,
    enableProfiling: true,
    ...(document as object | null),
    apiVersion: "kubescheduler.config.k8s.io/v1",
    kind: "KubeSchedulerConfiguration",
    clientConnection: { kubeconfig: values["kubeconfig"], qps: 50, burst: 100 },
    leaderElection: {
      leaderElect: values["leader-elect"],
      leaseDuration: ms("leader-elect-lease-duration"),
      renewDeadline: ms("leader-elect-renew-deadline"),
      retryPeriod: ms("leader-elect-retry-period"),
      resourceLock: "leases",
      resourceName: values["leader-elect-resource-name"],
      resourceNamespace: values["leader-elect-resource-namespace"],
    },
  };
}
