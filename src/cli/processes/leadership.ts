/**
 * `--leader-elect`: of several processes of a component, one is active.
 * Upstream: client-go/tools/leaderelection, component-base/config/options/leaderelectionconfig.go
 */
import type { LeaderElectionOptions } from "../../client/leader-election.ts";
import type { Component } from "../../base/component-group.ts";
import type { Client } from "../../client/client.ts";
import { createEventBroadcaster } from "../../client/event-recorder.ts";
import type { EventRecorder } from "../../client/events.ts";
import type { Logger } from "../../observe/log.ts";
import { type Random, uuid } from "../../world/world.ts";
import { CommandError } from "../command.ts";
import type { Check } from "./serving.ts";
import type { World } from "../../world/world.ts";

interface ElectionValues {
  readonly "leader-elect": boolean;
  readonly "leader-elect-lease-duration": number;
  readonly "leader-elect-renew-deadline": number;
  readonly "leader-elect-retry-period": number;
  readonly "leader-elect-resource-lock": string;
  readonly "leader-elect-resource-name": string;
  readonly "leader-elect-resource-namespace": string;
}

export type Election = Pick<
  LeaderElectionOptions,
  "identity" | "lease" | "leaseDurationMs" | "renewDeadlineMs" | "retryPeriodMs"
>;

/** Undefined where the process leads without asking. */
export function electionOf(
  { host, random }: Pick<World, "host" | "random">,
  values: ElectionValues,
): Election | undefined {
  if (!values["leader-elect"]) return undefined;
  const lock = values["leader-elect-resource-lock"];
  if (lock !== "leases")
    throw new CommandError(
      `leaderElection.resourceLock: Invalid value: ${JSON.stringify(lock)}: resourceLock value must be "leases"`,
    );
  const durations = {
    leaseDurationMs: values["leader-elect-lease-duration"],
    renewDeadlineMs: values["leader-elect-renew-deadline"],
    retryPeriodMs: values["leader-elect-retry-period"],
  };
  if (durations.leaseDurationMs <= durations.renewDeadlineMs)
    throw new CommandError("leaseDuration must be greater than renewDeadline");
  if (durations.renewDeadlineMs <= durations.retryPeriodMs * 1.2)
    throw new CommandError("renewDeadline must be greater than retryPeriod*JitterFactor");
  return {
    identity: `${host.hostname}_${uuid(random)}`,
    lease: {
      namespace: values["leader-elect-resource-namespace"],
      name: values["leader-elect-resource-name"],
    },
    ...durations,
  };
}

/** Events of elections, with the component that carries them: a candidate says that it leads, and that it stops. */
export function electionEvents(
  deps: { readonly world: World; readonly random: Random; readonly log: Logger },
  client: Client,
  component: string,
): { readonly events: EventRecorder; readonly carrier: Component } {
  const { world, random, log } = deps;
  const broadcaster = createEventBroadcaster({
    clock: world.clock,
    random: random.fork("election events"),
    log,
    client,
  });
  return {
    events: broadcaster.recorder(component),
    carrier: {
      name: "election events",
      async run(signal, ready) {
        ready();
        await broadcaster.run(signal);
      },
    },
  };
}

/** Health of a candidate: well, whether it leads or waits. One that can't renew ends, so there is nothing to watch. */
export const leaderElectionCheck: Check = { name: "leaderElection", check: () => undefined };
