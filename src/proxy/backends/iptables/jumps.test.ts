import assert from "node:assert/strict";
import { test } from "node:test";
import { JUMPS, missingJumps, parseSave } from "./jumps.ts";

const wanted = { canary: "KUBE-PROXY-CANARY", firewall: true };
const empty = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n";

/** As iptables-save shows what the input made. */
const saved = (input: string): string => input.replaceAll(/^-I /gm, "-A ");

test("in an empty kernel every chain is made once and every jump is inserted", () => {
  const input = missingJumps(parseSave(empty), wanted);
  assert.equal(input.match(/^-I /gm)?.length, JUMPS.length);
  assert.equal(input.match(/^:KUBE-SERVICES /gm)?.length, 2, "one in nat, one in filter");
  assert.equal(input.match(/^:KUBE-PROXY-CANARY /gm)?.length, 3);
  assert.match(
    input,
    /^-I INPUT -m conntrack --ctstate NEW -m comment --comment "kubernetes load balancer firewall" -j KUBE-PROXY-FIREWALL$/m,
  );
});

test("what is there is neither made nor inserted again", () => {
  assert.equal(missingJumps(parseSave(saved(missingJumps(parseSave(empty), wanted))), wanted), "");
});

test("a chain that is there is not named, since that would empty it, when only its jump is missing", () => {
  const all = saved(missingJumps(parseSave(empty), wanted));
  const without = all.replace(/^-A PREROUTING .*\n/m, "");
  assert.equal(
    missingJumps(parseSave(without), wanted),
    '*nat\n-I PREROUTING -m comment --comment "kubernetes service portals" -j KUBE-SERVICES\nCOMMIT\n',
  );
});

test("the same jump for another reason is another jump", () => {
  const all = saved(missingJumps(parseSave(empty), wanted));
  const other = all.replace(
    '-A PREROUTING -m comment --comment "kubernetes service portals"',
    '-A PREROUTING -m comment --comment "mine"',
  );
  assert.match(missingJumps(parseSave(other), wanted), /-I PREROUTING/);
});
