/** A kind of custom object with CEL rules of every common sort, for load and benchmarks. */

interface Rule {
  readonly rule: string;
  readonly message?: string;
}

export const widgetDefinition = (group: string, ...moreRules: readonly Rule[]) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `widgets.${group}` },
  spec: {
    group: group,
    scope: "Namespaced",
    names: { plural: "widgets", singular: "widget", kind: "Widget", listKind: "WidgetList" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: {
          openAPIV3Schema: {
            type: "object",
            properties: {
              spec: {
                type: "object",
                required: ["replicas", "name"],
                properties: {
                  replicas: { type: "integer", minimum: 0 },
                  max: { type: "integer", default: 10 },
                  name: { type: "string", maxLength: 63 },
                  parts: {
                    type: "array",
                    maxItems: 10,
                    items: {
                      type: "object",
                      properties: { name: { type: "string", maxLength: 63 }, size: { type: "integer" } },
                    },
                  },
                },
                "x-kubernetes-validations": [
                  { rule: "self.replicas <= self.max", message: "no more replicas than max" },
                  { rule: "self.name.startsWith('w')" },
                  { rule: "!has(self.parts) || self.parts.all(part, part.size > 0)" },
                  ...moreRules,
                ],
              },
            },
          },
        },
      },
    ],
  },
});
