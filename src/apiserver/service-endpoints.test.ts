import assert from "node:assert/strict";
import { test } from "node:test";
import type { EndpointSlice } from "../api/generated/discovery.v1.ts";
import { readyEndpoints, slicesOf } from "./service-endpoints.ts";

const slice = (service: string, ports: object[], endpoints: object[]) =>
  ({ metadata: { labels: { "kubernetes.io/service-name": service } }, ports, endpoints }) as unknown as EndpointSlice;

test("requests go to the ready endpoints behind the port of that name", () => {
  const slices = [
    slice(
      "web",
      [{ name: "http", port: 8080 }, { port: 9 }],
      [
        { addresses: ["10.0.0.1", "10.0.0.9"], conditions: { ready: true } },
        { addresses: ["10.0.0.2"], conditions: { ready: false } },
        { addresses: ["10.0.0.3"] },
      ],
    ),
    slice("other", [{ name: "http", port: 1 }], [{ addresses: ["10.0.0.4"] }]),
  ];
  const own = slicesOf({ list: () => slices }, "default", "web");
  assert.deepEqual(readyEndpoints(own, "http"), [
    { ip: "10.0.0.1", port: 8080 },
    { ip: "10.0.0.3", port: 8080 },
  ]);
  assert.deepEqual(
    readyEndpoints(own).map(({ port }) => port),
    [9, 9],
  );
  assert.deepEqual(readyEndpoints(own, "https"), []);
});
