/** Maintains the EndpointSlices of each service. Upstream: pkg/controller/endpointslice */
import type { EndpointSlice } from "../../api/generated/discovery.v1.ts";
import type { Node } from "../../api/generated/core.v1.ts";
import { defineController, done } from "../../client/controller.ts";
import { isNamespaceTerminating, itself } from "../../client/controller-runner.ts";
import { endpointSlices, nodes, pods, services } from "../../client/resources.ts";
import { selectorFromLabels } from "../../machinery/selector/labels.ts";
import { hasReason } from "../../machinery/status.ts";
import { messageOf } from "../shared/pod-control.ts";
import { TriggerTimes, servicesOfPod } from "../shared/service-pods.ts";
import { MANAGED_BY, MANAGER, SERVICE_NAME, planSlices } from "./plan.ts";

const BY_SERVICE = "service";
const serviceOf = ({ metadata }: EndpointSlice) => {
  const name = metadata.labels?.[SERVICE_NAME];
  return name === undefined || metadata.labels?.[MANAGED_BY] !== MANAGER ? [] : [`${metadata.namespace}/${name}`];
};

export const endpointSliceController = defineController({
  name: "endpointslice-controller",
  aliases: ["endpointslice"],
  eventsAs: "endpoint-slice-controller",
  workers: { flag: "concurrent-service-endpoint-syncs", default: 5 },
  backoff: { baseMs: 1000, maxMs: 1_000_000 },
  retriesMax: 15,
  triggers: [
    itself(services),
    servicesOfPod,
    { resource: endpointSlices, keys: serviceOf },
    {
      // Endpoints say the zone of their node.
      resource: nodes,
      changed: (old: Node, node: Node) => zoneOf(old) !== zoneOf(node),
      keys: (node: Node, informers) =>
        informers
          .of(pods)
          .byIndex("spec.nodeName", node.metadata.name)
          .flatMap((pod) => servicesOfPod.keys(pod, informers)),
    },
  ],
  create({ informers, events, options }) {
    const set = options["max-endpoints-per-slice"];
    const maxPerSlice = typeof set === "number" ? set : 100;
    const slices = informers.of(endpointSlices);
    slices.addIndex(BY_SERVICE, serviceOf);
    informers.of(pods).addIndex("spec.nodeName", ({ spec }) => (spec.nodeName === undefined ? [] : [spec.nodeName]));
    const triggerTimes = new TriggerTimes();

    return {
      async reconcile(key, signal, client) {
        const service = informers.of(services).get(key);
        if (service === undefined) {
          triggerTimes.forget(key); // Its slices go with it: they are owned.
          return done;
        }
        const { selector, type } = service.spec;
        if (type === "ExternalName" || selector === undefined) return done;
        const { namespace = "" } = service.metadata;
        const matcher = selectorFromLabels(selector);
        const selected = informers
          .of(pods)
          .list(namespace)
          .filter(({ metadata }) => matcher.matches(metadata.labels));
        const plan = planSlices({
          service,
          pods: selected,
          slices: slices.byIndex(BY_SERVICE, key),
          node: (name) => informers.of(nodes).get(name),
          maxPerSlice,
          triggerTime: triggerTimes.next(key, service, selected),
        });
        try {
          for (const draft of plan.create) await client.create(endpointSlices, draft, { signal });
          for (const slice of plan.update) await client.update(endpointSlices, slice, { signal });
          for (const { metadata } of plan.delete)
            try {
              await client.delete(endpointSlices, { namespace, name: metadata.name }, { signal });
            } catch (error) {
              if (!hasReason(error, "NotFound")) throw error;
            }
        } catch (error) {
          if (isNamespaceTerminating(error)) return done;
          if (!signal.aborted) {
            const words = `Error updating Endpoint Slices for Service ${namespace}/${service.metadata.name}: ${messageOf(error)}`;
            events.event(service, "Warning", "FailedToUpdateEndpointSlices", words);
          }
          throw error;
        }
        if (plan.errors.length > 0) throw new Error(plan.errors.join(", "));
        return done;
      },
    };
  },
});

const zoneOf = ({ metadata }: Node) => metadata.labels?.["topology.kubernetes.io/zone"];
