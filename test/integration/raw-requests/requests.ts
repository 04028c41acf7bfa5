/**
 * Requests over HTTP/1.1 as bytes: well made, odd, and wrong. `answers.json` has what a kube-apiserver 1.36.2 said to each of them.
 * What is sent in pieces waits for an answer in between.
 */
export interface RawRequest {
  readonly name: string;
  readonly send: readonly string[];
}

const AUTHORIZATION = "Authorization: Bearer secret";
const SOMEONE = "Authorization: Bearer other";
const MAPS = "/api/v1/namespaces/default/configmaps";

const lines = (...all: readonly string[]) => [...all, "", ""].join("\r\n");
const plain = (line: string, ...more: readonly string[]) => lines(line, "Host: a", AUTHORIZATION, ...more);
/** As the last of its connection. */
const last = (line: string, ...more: readonly string[]) => plain(line, ...more, "Connection: close");
const one = (name: string, ...send: readonly string[]): RawRequest => ({ name, send });

const MAP = (name: string) => `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"${name}"}}`;
const post = (name: string, more: readonly string[], body: string, path = `${MAPS}?dryRun=All`) =>
  one(name, last(`POST ${path} HTTP/1.1`, "Content-Type: application/json", ...more) + body);
const CHUNKED = "Transfer-Encoding: chunked";
const inChunks = (...pieces: readonly string[]) =>
  `${pieces.map((piece) => `${piece.length.toString(16)}\r\n${piece}\r\n`).join("")}0\r\n\r\n`;
const NOT_JSON = "not JSON";
/** An answer to this one says that the connection is still in step. */
const HEALTH = last("GET /healthz HTTP/1.1");

export const RAW_REQUESTS: readonly RawRequest[] = [
  // Request lines
  one("a get that closes", last("GET /healthz HTTP/1.1")),
  one("a get that keeps the connection, and a second one", plain("GET /healthz HTTP/1.1"), HEALTH),
  one("HTTP/1.0", plain("GET /healthz HTTP/1.0")),
  one("HTTP/1.0 without a host", lines("GET /healthz HTTP/1.0", AUTHORIZATION)),
  one("HTTP/1.0 that keeps the connection", plain("GET /healthz HTTP/1.0", "Connection: keep-alive"), HEALTH),
  one("HTTP/1.0 with a chunked body, which it doesn't know", plain("POST /healthz HTTP/1.0", CHUNKED) + "0\r\n\r\n"),
  one("HTTP/1.2", last("GET /healthz HTTP/1.2")),
  one("HTTP/2.0", plain("GET /healthz HTTP/2.0")),
  one("HTTP/3.0", plain("GET /healthz HTTP/3.0")),
  one("HTTP/0.9", "GET /healthz\r\n\r\n"),
  one("HTTP/1.10", plain("GET /healthz HTTP/1.10")),
  one("HTTP/1", plain("GET /healthz HTTP/1")),
  one("http/1.1 in small letters", plain("GET /healthz http/1.1")),
  one("no version", plain("GET /healthz")),
  one("two spaces", plain("GET  /healthz HTTP/1.1")),
  one("a tab in place of a space", plain("GET\t/healthz HTTP/1.1")),
  one("a space in the path", plain("GET /heal thz HTTP/1.1")),
  one("an empty line first", `\r\n${HEALTH}`),
  one("an empty line after a POST", `${plain("POST /healthz HTTP/1.1", "Content-Length: 0")}`, `\r\n${HEALTH}`),
  one("an empty line after a GET", plain("GET /healthz HTTP/1.1"), `\r\n${HEALTH}`),
  one("nothing but line ends", "\r\n\r\n\r\n\r\n"),
  one("a method in small letters", last("get /healthz HTTP/1.1")),
  one("a method of no method's letters", plain("G(T /healthz HTTP/1.1")),
  one("a method of its own", last("BREW /healthz HTTP/1.1")),
  one("HEAD", last("HEAD /healthz HTTP/1.1")),
  one("HEAD of what isn't there", last("HEAD /apis/none/v1 HTTP/1.1")),
  one("TRACE", last("TRACE /healthz HTTP/1.1")),
  one("CONNECT of an authority", last("CONNECT a.example:443 HTTP/1.1")),
  one("CONNECT of a path", last("CONNECT /healthz HTTP/1.1")),
  one("CONNECT without a host", lines("CONNECT /healthz HTTP/1.1", AUTHORIZATION, "Connection: close")),
  one("OPTIONS of everything", last("OPTIONS * HTTP/1.1")),
  one("GET of everything", last("GET * HTTP/1.1")),
  one("OPTIONS of a path", last("OPTIONS /healthz HTTP/1.1")),
  one("HTTP/2's preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"),
  one("what is no HTTP", "hello\r\n\r\n"),
  one("bytes of no text", "\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03\r\n\r\n"),
  // Targets
  one("the absolute form", last("GET https://b.example/healthz HTTP/1.1")),
  one("the absolute form without a path", last("GET https://b.example HTTP/1.1")),
  one("the absolute form with a query", last(`GET https://b.example${MAPS}/none?pretty=false HTTP/1.1`)),
  one("the absolute form without a host header", lines("GET https://b.example/healthz HTTP/1.1", AUTHORIZATION)),
  one("another scheme", last("GET ftp:opaque HTTP/1.1")),
  one("a path without a slash", last("GET healthz HTTP/1.1")),
  one("two slashes first", last("GET //healthz HTTP/1.1")),
  one("two slashes within", last("GET /api//v1 HTTP/1.1")),
  one("two slashes at the end", last("GET /healthz// HTTP/1.1")),
  one("the version behind two slashes", last("GET //version HTTP/1.1")),
  one("a dot", last("GET /./healthz HTTP/1.1")),
  one("two dots", last("GET /api/../healthz HTTP/1.1")),
  one("two dots as a namespace", last("GET /api/v1/namespaces/../configmaps/a HTTP/1.1")),
  one("two dots as a namespace, escaped", last("GET /api/v1/namespaces/%2e%2e/configmaps/a HTTP/1.1")),
  one("a dot as a namespace", last("GET /api/v1/namespaces/./configmaps/a HTTP/1.1")),
  one("two dots as a name", last(`GET ${MAPS}/.. HTTP/1.1`)),
  one("a namespace that is no name", last("GET /api/v1/namespaces/A_B/configmaps/a HTTP/1.1")),
  one("an escaped slash in a name", last(`GET ${MAPS}/a%2Fb HTTP/1.1`)),
  one("an escape that is none", last("GET /healthz%zz HTTP/1.1")),
  one("an escape that ends early", last("GET /healthz%2 HTTP/1.1")),
  one("an escape that is none, in the query", last("GET /healthz?a=%zz HTTP/1.1")),
  one("a control character in the target", last("GET /heal\x01thz HTTP/1.1")),
  one("letters beyond ASCII in the target", last("GET /healthz\xc3\xa4 HTTP/1.1")),
  one("a fragment", last("GET /healthz#a HTTP/1.1")),
  one("a query of nothing", last("GET /healthz? HTTP/1.1")),
  // Hosts
  one("no host", lines("GET /healthz HTTP/1.1", AUTHORIZATION)),
  one("an empty host", lines("GET /healthz HTTP/1.1", "Host:", AUTHORIZATION, "Connection: close")),
  one("two hosts", plain("GET /healthz HTTP/1.1", "Host: b")),
  one("two equal hosts", plain("GET /healthz HTTP/1.1", "Host: a")),
  one("a host with a space", lines("GET /healthz HTTP/1.1", "Host: a b", AUTHORIZATION)),
  one("a host with a slash", lines("GET /healthz HTTP/1.1", "Host: a/b", AUTHORIZATION, "Connection: close")),
  one("a host with letters beyond ASCII", lines("GET /healthz HTTP/1.1", "Host: \xc3\xa4", AUTHORIZATION)),
  // Headers
  one("line feeds alone", HEALTH.replaceAll("\r\n", "\n")),
  one("a carriage return alone", last("GET /healthz HTTP/1.1", "X-A: b\rX-C: d")),
  one("a space before the colon", last("GET /healthz HTTP/1.1", "X-A : b")),
  one("a space before the colon of the host", lines("GET /healthz HTTP/1.1", "Host : a", AUTHORIZATION)),
  one("a tab before the colon", last("GET /healthz HTTP/1.1", "X-A\t: b")),
  one("a space before the first header", lines("GET /healthz HTTP/1.1", " Host: a", AUTHORIZATION)),
  one("a line that goes on in the next", last("GET /healthz HTTP/1.1", "X-A: b", " c")),
  one("a host that goes on in the next line", lines("GET /healthz HTTP/1.1", "Host: a", " b", AUTHORIZATION)),
  one(
    "a token that goes on in the next line",
    lines(`GET ${MAPS}/none HTTP/1.1`, "Host: a", "Authorization: Bearer", "\tsecret", "Connection: close"),
  ),
  one("a header without a colon", plain("GET /healthz HTTP/1.1", "what is this")),
  one("a header without a name", plain("GET /healthz HTTP/1.1", ": b")),
  one("a header without a value", last("GET /healthz HTTP/1.1", "X-A:")),
  one("a zero byte in a name", plain("GET /healthz HTTP/1.1", "X\x00A: b")),
  one("a zero byte in a value", plain("GET /healthz HTTP/1.1", "X-A: b\x00c")),
  one("a control character in a value", plain("GET /healthz HTTP/1.1", "X-A: b\x01c")),
  one("a tab in a value", last("GET /healthz HTTP/1.1", "X-A: b\tc")),
  one("a DEL in a value", plain("GET /healthz HTTP/1.1", "X-A: b\x7fc")),
  one("letters beyond ASCII in a value", last("GET /healthz HTTP/1.1", "X-A: \xc3\xa4")),
  one("letters beyond ASCII in a name", plain("GET /healthz HTTP/1.1", "X-\xc3\xa4: b")),
  one("a header of 100 kB", last("GET /healthz HTTP/1.1", `X-A: ${"a".repeat(100_000)}`)),
  one("ten thousand headers", last("GET /healthz HTTP/1.1", ...Array.from({ length: 10_000 }, (_, i) => `X-${i}: a`))),
  one("headers of more than a megabyte", plain("GET /healthz HTTP/1.1", `X-A: ${"a".repeat(1_100_000)}`)),
  one("a target of more than a megabyte", `GET /${"a".repeat(1_100_000)} HTTP/1.1\r\n`),
  one("two connection headers", plain("GET /healthz HTTP/1.1", "Connection: x", "Connection: close")),
  one("a connection of many words", plain("GET /healthz HTTP/1.1", "Connection: x, Close , y")),
  one("a connection that is kept by a word", plain("GET /healthz HTTP/1.1", "Connection: keep-alive"), HEALTH),
  one(
    "an expectation that is met",
    last(
      `POST ${MAPS}?dryRun=All HTTP/1.1`,
      "Content-Type: application/json",
      "Content-Length: 8",
      "Expect: 100-continue",
    ),
    NOT_JSON,
  ),
  one("an expectation of nothing", last("GET /healthz HTTP/1.1", "Content-Length: 0", "Expect: 100-continue")),
  one(
    "an expectation where nobody reads",
    plain("POST /healthz HTTP/1.1", "Content-Length: 8", "Expect: 100-continue"),
  ),
  one("an expectation of something else", plain("GET /healthz HTTP/1.1", "Expect: tea")),
  one(
    "an offer of h2c",
    plain(
      "GET /healthz HTTP/1.1",
      "Connection: Upgrade, HTTP2-Settings",
      "Upgrade: h2c",
      "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA",
    ),
    HEALTH,
  ),
  one("an upgrade to what nobody knows", last("GET /healthz HTTP/1.1", "Upgrade: tea")),
  // Bodies
  post("a body that is no JSON", ["Content-Length: 8"], NOT_JSON),
  post("a body in chunks", [CHUNKED], inChunks("not ", "JSON")),
  post("an empty body", ["Content-Length: 0"], ""),
  post("an empty body in chunks", [CHUNKED], inChunks()),
  post("no length", [], ""),
  post(
    "a body that makes something",
    [`Content-Length: ${MAP("x").length}`],
    MAP("x"),
    "/api/v1/namespaces/none/configmaps?dryRun=All",
  ),
  post("chunks with extensions", [CHUNKED], `8;a=b;c\r\n${NOT_JSON}\r\n0;d\r\n\r\n`),
  post(
    "chunks of small and large hexadecimal digits",
    [CHUNKED],
    `0a\r\nnot JSON  \r\n0A\r\n          \r\n000\r\n\r\n`,
  ),
  post("trailers", [CHUNKED, "Trailer: X-Sum"], `8\r\n${NOT_JSON}\r\n0\r\nX-Sum: a\r\n\r\n`),
  post(
    "a trailer that may not be one",
    [CHUNKED, "Trailer: Content-Length"],
    `8\r\n${NOT_JSON}\r\n0\r\nContent-Length: 1\r\n\r\n`,
  ),
  post("a trailer without a colon", [CHUNKED], `8\r\n${NOT_JSON}\r\n0\r\nwhat\r\n\r\n`),
  post("a chunk of no size", [CHUNKED], `\r\n${NOT_JSON}\r\n0\r\n\r\n`),
  post("a chunk of letters", [CHUNKED], `xyz\r\n${NOT_JSON}\r\n0\r\n\r\n`),
  post("a chunk of a negative size", [CHUNKED], `-8\r\n${NOT_JSON}\r\n0\r\n\r\n`),
  post("a chunk of 0x8", [CHUNKED], `0x8\r\n${NOT_JSON}\r\n0\r\n\r\n`),
  post("a chunk of more digits than a number has", [CHUNKED], `00000000000000008\r\n${NOT_JSON}\r\n0\r\n\r\n`),
  post("a chunk that is longer than it says", [CHUNKED], `4\r\n${NOT_JSON}\r\n0\r\n\r\n`),
  post("chunks that end in line feeds alone", [CHUNKED], `8\n${NOT_JSON}\n0\n\n`),
  post("a size of a chunk with spaces behind", [CHUNKED], `8 \t\r\n${NOT_JSON}\r\n0\r\n\r\n`),
  post("a size of a chunk with spaces before", [CHUNKED], ` 8\r\n${NOT_JSON}\r\n0\r\n\r\n`),
  post("a length and chunks", ["Content-Length: 3", CHUNKED], inChunks(NOT_JSON)),
  post("a bad length and chunks", ["Content-Length: x", CHUNKED], inChunks(NOT_JSON)),
  post("the same length twice", ["Content-Length: 8", "Content-Length: 8"], NOT_JSON),
  post("two lengths", ["Content-Length: 8", "Content-Length: 9"], NOT_JSON),
  post("two lengths in one header", ["Content-Length: 8, 8"], NOT_JSON),
  post("a negative length", ["Content-Length: -1"], ""),
  post("a length with a sign", ["Content-Length: +8"], NOT_JSON),
  post("a length of letters", ["Content-Length: x"], ""),
  post("an empty length", ["Content-Length:"], ""),
  post("a length of zeros before", ["Content-Length: 0008"], NOT_JSON),
  post("a length of more than 63 bits", ["Content-Length: 9223372036854775808"], ""),
  post("a transfer coding that nobody knows", ["Transfer-Encoding: gzip"], ""),
  post("chunks in large letters", ["Transfer-Encoding: CHUNKED"], inChunks(NOT_JSON)),
  post("chunks and another coding", ["Transfer-Encoding: gzip, chunked"], inChunks(NOT_JSON)),
  post("chunks twice", [CHUNKED, CHUNKED], inChunks(NOT_JSON)),
  post("chunks within the identity", ["Transfer-Encoding: identity"], ""),
  post("an empty transfer coding", ["Transfer-Encoding:"], ""),
  one("a get with a body, and a second one", `${plain("GET /healthz HTTP/1.1", "Content-Length: 5")}12345${HEALTH}`),
  one(
    "a get with a body in chunks, and a second one",
    plain("GET /healthz HTTP/1.1", CHUNKED) + inChunks("1234") + HEALTH,
  ),
  one("a body that nobody reads and that is long", `${plain("POST /healthz HTTP/1.1", "Content-Length: 300000")}`),
  one(
    "a body of 3 MB and more",
    plain(`POST ${MAPS} HTTP/1.1`, "Content-Type: application/json", "Content-Length: 3145729") + " ".repeat(3_145_729),
  ),
  one("three requests at once", plain("GET /healthz HTTP/1.1") + plain("GET /livez HTTP/1.1") + HEALTH),
  one("a request behind one that closes", HEALTH + HEALTH),
  one("a request behind a wrong one", plain("GET /healthz HTTP/3.0") + HEALTH),
  // Who may not
  one("who is nobody", lines("GET /api/v1/pods HTTP/1.1", "Host: a", "Connection: close")),
  one("who is somebody without a right", lines("GET /api/v1/pods HTTP/1.1", "Host: a", SOMEONE, "Connection: close")),
  one(
    "who may not, as a table",
    lines(
      "GET /api/v1/pods HTTP/1.1",
      "Host: a",
      SOMEONE,
      "Accept: application/json;as=Table;v=v1;g=meta.k8s.io",
      "Connection: close",
    ),
  ),
  one("who may not, as text", lines("GET /logs HTTP/1.1", "Host: a", SOMEONE, "Connection: close")),
  one(
    "who may not write",
    lines(`POST ${MAPS} HTTP/1.1`, "Host: a", SOMEONE, "Content-Length: 8", "Connection: close") + NOT_JSON,
  ),
  one(
    "who may not write, and goes on",
    lines(`POST ${MAPS} HTTP/1.1`, "Host: a", SOMEONE, "Content-Length: 8") + NOT_JSON + HEALTH,
  ),
  one(
    "who may not impersonate",
    lines("GET /version HTTP/1.1", "Host: a", SOMEONE, "Impersonate-User: x", "Connection: close"),
  ),
  one(
    "who shows a token that nobody knows",
    lines("GET /api/v1/pods HTTP/1.1", "Host: a", "Authorization: Bearer x", "Connection: close"),
  ),
  one("what isn't there", last(`GET ${MAPS}/none HTTP/1.1`)),
  one("what no path is", last("GET /none HTTP/1.1")),
  one("what no group has", last("GET /apis/none/v1/nones HTTP/1.1")),
  one("a method that a resource doesn't have", last(`BREW ${MAPS} HTTP/1.1`)),
  one("a type that nobody accepts", last(`GET ${MAPS}/none HTTP/1.1`, "Accept: text/html")),
];
