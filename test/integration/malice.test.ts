/** Who means ill of the API server, on real sockets: each attack has upstream's answer, and what was stored before is there afterwards. */
import assert from "node:assert/strict";
import { after, describe, test } from "node:test";
import { connect } from "node:tls";
import { gzipSync } from "node:zlib";
import { selfSigned, signed } from "../../src/cli/certificates.ts";
import { startServer } from "../../src/apiserver/testing/harness.ts";
import { machineWorld } from "../../src/cli/world.ts";
import { stackHolds } from "../../src/machinery/codec/json-text.ts";

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
  staticTokens: new Map([["secret", { name: "admin", groups: ["system:masters"] }]]),
  disableAdmissionPlugins: ["ServiceAccount"],
});
const { port } = harness.server.address!;
const AUTHORIZATION = "Authorization: Bearer secret";
const MAPS = "/api/v1/namespaces/default/configmaps";

/** Bytes to the server on a connection of their own: all it says until it closes, or until `enough` of it was seen. */
function speak(pieces: readonly (string | Uint8Array)[], enough: RegExp = /$^/): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ host: "127.0.0.1", port, ca: ca.cert, servername: "localhost" });
    let seen = "";
    const end = () => {
      socket.destroy();
      resolve(seen);
    };
    socket.setEncoding("latin1");
    socket.on("data", (text: string) => {
      seen += text;
      if (enough.test(seen)) end();
    });
    socket.on("close", () => resolve(seen));
    socket.on("error", (error: NodeJS.ErrnoException) => (error.code === "ECONNREFUSED" ? reject(error) : end()));
    socket.on("secureConnect", () => {
      for (const piece of pieces) socket.write(piece);
    });
  });
}

const head = (...lines: readonly string[]) => `${[...lines, "", ""].join("\r\n")}`;
const statuses = (answer: string) => [...answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, code]) => Number(code));

/** One request, and the connection ends with its answer. */
async function ask(
  method: string,
  path: string,
  type = "application/json",
  body: string | Uint8Array = "",
  more: readonly string[] = [],
) {
  const bytes = Buffer.from(body);
  const answer = await speak([
    head(
      `${method} ${path} HTTP/1.1`,
      "Host: localhost",
      AUTHORIZATION,
      "Connection: close",
      `Content-Type: ${type}`,
      `Content-Length: ${bytes.length}`,
      ...more,
    ),
    bytes,
  ]);
  const cut = answer.indexOf("\r\n\r\n");
  const raw = Buffer.from(answer.slice(cut + 4), "latin1").toString();
  const text = /^transfer-encoding: chunked/im.test(answer.slice(0, cut))
    ? raw.replaceAll(/(^|\r\n)[0-9a-f]+\r\n/g, "")
    : raw;
  return { status: statuses(answer)[0]!, text, json: (text.startsWith("{") ? JSON.parse(text) : {}) as any };
}

const MERGE = "application/merge-patch+json";
const STRATEGIC = "application/strategic-merge-patch+json";
const JSON_PATCH = "application/json-patch+json";
const APPLY = "application/apply-patch+yaml";
const YAML = "application/yaml";
const JSON_TYPE = "application/json";

/** `__proto__` isn't what an object literal makes of it. */
const DATA = '{"__proto__":"1","constructor":"2","hasOwnProperty":"4","toString":"3"}';
const LABELS = '{"constructor":"a","toString":"b","valueOf":"c"}';
const configMap = (name: string) =>
  `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"${name}","labels":${LABELS},"annotations":${LABELS}},"data":${DATA}}`;

await ask("POST", MAPS, JSON_TYPE, configMap("kept"));
after(async () => {
  const { json } = await ask("GET", `${MAPS}/kept`);
  assert.equal(JSON.stringify(json.data), DATA, "what was stored before has not noticed");
  assert.equal(Object.keys(Object.prototype).length, 0);
  await harness[Symbol.asyncDispose]();
});

describe("names of JavaScript's own are keys like any others", () => {
  const assertData = ({ json, text }: { json: any; text: string }, data: string) =>
    assert.equal(JSON.stringify(json.data), data, text);

  test("in JSON and YAML", async () => {
    for (const [name, type] of [
      ["json", JSON_TYPE],
      ["yaml", YAML],
    ] as const) {
      const made = await ask("POST", MAPS, type, configMap(name));
      assert.equal(made.status, 201, made.text);
      const read = await ask("GET", `${MAPS}/${name}`);
      assertData(read, DATA);
      assert.equal(JSON.stringify(read.json.metadata.labels), LABELS);
      assert.equal(JSON.stringify(read.json.metadata.annotations), LABELS);
    }
    const block = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: block}\ndata:\n  __proto__: "1"\n  constructor: "2"\n`;
    assertData(await ask("POST", MAPS, YAML, block), '{"__proto__":"1","constructor":"2"}');
    const listed = await ask("GET", `${MAPS}?labelSelector=constructor%3Da,!hasOwnProperty`);
    assert.deepEqual(
      listed.json.items.map(({ metadata }: any) => metadata.name),
      ["json", "kept", "yaml"],
    );
  });

  for (const [name, type] of [
    ["merge", MERGE],
    ["strategic", STRATEGIC],
  ] as const)
    test(`in a ${name} patch`, async () => {
      await ask("POST", MAPS, JSON_TYPE, `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"${name}"}}`);
      const patch = (body: string) => ask("PATCH", `${MAPS}/${name}`, type, body);
      assertData(await patch(`{"data":${DATA}}`), DATA);
      const changed = await patch('{"data":{"__proto__":"9","constructor":null,"toString":null}}');
      assertData(changed, '{"__proto__":"9","hasOwnProperty":"4"}');
      assertData(await patch('{"data":{"__proto__":null}}'), '{"hasOwnProperty":"4"}');
      const odd = await patch('{"__proto__":{"data":{"a":"b"}},"constructor":{"prototype":{"x":1}}}');
      assertData(odd, '{"hasOwnProperty":"4"}');
      const finalizers = await patch('{"metadata":{"__proto__":{"finalizers":["a/b"]}}}');
      assert.equal(finalizers.json.metadata.finalizers, undefined);
    });

  test("in a JSON patch", async () => {
    const map = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"json-patch"},"data":{"x":"y"}}';
    await ask("POST", MAPS, JSON_TYPE, map);
    const patch = (...operations: object[]) =>
      ask("PATCH", `${MAPS}/json-patch`, JSON_PATCH, JSON.stringify(operations));
    const added = await patch(
      { op: "add", path: "/data/__proto__", value: "1" },
      { op: "copy", from: "/data/__proto__", path: "/data/constructor" },
    );
    assertData(added, '{"__proto__":"1","constructor":"1","x":"y"}');
    for (const operation of [
      { op: "test", path: "/data/toString", value: "1" },
      { op: "remove", path: "/data/valueOf" },
      { op: "add", path: "/data/__proto__/x", value: "1" },
      { op: "add", path: "/metadata/constructor/prototype/x", value: "1" },
    ])
      assert.equal((await patch(operation)).status, 422, JSON.stringify(operation));
    assertData(await patch({ op: "remove", path: "/data/__proto__" }), '{"constructor":"1","x":"y"}');
  });

  test("in what is applied, with an owner each", async () => {
    const apply = (manager: string, data: string, more = "") =>
      ask(
        "PATCH",
        `${MAPS}/applied?fieldManager=${manager}${more}`,
        APPLY,
        `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"applied"},"data":${data}}`,
      );
    assertData(await apply("one", DATA), DATA);
    const conflict = await apply("two", '{"__proto__":"5","constructor":"2"}');
    assert.equal(conflict.status, 409);
    assert.equal(conflict.json.message, 'Apply failed with 1 conflict: conflict with "one": .data.__proto__');
    assertData(await apply("two", '{"__proto__":"5"}', "&force=true"), DATA.replace('"1"', '"5"'));
    assertData(await apply("one", '{"constructor":"2"}'), '{"__proto__":"5","constructor":"2"}');
    assertData(await apply("two", "{}"), '{"constructor":"2"}');
  });

  test("and said twice they are duplicates, not known they are unknown", async () => {
    const strict = (type: string, body: string) => ask("POST", `${MAPS}?fieldValidation=Strict`, type, body);
    const map = (more: string) => `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"strict"},${more}}`;
    const WRONG = 'ConfigMap in version "v1" cannot be handled as a ConfigMap: strict decoding error: ';
    const twice = map('"data":{"__proto__":"1","__proto__":"2"}');
    assert.equal((await strict(JSON_TYPE, twice)).json.message, `${WRONG}duplicate field "data.__proto__"`);
    assert.equal(
      (await strict(YAML, twice)).json.message,
      `${WRONG}yaml: unmarshal errors:\n  line 1: key "__proto__" already set in map`,
    );
    const unknown = await strict(JSON_TYPE, map('"__proto__":{"x":1},"constructor":1,"toString":2'));
    assert.equal(
      unknown.json.message,
      `${WRONG}unknown field "__proto__", unknown field "constructor", unknown field "toString"`,
    );
  });

  test("in custom resources, their schemas and their defaults", async () => {
    const open = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
    const strings = { type: "object", additionalProperties: { type: "string" } };
    const named = '{"__proto__":{"type":"string","default":"d"},"constructor":{"type":"string","default":"e"}}';
    const definition = {
      apiVersion: "apiextensions.k8s.io/v1",
      kind: "CustomResourceDefinition",
      metadata: { name: "evils.example.org" },
      spec: {
        group: "example.org",
        scope: "Namespaced",
        names: { plural: "evils", kind: "Evil" },
        versions: [
          {
            name: "v1",
            served: true,
            storage: true,
            schema: {
              openAPIV3Schema: {
                type: "object",
                properties: {
                  open,
                  strings,
                  named: { type: "object", properties: JSON.parse(named) },
                  closed: { type: "object", properties: { a: { type: "string" } } },
                },
              },
            },
          },
        ],
      },
    };
    const CRDS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions";
    const defined = await ask("POST", CRDS, JSON_TYPE, JSON.stringify(definition));
    assert.equal(defined.status, 201, defined.text);
    const EVILS = "/apis/example.org/v1/namespaces/default/evils";
    while ((await ask("GET", EVILS)).status !== 200) await new Promise(setImmediate);
    const evil = (name: string, rest: string) =>
      `{"apiVersion":"example.org/v1","kind":"Evil","metadata":{"name":"${name}"},${rest}}`;
    const OPEN = '{"__proto__":{"a":1},"constructor":{"prototype":{"b":2}}}';
    const PAIR = '{"__proto__":"1","constructor":"2"}';
    const rest = `"open":${OPEN},"strings":${PAIR},"named":{},"closed":{"__proto__":{"a":"x"},"constructor":1}`;
    const made = await ask("POST", EVILS, JSON_TYPE, evil("a", rest));
    assert.equal(made.status, 201, made.text);
    const assertRight = ({ json }: { json: any }, strings: string) => {
      assert.equal(JSON.stringify(json.open), OPEN);
      assert.equal(JSON.stringify(json.strings), strings);
      assert.equal(JSON.stringify(json.named), '{"__proto__":"d","constructor":"e"}');
    };
    assertRight(made, PAIR);
    assert.equal(JSON.stringify(made.json.closed), "{}");
    assertRight(await ask("PATCH", `${EVILS}/a`, MERGE, '{"strings":{"constructor":null}}'), '{"__proto__":"1"}');
    const applied = `"open":${OPEN},"strings":${PAIR},"named":{}`;
    const patched = await ask("PATCH", `${EVILS}/b?fieldManager=m`, APPLY, evil("b", applied));
    assertRight(patched, PAIR);
    assertRight(await ask("GET", `${EVILS}/b`), PAIR);
    const infinite = await ask("POST", EVILS, JSON_TYPE, evil("c", '"open":{"a":1e400}'));
    assert.equal(
      infinite.json.message,
      'Evil in version "v1" cannot be handled as a Evil: json: cannot unmarshal number 1e400 into Go value of type float64',
    );
  });
});

describe("what is nested without end, and what grows when it is read", () => {
  const lists = (depth: number) => `${"[".repeat(depth)}${"]".repeat(depth)}`;
  const maps = (depth: number) => `${'{"a":'.repeat(depth)}1${"}".repeat(depth)}`;
  const map = (free: string) => `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"deep"},"free":${free}}`;

  test("is refused in Go's words where it is too deep for Go", async () => {
    const dry = `${MAPS}?dryRun=All`;
    for (const depth of [10_000, 50_000]) {
      const json = await ask("POST", dry, JSON_TYPE, map(lists(depth)));
      assert.equal(json.status, 400);
      assert.match(json.json.message, /json parse error: invalid character '\[' exceeded max depth/);
      for (const text of [map(lists(depth)), map(maps(depth)), `free:\n  ${"- ".repeat(depth)}a\n`]) {
        const yaml = await ask("POST", dry, YAML, text);
        assert.equal(yaml.status, 400);
        assert.match(yaml.json.message, /: yaml: (?:line \d+: )?exceeded max depth of 10000/);
      }
      for (const [type, body, message] of [
        [MERGE, `{"free":${maps(depth)}}`, "error decoding patch: invalid character '{' exceeded max depth"],
        [STRATEGIC, `{"free":${maps(depth)}}`, "invalid character '{' exceeded max depth"],
        [
          JSON_PATCH,
          `[{"op":"add","path":"/free","value":${lists(depth)}}]`,
          "error decoding patch: invalid character '[' exceeded max depth",
        ],
        [
          APPLY,
          map(maps(depth)),
          "error decoding YAML: error converting YAML to JSON: yaml: exceeded max depth of 10000",
        ],
      ] as const) {
        const patched = await ask("PATCH", `${MAPS}/kept?fieldManager=m`, type, body);
        assert.deepEqual([patched.status, patched.json.message], [400, message]);
      }
    }
  });

  test("is taken as deep as Go takes it where the stack holds it, and is else the client's mistake", async () => {
    const isHeld = stackHolds(5000);
    for (const [method, path, type, body] of [
      ["POST", MAPS, JSON_TYPE, map(lists(5000))],
      ["POST", MAPS, YAML, map(maps(5000))],
      ["PATCH", `${MAPS}/kept`, MERGE, `{"free":${maps(5000)}}`],
      ["PATCH", `${MAPS}/kept`, STRATEGIC, `{"free":${maps(5000)}}`],
      ["PATCH", `${MAPS}/kept`, JSON_PATCH, `[{"op":"add","path":"/free","value":${lists(5000)}}]`],
      ["PATCH", `${MAPS}/deep`, APPLY, map(maps(5000))],
    ] as const) {
      const { status, json } = await ask(method, `${path}?dryRun=All&fieldManager=m`, type, body);
      if (isHeld && type === APPLY) assert.match(json.message, /: \.free: field not declared in schema$/);
      else if (isHeld) assert.ok(status < 300, `${type}: ${status} ${json.message}`);
      else assert.deepEqual([status, /exceeded max depth/.test(json.message)], [400, true], type);
    }
    assert.equal((await ask("POST", `${MAPS}?dryRun=All`, JSON_TYPE, map(lists(900)))).status, 201);
  });

  test("aliases of aliases, and anchors that hold themselves", async () => {
    const level = (i: number) => `b${i}: &a${i + 1} [${Array.from({ length: 9 }, () => `*a${i}`).join(",")}]`;
    const bomb = `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: bomb}\na: &a0 [x,x,x,x,x,x,x,x,x]\n${Array.from({ length: 20 }, (_, i) => level(i)).join("\n")}\n`;
    const posted = await ask("POST", MAPS, YAML, bomb);
    assert.equal(posted.status, 400);
    assert.match(posted.json.message, /: yaml: document contains excessive aliasing/);
    assert.equal(
      (await ask("PATCH", `${MAPS}/bomb?fieldManager=m`, APPLY, bomb)).json.message,
      "error decoding YAML: error converting YAML to JSON: yaml: document contains excessive aliasing",
    );
    const self = await ask("POST", MAPS, YAML, "metadata: &m {name: x, annotations: *m}\n");
    assert.match(self.json.message, /: yaml: anchor 'm' value contains itself/);
  });

  test("copies of copies in a JSON patch", async () => {
    const copies = Array.from({ length: 9000 }, (_, i) => ({ op: "copy", from: "/data/a", path: `/data/b${i}` }));
    const large = [{ op: "add", path: "/data/a", value: "x".repeat(100_000) }, ...copies];
    assert.equal((await ask("PATCH", `${MAPS}/kept`, JSON_PATCH, JSON.stringify(large))).status, 422);
  });

  test("a body that is compressed is not decompressed", async () => {
    const bomb = gzipSync(Buffer.alloc(50_000_000, "x"));
    const { status, json } = await ask("POST", MAPS, JSON_TYPE, bomb, ["Content-Encoding: gzip"]);
    assert.equal(status, 400);
    assert.match(json.message, /json parse error: invalid character '\\x1f' looking for beginning of value/);
  });

  test("a body of more than 3 MiB is not read, however it comes", async () => {
    const large = " ".repeat(4 << 20);
    const whole = await ask("POST", MAPS, JSON_TYPE, large);
    const message = "Request entity too large: limit is 3145728";
    assert.deepEqual([whole.status, whole.json.message], [413, message]);
    const start = [`POST ${MAPS} HTTP/1.1`, "Host: localhost", AUTHORIZATION, `Content-Type: ${JSON_TYPE}`];
    const chunked = await speak(
      [head(...start, "Transfer-Encoding: chunked"), `${(4 << 20).toString(16)}\r\n`, large],
      /is 3145728/,
    );
    assert.deepEqual(statuses(chunked), [413]);
  });
});

describe("requests that two readers read differently", () => {
  const start = (method = "POST", path = `${MAPS}?dryRun=All`) => [
    `${method} ${path} HTTP/1.1`,
    "Host: localhost",
    AUTHORIZATION,
    `Content-Type: ${JSON_TYPE}`,
  ];
  const hidden = head("DELETE /api/v1/namespaces/default/configmaps/kept HTTP/1.1", "Host: localhost", AUTHORIZATION);
  const body = '{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"smuggled"}}';
  /** One answer, a refusal, and the connection is closed: nothing behind it is taken for a request. */
  const CASES: readonly (readonly [what: string, request: string, code?: number])[] = [
    ["two lengths", head(...start(), "Content-Length: 0", `Content-Length: ${hidden.length}`)],
    ["a list of lengths", head(...start(), "Content-Length: 0, 5")],
    ["a length with a sign", head(...start(), "Content-Length: +5")],
    ["a length below nothing", head(...start(), "Content-Length: -1")],
    ["a coding nobody knows", `${head(...start(), "Transfer-Encoding: xchunked")}0\r\n\r\n`, 501],
    [
      "chunks and then no chunks",
      `${head(...start(), "Transfer-Encoding: chunked", "Transfer-Encoding: identity")}0\r\n\r\n`,
      501,
    ],
    ["a space before the colon", `${head(...start(), "Transfer-Encoding : chunked")}0\r\n\r\n`],
    ["a chunk of no number", `${head(...start(), "Transfer-Encoding: chunked")}zz\r\n${body}\r\n0\r\n\r\n`, 500],
    ["a chunk below nothing", `${head(...start(), "Transfer-Encoding: chunked")}-5\r\n${body}\r\n0\r\n\r\n`, 500],
    [
      "a chunk beyond all numbers",
      `${head(...start(), "Transfer-Encoding: chunked")}fffffffffffffffff\r\n${body}\r\n`,
      500,
    ],
    ["a chunk longer than it says", `${head(...start(), "Transfer-Encoding: chunked")}2\r\n{}XX0\r\n\r\n`, 500],
    ["a header with a zero byte", head(...start("GET"), "X-A: a\0b")],
    ["a line of no method", "GARBAGE\r\n\r\n"],
    ["no host", head("GET /version HTTP/1.1", AUTHORIZATION)],
  ];
  for (const [what, request, code = 400] of CASES)
    test(what, async () => {
      const answer = await speak([request, hidden]);
      assert.deepEqual(statuses(answer), [code], answer);
    });

  test("a length beside chunks, which counts for nothing", async () => {
    const answer = await speak([
      `${head(...start(), "Content-Length: 4", "Transfer-Encoding: chunked")}0\r\n\r\n`,
      head(...start("GET", "/version"), "Connection: close"),
    ]);
    assert.deepEqual(statuses(answer), [400, 200], answer);
  });

  test("headers of more than a mebibyte are not read", async () => {
    const large = await speak([head(...start("GET"), `X-A: ${"a".repeat(2 << 20)}`)]);
    assert.ok(large === "" || statuses(large)[0] === 431, "refused, or closed while it still came");
    const many = await speak([
      head(...start("GET"), ...Array.from({ length: 12_000 }, (_, i) => `X-${i}: ${"a".repeat(100)}`)),
    ]);
    assert.ok(many === "" || statuses(many)[0] === 431, many);
    const allowed = await speak([
      head(...start("GET", "/version"), "Connection: close", `X-A: ${"a".repeat(200 << 10)}`),
    ]);
    assert.deepEqual(statuses(allowed), [200]);
  });
});

describe("paths that lead elsewhere", () => {
  const NO_RESOURCE = "the server could not find the requested resource";
  const CASES: readonly (readonly [path: string, code: number, message: string])[] = [
    [`${MAPS}/..`, 400, "Name parameter invalid: \"..\": may not be '..'"],
    [`${MAPS}/%2e%2e`, 400, "Name parameter invalid: \"..\": may not be '..'"],
    [`${MAPS}/.`, 400, "Name parameter invalid: \".\": may not be '.'"],
    [`${MAPS}/a%25b`, 400, "Name parameter invalid: \"a%b\": may not contain '%'"],
    [`${MAPS}/kept%2fstatus`, 404, NO_RESOURCE],
    [`${MAPS}/..%2f..%2fversion`, 404, NO_RESOURCE],
  ];
  for (const [path, code, message] of CASES)
    test(path, async () => {
      const { status, json } = await ask("GET", path);
      assert.deepEqual([status, json.message], [code, message]);
    });

  test("one with a broken escape is none", async () => {
    const { status, text } = await ask("GET", `${MAPS}/%zz`);
    assert.deepEqual([status, text], [400, "400 Bad Request"]);
  });

  test("and none is the path of a file or another endpoint", async () => {
    for (const path of [
      "/../../etc/passwd",
      "/api/v1/../../version",
      "/api/v1/%2e%2e/%2e%2e/version",
      "/healthz/../version",
    ]) {
      const { status, json } = await ask("GET", path);
      assert.ok(status >= 400 && json.gitVersion === undefined, path);
    }
  });
});
