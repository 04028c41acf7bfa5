import assert from "node:assert/strict";
import { test } from "node:test";
import {
  acceptNames,
  approval,
  established,
  nonStructural,
  Structures,
  takenNames,
  withConditions,
} from "./conditions.ts";

const definition = (name: string, names: object, more: object = {}): any => ({
  metadata: { name },
  spec: { group: "example.com", names },
  ...more,
});
const other = definition(
  "cats.example.com",
  {},
  {
    status: { acceptedNames: { plural: "cats", singular: "cat", shortNames: ["c"], kind: "Cat", listKind: "CatList" } },
  },
);

test("each name that another definition of the group has is refused in upstream's words, the last one is told", () => {
  const free = { plural: "dogs", singular: "dog", shortNames: ["d"], kind: "Dog", listKind: "DogList" };
  const table: readonly (readonly [object, string, string])[] = [
    [{}, "NoConflicts", "no conflicts found"],
    [{ plural: "cats" }, "PluralConflict", '"cats" is already in use'],
    [{ singular: "c" }, "SingularConflict", '"c" is already in use'],
    [{ shortNames: ["d", "c"] }, "ShortNamesConflict", '"c" is already in use'],
    [{ shortNames: ["cat", "c"] }, "ShortNamesConflict", '["cat" is already in use, "c" is already in use]'],
    [{ kind: "Cat" }, "KindConflict", '"Cat" is already in use'],
    [{ listKind: "CatList" }, "ListKindConflict", '"CatList" is already in use'],
    [{ plural: "cats", kind: "Cat" }, "KindConflict", '"Cat" is already in use'],
  ];
  for (const [change, reason, message] of table) {
    const mine = definition("mine.example.com", { ...free, ...change });
    const { names, condition } = acceptNames(mine, takenNames(mine, [mine, other]));
    assert.deepEqual([condition.reason, condition.message], [reason, message]);
    for (const field of Object.keys(change)) assert.ok(!(names as any)[field], field);
    assert.equal(established(mine, condition).status, reason === "NoConflicts" ? "True" : "False");
  }
});

test("names of another group are free, and who is established stays so", () => {
  const mine = definition("cats.example.com", { plural: "cats", kind: "Cat" });
  assert.equal(acceptNames(mine, takenNames(mine, [{ ...other, spec: { group: "other.com" } }])).names.plural, "cats");
  const conditions = [{ type: "Established", status: "True" }];
  const refused = { type: "NamesAccepted", status: "False" as const, reason: "KindConflict", message: "" };
  assert.equal(established({ ...mine, status: { conditions } }, refused).status, "True");
});

test("a group of the community needs an approval", () => {
  const of = (group: string, annotation?: string) => {
    const annotations = annotation === undefined ? {} : { "api-approved.kubernetes.io": annotation };
    const found = approval({ metadata: { name: "x", annotations }, spec: { group } } as any);
    return found && `${found.status} ${found.reason}`;
  };
  assert.equal(of("example.com"), undefined);
  assert.equal(of("notk8s.io"), undefined);
  assert.equal(of("x.k8s.io"), "False MissingAnnotation");
  assert.equal(of("kubernetes.io", "unapproved, experimental"), "False UnapprovedAnnotation");
  assert.equal(of("k8s.io", "https://github.com/kubernetes/kubernetes/pull/1"), "True ApprovedAnnotation");
  assert.equal(of("k8s.io", "yes"), "False InvalidAnnotation");
});

test("a condition's time is that of its last change of status", () => {
  const [first] = withConditions([], [{ type: "A", status: "False", reason: "R", message: "m" }], "t1");
  assert.equal(first!.lastTransitionTime, "t1");
  const second = withConditions([first!], [{ type: "A", status: "False", reason: "S", message: "m" }], "t2");
  assert.deepEqual([second[0]!.reason, second[0]!.lastTransitionTime], ["S", "t1"]);
  const third = withConditions(second, [{ type: "A", status: "True", reason: "S", message: "m" }], "t3");
  assert.equal(third[0]!.lastTransitionTime, "t3");
  assert.equal(withConditions(third, [{ type: "A", status: "True", reason: "S", message: "m" }], "t4"), third);
});

test("a definition from before schemas had to be structural says what isn't", () => {
  const of = (schema: object, more: object = {}) =>
    nonStructural({
      metadata: { name: "x" },
      spec: { group: "example.com", versions: [{ name: "v1", schema: { openAPIV3Schema: schema } }], ...more },
    } as any);
  assert.equal(of({ type: "object" }), undefined);
  const path = "spec.versions[0].schema.openAPIV3Schema";
  assert.deepEqual(of({ type: "object", properties: { a: {} } }), {
    type: "NonStructuralSchema",
    status: "True",
    reason: "Violations",
    message: `${path}.properties[a].type: Required value: must not be empty for specified object fields`,
  });
  assert.match(
    of({}, { preserveUnknownFields: true })!.message!,
    /^\[spec\.preserveUnknownFields: .*, spec\.versions.*\]$/,
  );
  assert.deepEqual(of({ type: "object", $ref: "x" })!.reason, "StructuralError");
});

test("what isn't structural is told again only of a definition that has changed", () => {
  const structures = new Structures();
  const odd = (type: string) => {
    const versions = [{ name: "v1", schema: { openAPIV3Schema: { type: "object", properties: { a: { type } } } } }];
    return structures.oddityOf({ metadata: { name: "a" }, spec: { versions } } as any);
  };
  const first = odd("");
  assert.equal(
    first?.message?.endsWith("properties[a].type: Required value: must not be empty for specified object fields"),
    true,
  );
  assert.equal(odd(""), first);
  assert.equal(odd("string"), undefined);
  assert.notEqual(odd(""), first);
});
