/** Binds a pod through its `binding` subresource. Upstream: pkg/scheduler/framework/plugins/defaultbinder */
import { pods } from "../../client/resources.ts";
import { definePlugin } from "../framework.ts";

export const defaultBinder = definePlugin({
  name: "DefaultBinder",
  create: ({ client }) => ({
    retryOn: [],
    async bind({ metadata: { namespace = "", name, uid } }, nodeName, signal) {
      const binding = {
        apiVersion: "v1",
        kind: "Binding",
        metadata: { namespace, name, uid },
        target: { kind: "Node", name: nodeName },
      };
      await client.createSubresource(pods, { namespace, name }, "binding", binding, {
        signal,
        fieldManager: "kube-scheduler",
      });
    },
  }),
});
