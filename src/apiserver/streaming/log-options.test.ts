import assert from "node:assert/strict";
import { test } from "node:test";
import { logQuery } from "./log-options.ts";

const ask = (query: string, streams = false): string => {
  try {
    return logQuery(new URLSearchParams(query), "p", { streams }).toString();
  } catch (error) {
    return (error as Error).message;
  }
};
const invalid = (words: string) => `PodLogOptions "p" is invalid: ${words}`;

test("what a client asks of a log is checked as upstream checks it", () => {
  const rows: readonly (readonly [query: string, answer: string])[] = [
    ["", ""],
    ["tailLines=-1", invalid("tailLines: Invalid value: -1: must be greater than or equal to 0")],
    ["tailLines=0", "tailLines=0"],
    ["tailLines=x", 'strconv.ParseInt: parsing "x": invalid syntax'],
    ["tailLines=", 'strconv.ParseInt: parsing "": invalid syntax'],
    ["tailLines=9223372036854775808", 'strconv.ParseInt: parsing "9223372036854775808": value out of range'],
    ["limitBytes=0", invalid("limitBytes: Invalid value: 0: must be greater than 0")],
    ["sinceSeconds=0", invalid("sinceSeconds: Invalid value: 0: must be greater than 0")],
    [
      "sinceSeconds=5&sinceTime=2026-01-01T00:00:00Z",
      invalid("[]: Forbidden: at most one of `sinceTime` or `sinceSeconds` may be specified"),
    ],
    ["sinceTime=x", 'parsing time "x" as "2006-01-02T15:04:05Z07:00": cannot parse "x" as "2006"'],
    ["sinceTime=2026-01-01T00:00:00.5Z", "sinceTime=2026-01-01T00%3A00%3A00Z"],
    ["stream=All", invalid("stream: Forbidden: may not be specified")],
    ["follow=maybe", "follow=true"],
    ["follow=False", ""],
    [
      "tailLines=-1&limitBytes=0&sinceSeconds=0&stream=Foo",
      invalid(
        "[tailLines: Invalid value: -1: must be greater than or equal to 0, limitBytes: Invalid value: 0: must be greater than 0, sinceSeconds: Invalid value: 0: must be greater than 0, stream: Forbidden: may not be specified]",
      ),
    ],
  ];
  for (const [query, answer] of rows) assert.equal(ask(query), answer, query);
});

test("where one output can be asked for, it is one of the three, and whole", () => {
  const exclusive = "[]: Forbidden: `tailLines` and specific `stream` are mutually exclusive for now";
  assert.equal(ask("", true), "stream=All");
  assert.equal(ask("stream=All&tailLines=5", true), "stream=All&tailLines=5");
  assert.equal(ask("stream=Stdout&tailLines=5", true), invalid(exclusive));
  assert.equal(
    ask("stream=Foo", true),
    invalid('stream: Unsupported value: "Foo": supported values: "All", "Stderr", "Stdout"'),
  );
});
