/**
 * What upstream's security advisories were about stays closed here. Others have their tests where the subject is: watches, leases and inner
 * transactions that went around permissions (`auth/store.test.ts`, `auth.test.ts`), passwords in the log (`auth.test.ts`), tokens that sign
 * themselves (`auth/tokens.test.ts`), revoked certificates by way of one protocol (`test/integration/etcd-tls.test.ts`).
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { isEtcdError } from "../protocols/etcd/errors.ts";
import { EtcdMembers } from "../testing/etcd-members.ts";
import { simulatedWorld } from "../testing/sim/world.ts";
import type { Init } from "../wire/rpc/service.ts";
import type { RequestOp } from "../protocols/etcd/generated.ts";
import { kvService } from "./api/kv.ts";
import type { Member } from "./member.ts";
import type { EtcdOptions } from "./options.ts";
import { peerHandler } from "./peer/handler.ts";

async function withMember(
  options: Partial<EtcdOptions>,
  body: (member: Member, members: EtcdMembers) => Promise<void>,
) {
  const world = simulatedWorld(1);
  const members = new EtcdMembers(world, options);
  let done = false;
  const work = (async () => {
    await members.start(["a"]);
    await body(await members.untilLeader(), members);
    await members.stop();
  })().finally(() => (done = true));
  work.catch(() => {});
  await world.clock.until(() => done, 600_000);
  await work;
}

const big: Init<RequestOp> = { request_put: { key: Buffer.from("k"), value: Buffer.alloc(300_000) } };

for (const [name, txn] of [
  ["a transaction", { success: [big] }],
  ["its other branch", { failure: [big] }],
  ["an inner transaction", { success: [{ request_txn: { success: [big] } }] }],
  [
    "an inner transaction's other branch",
    { success: [{ request_txn: { failure: [{ request_txn: { success: [big] } }] } }] },
  ],
] as const)
  test(`a put in ${name} is counted by the quota, and refused where there is no room`, async () => {
    await withMember({ quotaBackendBytes: 200_000 }, async (member) => {
      const asked = async () => kvService(member).Txn(txn);
      await assert.rejects(asked, (error) => isEtcdError(error, "noSpace"));
      await member.propose({ alarm: { action: "ACTIVATE", memberID: member.id, alarm: "NOSPACE" } });
      // What others had proposed before the alarm is refused when its turn comes.
      await assert.rejects(member.propose({ txn }), (error) => isEtcdError(error, "noSpace"));
      assert.equal(member.store.keys, 0);
    });
  });

test("a body without an end is not collected on the peers' port", async () => {
  await withMember({}, async (member, { world }) => {
    let asked = 0;
    await using listener = await world.net.serveHttp({ port: 0 }, peerHandler(member));
    await using http = world.net.httpClient({ base: `http://127.0.0.1:${listener.address.port}`, version: "1.1" });
    const body = (async function* () {
      for (; asked < 10_000; asked++) yield new Uint8Array(16 * 1024);
    })();
    const { status } = await http.request({ method: "POST", path: "/leases", body });
    assert.equal(status, 413);
    assert.ok(asked < 100, `${asked} pieces were taken`);
  });
});
