import assert from "node:assert/strict";
import { test } from "node:test";
import type { Services, WriteContext } from "../registry/context.ts";
import type { Attributes } from "./authorizer.ts";
import { podCertificateRefusals } from "./status-access.ts";

const allowing = (...rights: readonly string[]): Services =>
  ({
    authorizer: {
      authorize: ({ verb, resource, name }: Attributes) => ({
        decision: rights.includes(`${verb} ${resource} ${name}`) ? "allow" : "no opinion",
        reason: "",
      }),
    },
  }) as unknown as Services;
const context = { user: { name: "eve", groups: [] } } as unknown as WriteContext;
const request = (status: object) => ({ spec: { signerName: "example.com/signer" }, status });
const refusals = (services: Services, status: object) =>
  podCertificateRefusals(services, context, request(status), request({}));

test("who may not sign for a signer says nothing of how its requests end", async () => {
  const said = await refusals(allowing(), { conditions: [], notBefore: "now" });
  assert.deepEqual(
    said.map(({ field, message }) => `${field}: ${message}`),
    ['spec.signerName: Forbidden: User "eve" is not permitted to "sign" for signer "example.com/signer"'],
  );
});

test("the right to sign is for a signer, or for all of its domain", async () => {
  for (const name of ["example.com/signer", "example.com/*"])
    assert.deepEqual(await refusals(allowing(`sign signers ${name}`), { notBefore: "now" }), []);
  assert.equal((await refusals(allowing("sign signers example.com/other"), { notBefore: "now" })).length, 1);
});

test("a write that changes nothing of the status takes no right", async () => {
  assert.deepEqual(await refusals(allowing(), {}), []);
});
