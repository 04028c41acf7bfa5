/** What any answer has to be, whatever was asked. */
import assert from "node:assert/strict";
import type { Answer } from "./ask.ts";

/** An answer that a client can read: never a failure of the server, but for the few that upstream has as bare 500s. */
const BARE =
  /^(resourceVersion should not be set on objects to be created|resourceVersion: Invalid value: |failed to create typed |Invalid JSON Document|map: [^]*? does not contain declared merge key|unknown patch type|expected a \S+( \{\})?, but received a |unable to find api field in struct |list element types are not identical: |merging an object in json but data type is not struct|merging lists cannot yet be specified in the patch|cannot merge lists without merge key |no elements in any of the given slices|The order in patch list:|unexpected patch strategy: |etcdserver: request is too large)/;

export function assertReadable(answer: Answer, what: string): void {
  const text = answer.body.toString();
  if (answer.status < 400) return;
  // So says upstream of a path that is none, and nothing at all of a document of OpenAPI that isn't there.
  if (text === "404 page not found\n" || (answer.status === 404 && text === "")) return;
  if (answer.status === 400 && text === "400 Bad Request") return;
  let status: any;
  try {
    status = JSON.parse(text);
  } catch {
    assert.fail(`${what}: ${answer.status} ${text.slice(0, 500)}`);
  }
  assert.deepEqual([status.kind, status.status, status.code], ["Status", "Failure", answer.status], what);
  if (answer.status === 500 && BARE.test(status.message)) return;
  assert.ok(answer.status < 500 || answer.status === 504, `${what}: ${text.slice(0, 500)}`);
  assert.ok(status.reason && status.message, what);
}
