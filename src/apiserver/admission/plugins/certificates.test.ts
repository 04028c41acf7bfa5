import assert from "node:assert/strict";
import { after, test } from "node:test";
import { machineWorld } from "../../../cli/world.ts";
import { StatusError } from "../../../machinery/status.ts";
import { startServer } from "../../testing/harness.ts";
import { parseSigningRequest } from "../../../machinery/pki/signing-request.ts";

const harness = await startServer(machineWorld());
after(() => harness[Symbol.asyncDispose]());

const tlv = (type: number, ...content: readonly Uint8Array[]): Buffer => {
  const body = Buffer.concat(content);
  const length = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 255];
  return Buffer.concat([Buffer.from([type, ...length]), body]);
};
const attribute = (last: number, value: string) =>
  tlv(0x31, tlv(0x30, tlv(0x06, Buffer.from([0x55, 0x04, last])), tlv(0x0c, Buffer.from(value))));
/** As much of a request as anybody here looks at. */
function requestOf(...organizations: readonly string[]): string {
  const subject = tlv(0x30, attribute(3, "jane"), ...organizations.map((name) => attribute(10, name)));
  const der = tlv(0x30, tlv(0x30, tlv(0x02, Buffer.from([0])), subject, tlv(0x30)), tlv(0x30), tlv(0x03));
  return `-----BEGIN CERTIFICATE REQUEST-----\n${der.toString("base64")}\n-----END CERTIFICATE REQUEST-----\n`;
}

test("the organisations of a request are found in its subject", () => {
  assert.deepEqual(parseSigningRequest(requestOf("dev", "ops")).organizations, ["dev", "ops"]);
  assert.deepEqual(parseSigningRequest(requestOf()).organizations, []);
  assert.throws(() => parseSigningRequest("nothing"), /PEM block type must be CERTIFICATE REQUEST/);
});

test("nobody asks for a client certificate of the group that may do everything", async () => {
  const { transport } = harness.client();
  const ask = (name: string, signerName: string, ...organizations: readonly string[]) =>
    transport.send({
      method: "POST",
      path: "/apis/certificates.k8s.io/v1/certificatesigningrequests",
      body: {
        metadata: { name },
        spec: {
          signerName,
          usages: ["client auth"],
          request: Buffer.from(requestOf(...organizations)).toString("base64"),
        },
      },
    });
  await assert.rejects(
    ask("masters", "kubernetes.io/kube-apiserver-client", "dev", "system:masters"),
    (error: StatusError) => {
      assert.equal(
        error.message,
        'certificatesigningrequests.certificates.k8s.io "masters" is forbidden: use of kubernetes.io/kube-apiserver-client signer with system:masters group is not allowed',
      );
      return true;
    },
  );
});
