/** Mirrors the Endpoints of services without a selector into EndpointSlices. Upstream: pkg/controller/endpointslicemirroring */
import type { Endpoints, Service } from "../../api/generated/core.v1.ts";
import type { EndpointSlice } from "../../api/generated/discovery.v1.ts";
import { defineController, done } from "../../client/controller.ts";
import { isNamespaceTerminating, itself } from "../../client/controller-runner.ts";
import { endpointSlices, endpoints, services } from "../../client/resources.ts";
import { keyOf } from "../../machinery/meta/object.ts";
import { hasReason } from "../../machinery/status.ts";
import { MANAGED_BY, MANAGER, SERVICE_NAME, planMirror, shouldMirror } from "./plan.ts";

const BY_ENDPOINTS = "mirrored endpoints";
const endpointsOf = ({ metadata }: EndpointSlice) => {
  const name = metadata.labels?.[SERVICE_NAME];
  return name === undefined || metadata.labels?.[MANAGED_BY] !== MANAGER ? [] : [`${metadata.namespace}/${name}`];
};

export const endpointSliceMirroringController = defineController({
  name: "endpointslice-mirroring-controller",
  aliases: ["endpointslicemirroring"],
  eventsAs: "endpoint-slice-mirroring-controller",
  workers: { flag: "mirroring-concurrent-service-endpoint-syncs", default: 5 },
  backoff: { baseMs: 1000, maxMs: 100_000 },
  retriesMax: 15,
  triggers: [
    itself(endpoints),
    {
      resource: services,
      changed: (old: Service, service: Service) =>
        (old.spec.selector === undefined) !== (service.spec.selector === undefined),
      keys: (service: Service) => [keyOf(service)],
    },
    { resource: endpointSlices, keys: endpointsOf },
  ],
  create({ informers, events, options }) {
    const set = options["mirroring-max-endpoints-per-subset"];
    const maxPerSubset = typeof set === "number" ? set : 1000;
    const slices = informers.of(endpointSlices);
    slices.addIndex(BY_ENDPOINTS, endpointsOf);
    return {
      async reconcile(key, signal, client) {
        const source: Endpoints | undefined = informers.of(endpoints).get(key);
        const existing = slices.byIndex(BY_ENDPOINTS, key);
        const mirrored = source !== undefined && shouldMirror(source, informers.of(services).get(key));
        const plan = mirrored
          ? planMirror(source, existing, maxPerSubset)
          : { create: [], update: [], delete: existing, invalidAddresses: 0, tooMany: 0 };
        if (source !== undefined && plan.invalidAddresses > 0) {
          const words = `Skipped ${plan.invalidAddresses} invalid IP addresses when mirroring to EndpointSlices`;
          events.event(source, "Warning", "InvalidIPAddress", words);
        }
        if (source !== undefined && plan.tooMany > 0) {
          const limit = `A max of ${maxPerSubset} addresses can be mirrored to EndpointSlices per Endpoints subset.`;
          events.event(
            source,
            "Warning",
            "TooManyAddressesToMirror",
            `${limit} ${plan.tooMany} addresses were skipped`,
          );
        }
        try {
          for (const draft of plan.create) await client.create(endpointSlices, draft, { signal });
          for (const slice of plan.update) await client.update(endpointSlices, slice, { signal });
          for (const { metadata } of plan.delete)
            await client.delete(
              endpointSlices,
              { namespace: metadata.namespace ?? "", name: metadata.name },
              { signal },
            );
        } catch (error) {
          if (!isNamespaceTerminating(error) && !hasReason(error, "NotFound")) throw error;
        }
        return done;
      },
    };
  },
});
