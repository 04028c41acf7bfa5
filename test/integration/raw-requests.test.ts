/** HTTP/1.1 byte for byte: what the API server says to each request of the table is what a kube-apiserver 1.36.2 said. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { after, test } from "node:test";
import { connect } from "node:tls";
import { selfSigned, signed } from "../../src/cli/certificates.ts";
import { machineWorld } from "../../src/cli/world.ts";
import { startServer } from "../../src/apiserver/testing/harness.ts";
import { RAW_REQUESTS } from "./raw-requests/requests.ts";

/** With what the connection's end was: by the server, or none within the time that was waited. */
const ANSWERS = JSON.parse(readFileSync(join(import.meta.dirname, "raw-requests/answers.json"), "utf8")) as Readonly<
  Record<string, string>
>;

const world = machineWorld();
const ca = await selfSigned(world, "ca");
const serving = await signed(world, ca, {
  commonName: "kube-apiserver",
  names: ["localhost"],
  addresses: ["127.0.0.1"],
  usages: ["server"],
});
const harness = await startServer(world, {
  secure: { bindAddress: "127.0.0.1", port: 0, ...serving },
  staticTokens: new Map([
    ["secret", { name: "admin", groups: ["system:masters"] }],
    ["other", { name: "someone", groups: ["someone"] }],
  ]),
  disableAdmissionPlugins: ["ServiceAccount"],
});
const { port } = harness.server.address!;
after(() => harness[Symbol.asyncDispose]());

/** What is another with each answer, or with each server. */
const masked = (text: string) => text.replaceAll(/^(Date|Audit-Id|X-Kubernetes-Pf-[A-Za-z-]+): .*\r$/gim, "$1: *\r");

/** Says the pieces, the next when the answer to the last is there, and gives what it hears until the end or until it has heard what it expects. */
function speak(pieces: readonly string[], expected: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: "127.0.0.1",
      port,
      ca: ca.cert,
      servername: "localhost",
      ALPNProtocols: ["http/1.1"],
    });
    let heard = "";
    let said = 0;
    const late = setTimeout(() => done("<open>"), 30_000);
    const done = (how: string) => {
      clearTimeout(late);
      socket.destroy();
      resolve(masked(heard) + how);
    };
    const say = () => void socket.write(Buffer.from(pieces[said++]!, "latin1"));
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      heard += text;
      if (said < pieces.length && expected.startsWith(masked(heard)) && heard.includes("\r\n\r\n")) say();
      else if (`${masked(heard)}<open>` === expected) done("<open>");
    });
    socket.on("end", () => done("<end>"));
    socket.on("error", reject);
    socket.on("secureConnect", say);
  });
}

/** Where ours differs, and how. */
const DIFFERENT: Readonly<Record<string, (answer: string) => string>> = {
  "HTTP/2's preface": (answer) =>
    answer.replace("Connection: close\r\n", "").replace(/(Content-Length: .*\r\n)/, "$1Connection: close\r\n"),
  // Upstream waits for the body that it asked for no more.
  "an expectation where nobody reads": (answer) => answer.replace("<open>", "<end>"),
};

test("every answer was taken down", () => {
  assert.deepEqual(
    Object.keys(ANSWERS),
    RAW_REQUESTS.map(({ name }) => name),
  );
});

for (const { name, send } of RAW_REQUESTS)
  test(`${name} is answered as upstream answers it`, async () => {
    const answer = ANSWERS[name]!;
    const expected = DIFFERENT[name]?.(answer) ?? answer;
    assert.equal(await speak(send, expected), expected);
  });
