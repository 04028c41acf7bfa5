/** Runs the controllers, as one of several managers or alone. Upstream: cmd/kube-controller-manager/app/controllermanager.go */
import type { Component } from "../base/component-group.ts";
import type { Client } from "../client/client.ts";
import type { ControllerDefinition } from "../client/controller.ts";
import { createControllerRunner } from "../client/controller-runner.ts";
import { createEventBroadcaster } from "../client/event-recorder.ts";
import { createInformers } from "../client/informer/informers.ts";
import { type LeaderElectionOptions, leadWhenElected } from "../client/leader-election.ts";
import type { Logger } from "../observe/log.ts";
import type { Metrics } from "../observe/metrics.ts";
import type { World } from "../world/world.ts";
import type { SigningAuthorities } from "./certificates/signing.ts";
import { CONTROLLERS, GATED, OFF_BY_DEFAULT } from "./index.ts";

export interface ControllerManagerOptions {
  readonly world: Pick<World, "clock" | "random">;
  /** Reads for all informers, leader election and events; and writes, where `clientFor` isn't given. */
  readonly client: Client;
  /** A client of each controller's own, by its name: another user agent, or its service account. */
  readonly clientFor?: (controller: string) => Client;
  readonly log: Logger;
  readonly metrics?: Metrics;
  /** Values by flag name: `concurrent-deployment-syncs`, `cluster-cidr`, `node-monitor-grace-period` (durations in ms), … */
  readonly options?: Readonly<Record<string, unknown>>;
  /** As in `--controllers`: `*`, names, and names with a minus sign. */
  readonly controllers?: readonly string[];
  /** `--feature-gates` */
  readonly featureGates?: ReadonlyMap<string, boolean>;
  /** PEM of the CA that pods verify the API server with. */
  readonly rootCa?: string;
  /** PEM of the key that signs service account tokens. */
  readonly serviceAccountKey?: string;
  /** PEM of the CA that signs certificate requests: one for all signers, or for each by name. */
  readonly signingCa?: SigningAuthorities;
  readonly leaderElection?: Pick<LeaderElectionOptions, "identity"> & Partial<Omit<LeaderElectionOptions, "client">>;
}

const ELECTION_LEASE = { namespace: "kube-system", name: "kube-controller-manager" };

export function createControllerManager(options: ControllerManagerOptions): Component {
  return { name: "kube-controller-manager", run: (signal, ready) => run(options, signal, ready) };
}

async function run(options: ControllerManagerOptions, signal: AbortSignal, ready: () => void): Promise<void> {
  const { client, log, leaderElection } = options;
  const { clock, random } = options.world;
  if (leaderElection === undefined) return await lead(options, signal, ready);
  // A candidate that waits is ready: it does what it should.
  ready();
  const election = {
    client,
    clock,
    random: random.fork("leader-election"),
    log,
    lease: ELECTION_LEASE,
    ...leaderElection,
  };
  await leadWhenElected(election, signal, (leading) => lead(options, leading, () => {}));
}

async function lead(options: ControllerManagerOptions, signal: AbortSignal, ready: () => void): Promise<void> {
  const { client, log, metrics, clientFor } = options;
  const { clock, random } = options.world;
  const informers = createInformers({ client, clock, random: random.fork("informers"), log });
  const broadcaster = createEventBroadcaster({ client, clock, random: random.fork("events"), log });
  const settings = {
    ...options.options,
    ...(options.rootCa !== undefined && { "root-ca": options.rootCa }),
    ...(options.serviceAccountKey !== undefined && { "service-account-key": options.serviceAccountKey }),
    ...(options.signingCa !== undefined && { "signing-ca": options.signingCa }),
  };
  const runners = enabled(options.controllers ?? ["*"], options.featureGates).map((definition) =>
    createControllerRunner(definition, {
      context: {
        client: clientFor?.(definition.name) ?? client,
        informers,
        clock,
        random: random.fork(definition.name),
        log,
        events: broadcaster.recorder(definition.eventsAs ?? definition.name),
        options: settings,
      },
      ...(metrics && { metrics }),
    }),
  );

  // One that fails takes all with it.
  const failed = new AbortController();
  const stop = AbortSignal.any([signal, failed.signal]);
  const parts = [
    informers.run(stop, ready),
    broadcaster.run(stop),
    ...runners.map((runner) =>
      runner.run(stop).catch((cause: unknown) => {
        throw new Error(`${runner.name} failed`, { cause });
      }),
    ),
  ];
  for (const part of parts) part.catch((error: unknown) => failed.abort(error));
  await Promise.allSettled(parts);
  if (failed.signal.aborted) throw failed.signal.reason;
}

/** The controllers that `--controllers` selects: a name decides before `*`. */
export function enabled(
  selection: readonly string[],
  gates: ReadonlyMap<string, boolean> = new Map(),
): readonly ControllerDefinition[] {
  return CONTROLLERS.filter(({ name, aliases = [] }) => {
    const gate = GATED.get(name);
    if (gate !== undefined && gates.get(gate) !== true) return false;
    const names = [name, ...aliases];
    if (selection.some((entry) => names.includes(entry))) return true;
    if (selection.some((entry) => entry.startsWith("-") && names.includes(entry.slice(1)))) return false;
    return selection.includes("*") && !OFF_BY_DEFAULT.has(name);
  });
}
