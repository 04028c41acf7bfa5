/**
 * An API server in virtual time whose store is away now and then, in the middle of whatever it does by itself: definitions that come and go, extension
 * servers, services, policies. It never ends, and all is in order some time after the store is back.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { startServer } from "../../src/apiserver/testing/harness.ts";
import { FakeEtcd } from "../../src/apiserver/testing/fake-etcd.ts";
import { simulatedWorld } from "../../src/testing/sim/world.ts";
import { SeededRandom } from "../../src/testing/sim/random.ts";
import { RpcError } from "../../src/wire/rpc/service.ts";
import { randomInt } from "../../src/world/world.ts";

/** A store that refuses, or takes and doesn't say so, as often as `failing` says. */
function unreliable(random: SeededRandom): { readonly etcd: FakeEtcd; failing: number } {
  const etcd = new FakeEtcd();
  const { kv } = etcd;
  const store = { etcd, failing: 0 };
  const away = () => new RpcError("Unavailable", "the store is away");
  const through =
    <Request, Answer>(call: (request: Request) => Promise<Answer>) =>
    async (request: Request): Promise<Answer> => {
      if (random.next() < store.failing) throw away();
      const answer = await call(request);
      if (random.next() < store.failing / 2) throw away();
      return answer;
    };
  Object.assign(etcd, {
    kv: { ...kv, Range: through(kv.Range), Txn: through(kv.Txn) },
  });
  return store;
}

const definition = (n: number) => ({
  apiVersion: "apiextensions.k8s.io/v1",
  kind: "CustomResourceDefinition",
  metadata: { name: `things.g${n}.io` },
  spec: {
    group: `g${n}.io`,
    scope: "Namespaced",
    names: { plural: "things", kind: "Thing" },
    versions: [
      {
        name: "v1",
        served: true,
        storage: true,
        schema: { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } },
      },
    ],
  },
});

const apiService = (n: number) => ({
  metadata: { name: `v1.far${n}.io` },
  spec: {
    group: `far${n}.io`,
    version: "v1",
    groupPriorityMinimum: 100,
    versionPriority: 1,
    insecureSkipTLSVerify: true,
    service: { name: `s${n}`, namespace: "default" },
  },
});

const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
const API_SERVICES = "/apis/apiregistration.k8s.io/v1/apiservices";
const SERVICES = "/api/v1/namespaces/default/services";

for (const seed of [1, 2, 3])
  test(`whatever fails of the store, the server lives on and makes up for it, seed ${seed}`, async () => {
    const world = simulatedWorld(seed);
    const random = new SeededRandom(`outage ${seed}`);
    const store = unreliable(random);
    /** What a promise comes to, letting virtual time pass. */
    const settled = async <T>(promise: Promise<T>): Promise<T> => {
      let over = false;
      const end = () => {
        over = true;
      };
      promise.then(end, end);
      await world.clock.until(() => over, 10 * 60_000);
      return promise;
    };
    const harness = await settled(startServer(world, { serviceClusterIpRange: "10.96.0.0/16" }, store.etcd));
    const { transport } = harness.client();
    const ask = async (method: string, path: string, body?: object): Promise<any> => {
      try {
        return await settled(transport.send({ method, path, ...(body && { body }) } as never));
      } catch (error) {
        return { error };
      }
    };
    const pick = (count: number) => randomInt(random, count);
    const acts = [
      () => ask("POST", CRDS, definition(pick(4))),
      () => ask("DELETE", `${CRDS}/things.g${pick(4)}.io`),
      () => {
        const n = pick(4);
        return ask("POST", `/apis/g${n}.io/v1/namespaces/default/things`, {
          apiVersion: `g${n}.io/v1`,
          kind: "Thing",
          metadata: { generateName: "thing-" },
        });
      },
      () => ask("POST", API_SERVICES, apiService(pick(3))),
      () => ask("DELETE", `${API_SERVICES}/v1.far${pick(3)}.io`),
      () =>
        ask("POST", SERVICES, {
          metadata: { name: `s${pick(3)}` },
          spec: { type: "NodePort", ports: [{ port: 443 }] },
        }),
      () => ask("DELETE", `${SERVICES}/s${pick(3)}`),
      () => ask("POST", "/api/v1/namespaces", { metadata: { name: `n${pick(4)}` } }),
      () => ask("DELETE", `/api/v1/namespaces/n${pick(4)}`),
      () => ask("GET", `${CRDS}?limit=1`),
      () => ask("GET", "/api/v1/services"),
    ];
    for (let step = 0; step < 400; step++) {
      store.failing = [0, 0.1, 0.5, 1][Math.floor(step / 25) % 4]!;
      if (pick(20) === 0) store.etcd.disconnect();
      await acts[pick(acts.length)]!();
      if (pick(5) === 0) await world.clock.advance(pick(40_000));
    }
    store.failing = 0;
    await world.clock.advance(5 * 60_000);
    for (let n = 0; n < 4; n++) {
      await ask("DELETE", `${CRDS}/things.g${n}.io`);
      await world.clock.advance(60_000);
      const gone = await ask("GET", `${CRDS}/things.g${n}.io`);
      assert.equal(gone.error?.code, 404, JSON.stringify([gone, String(gone.error)]));
      assert.equal((await ask("POST", CRDS, definition(n))).error, undefined);
      await world.clock.advance(10_000);
      const path = `/apis/g${n}.io/v1/namespaces/default/things`;
      assert.deepEqual((await ask("GET", path)).items, [], "what a definition had goes with it");
    }
    for (let n = 0; n < 3; n++) {
      await ask("DELETE", `${SERVICES}/s${n}`);
      await ask("DELETE", `${API_SERVICES}/v1.far${n}.io`);
      assert.equal((await ask("POST", API_SERVICES, apiService(n))).error, undefined);
      await world.clock.advance(2_000);
      const { status } = await ask("GET", `${API_SERVICES}/v1.far${n}.io`);
      assert.equal(status?.conditions?.[0]?.reason, "ServiceNotFound");
    }
    for (const name of ["default", "kube-system", "kube-public", "kube-node-lease"])
      assert.equal((await ask("GET", `/api/v1/namespaces/${name}`)).error, undefined);
    const { items } = await ask("GET", "/api/v1/services");
    assert.deepEqual(
      items.map(({ metadata }: any) => metadata.name),
      ["kubernetes"],
    );
    await settled(Promise.resolve(harness[Symbol.asyncDispose]()));
  });
