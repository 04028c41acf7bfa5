import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { test } from "node:test";
import { simulatedWorld } from "../testing/sim/world.ts";
import { ensurePki } from "./pki.ts";

test("certificates are made once, chain to the CA, carry upstream's identities, and keep their keys private", async () => {
  const world = simulatedWorld(1);
  const pki = await ensurePki(world, "/pki", ["t8s"], ["10.96.0.1"]);
  const ca = new X509Certificate(pki.ca.cert);
  const server = new X509Certificate(pki.apiserver.cert);
  assert.ok(server.verify(ca.publicKey));
  assert.match(server.subjectAltName!, /DNS:kubernetes\.default\.svc.*DNS:t8s.*IP Address:10\.96\.0\.1/);
  const { client } = await pki.node("node-1", ["192.0.2.1"]);
  assert.equal(new X509Certificate(client.cert).subject, "O=system:nodes\nCN=system:node:node-1");
  assert.equal((await world.fs.stat("/pki/apiserver.key"))!.mode, 0o600);
  const again = await ensurePki(world, "/pki", ["t8s"], ["10.96.0.1"]);
  assert.equal(again.apiserver.cert, pki.apiserver.cert);
});

test("a certificate is made again when it is asked to cover a new name or is near its end", async () => {
  const world = simulatedWorld(2);
  const before = await ensurePki(world, "/pki", [], []);
  const renamed = await ensurePki(world, "/pki", ["new.example"], []);
  assert.notEqual(renamed.apiserver.cert, before.apiserver.cert);
  assert.equal(renamed.ca.cert, before.ca.cert);
  world.clock.jump(340 * 24 * 3_600_000);
  const later = await ensurePki(world, "/pki", ["new.example"], []);
  assert.notEqual(later.apiserver.cert, renamed.apiserver.cert);
  assert.equal(later.ca.cert, before.ca.cert);
});
