/** Controllers at work in virtual time, on a small server in memory. */
import type { ControllerDefinition } from "../client/controller.ts";
import { createControllerRunner } from "../client/controller-runner.ts";
import { createClient } from "../client/create-client.ts";
import { createEventBroadcaster } from "../client/event-recorder.ts";
import { createInformers } from "../client/informer/informers.ts";
import { events, pods } from "../client/resources.ts";
import { formatTime } from "../machinery/meta/time.ts";
import type { Event, Pod } from "../api/generated/core.v1.ts";
import { keyOf } from "../machinery/meta/object.ts";
import type { ResourceName } from "../machinery/resource.ts";
import type { Logger } from "../observe/log.ts";
import { silent } from "../observe/log.ts";
import { fakeTransport } from "./fake-transport.ts";
import { simulatedWorld } from "./sim/world.ts";

export interface ControllerWorldOptions {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly resources?: readonly ResourceName[];
  readonly log?: Logger;
}

export function controllerWorld(definitions: readonly ControllerDefinition[], settings: ControllerWorldOptions = {}) {
  const { clock, random } = simulatedWorld(1);
  const server = fakeTransport({
    now: () => clock.now(),
    ...(settings.resources && { resources: settings.resources }),
  });
  const client = createClient(server);
  const log = settings.log ?? silent;
  const informers = createInformers({ client, clock, random, log });
  const broadcaster = createEventBroadcaster({ client, clock, random, log });
  const runners = definitions.map((definition) =>
    createControllerRunner(definition, {
      context: {
        client,
        informers,
        clock,
        random: random.fork(definition.name),
        log,
        events: broadcaster.recorder(definition.eventsAs ?? definition.name),
        options: settings.options ?? {},
      },
    }),
  );
  const stop = new AbortController();
  const running = Promise.all([
    informers.run(stop.signal, () => {}),
    broadcaster.run(stop.signal),
    ...runners.map((runner) => runner.run(stop.signal)),
  ]);
  running.catch(() => {}); // Reported by the disposal.

  return {
    clock,
    server,
    client,
    random,
    now: () => formatTime(clock.now()),
    events: () => server.objects<Event>(events).map(({ type, reason, message }) => `${type} ${reason}: ${message}`),
    /** Makes a pod run and be ready, as its kubelet would. */
    ready(pod: Pod, isReady = true) {
      const at = formatTime(clock.now());
      server.put<Pod>(pods, {
        ...pod,
        status: {
          ...pod.status,
          phase: "Running",
          conditions: [{ type: "Ready", status: isReady ? "True" : "False", lastTransitionTime: at }],
        },
      });
    },
    /** From now on pods get ready by themselves, `ms` after they were created. */
    kubelet(ms = 10) {
      const seen = new Set<string>();
      const scan = () => {
        for (const pod of server.objects<Pod>(pods)) {
          if (seen.has(pod.metadata.uid)) continue;
          seen.add(pod.metadata.uid);
          const { uid } = pod.metadata;
          clock.after(ms, () => {
            const now = server.get<Pod>(pods, keyOf(pod));
            if (now?.metadata.uid === uid) this.ready(now);
          });
        }
        if (!stop.signal.aborted) clock.after(5, scan);
      };
      scan();
    },
    /** Lets time pass until nothing more happens that is due within `ms`. */
    settle: (ms = 100) => clock.advance(ms),
    async [Symbol.asyncDispose]() {
      stop.abort();
      await running;
    },
  };
}
