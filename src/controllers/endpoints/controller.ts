/** Maintains the Endpoints of each service: all its pods' addresses in one object. Upstream: pkg/controller/endpoint */
import { defineController, done } from "../../client/controller.ts";
import { isNamespaceTerminating, itself } from "../../client/controller-runner.ts";
import { endpoints, pods, services } from "../../client/resources.ts";
import { keyOf, splitKey } from "../../machinery/meta/object.ts";
import { selectorFromLabels } from "../../machinery/selector/labels.ts";
import { hasReason } from "../../machinery/status.ts";
import { messageOf } from "../shared/pod-control.ts";
import { TriggerTimes, servicesOfPod } from "../shared/service-pods.ts";
import { MANAGED_BY, MANAGER, planEndpoints, subsetsOf } from "./plan.ts";

const LEADER = "control-plane.alpha.kubernetes.io/leader";

export const endpointsController = defineController({
  name: "endpoints-controller",
  aliases: ["endpoint"],
  eventsAs: "endpoint-controller",
  workers: { flag: "concurrent-endpoint-syncs", default: 5 },
  retriesMax: 15,
  triggers: [
    itself(services),
    servicesOfPod,
    // Those that someone deleted are made again; those left over from services that went unseen are deleted.
    {
      resource: endpoints,
      on: ["add", "delete"],
      keys: (object) => (object.metadata.annotations?.[LEADER] === undefined ? [keyOf(object)] : []),
    },
  ],
  create({ informers, events }) {
    const triggerTimes = new TriggerTimes();
    return {
      async reconcile(key, signal, client) {
        const service = informers.of(services).get(key);
        const current = informers.of(endpoints).get(key);
        if (service === undefined) {
          triggerTimes.forget(key);
          // Those that others wrote by hand for a service to come are theirs.
          if (current?.metadata.labels?.[MANAGED_BY] !== MANAGER) return done;
          const { namespace, name } = splitKey(key);
          try {
            await client.delete(endpoints, { namespace, name }, { signal });
          } catch (error) {
            if (!hasReason(error, "NotFound")) throw error;
          }
          return done;
        }
        const { selector, type } = service.spec;
        if (type === "ExternalName" || selector === undefined) return done;
        const matcher = selectorFromLabels(selector);
        const selected = informers
          .of(pods)
          .list(service.metadata.namespace)
          .filter(({ metadata }) => matcher.matches(metadata.labels));
        const next = planEndpoints(
          service,
          subsetsOf(service, selected),
          current,
          triggerTimes.next(key, service, selected),
        );
        if (next === current) return done;
        try {
          if (current === undefined) await client.create(endpoints, next, { signal });
          else await client.update(endpoints, next, { signal });
        } catch (error) {
          if (isNamespaceTerminating(error)) return done;
          const why = messageOf(error);
          if (current === undefined)
            events.event(
              next,
              "Warning",
              "FailedToCreateEndpoint",
              `Failed to create endpoint for service ${key}: ${why}`,
            );
          else events.event(next, "Warning", "FailedToUpdateEndpoint", `Failed to update endpoint ${key}: ${why}`);
          throw error;
        }
        return done;
      },
    };
  },
});
