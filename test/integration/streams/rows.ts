/** Conversations through an API server. What both ends hear was taken down with a kube-apiserver 1.36.2: `genuine.json`. */
import type { SpdyConnection, SpdyStream } from "../../../src/wire/spdy/connection.ts";
import { allOf, type End } from "./play.ts";

export interface Row {
  readonly name: string;
  client(end: End): Promise<void>;
  /** What is spoken to behind the API server, where it is spoken to. */
  backend?(end: End): Promise<void>;
  /** How many come to the back end, one after the other: they are waited for. */
  readonly connections?: number;
}

/** Addresses that an API server speaks to: it refuses to proxy to loopback. Who runs the test leads them elsewhere. */
export const KUBELET = { host: "192.0.2.10", port: 10250 };
export const WEB = { host: "192.0.2.11", port: 8080 };
export const SECURE_WEB = { host: "192.0.2.11", port: 8443 };
/** Where nobody listens. */
export const NOBODY = { host: "192.0.2.10", port: 1 };

const KEY = "dGhlIHNhbXBsZSBub25jZQ==";
const POD = "/api/v1/namespaces/default/pods";

interface Asked {
  readonly method?: string;
  readonly token?: string;
  readonly body?: string;
}

export function request(path: string, headers: readonly string[] = [], asked: Asked = {}): string {
  const { method = "GET", token = "secret", body = "" } = asked;
  const lines = [`${method} ${path} HTTP/1.1`, "Host: api.example", `Authorization: Bearer ${token}`, ...headers];
  if (body !== "") lines.push(`Content-Length: ${body.length}`);
  return `${lines.join("\r\n")}\r\n\r\n${body}`;
}

export const webSocket = (...protocols: readonly string[]) => [
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  `Sec-WebSocket-Key: ${KEY}`,
  ...(protocols.length > 0 ? [`Sec-WebSocket-Protocol: ${protocols.join(", ")}`] : []),
];

export const spdy = (...protocols: readonly string[]) => [
  "Connection: Upgrade",
  "Upgrade: SPDY/3.1",
  ...protocols.map((protocol) => `X-Stream-Protocol-Version: ${protocol}`),
];

const V5 = "v5.channel.k8s.io";
const V4 = "v4.channel.k8s.io";
const FORWARD = "portforward.k8s.io";
const TUNNEL = `SPDY/3.1+${FORWARD}`;

/** Says one thing and hears the whole answer. */
const once =
  (text: string, method = "GET") =>
  async (end: End) => {
    end.send(text);
    await end.message(method);
  };

/** A back end that answers one request. */
const answering = (text: string) => async (end: End) => {
  await end.message();
  end.send(text);
};

/** A back end that hears the request, and goes. */
const silent = async (end: End) => {
  await end.head();
  end.stream.end();
};

const rows: Row[] = [];
const row = (name: string, client: Row["client"], backend?: Row["backend"], connections?: number) =>
  rows.push({ name, client, ...(backend && { backend }), ...(connections && { connections }) });

const KINDS = {
  exec: `${POD}/p/exec?command=ls&command=-l&stdout=true&stderr=true`,
  attach: `${POD}/p/attach?stdin=1&stdout=1&tty=true`,
  portforward: `${POD}/p/portforward?ports=80&ports=81`,
};

for (const [kind, path] of Object.entries(KINDS)) {
  const on = (pod: string) => path.replace("/p/", `/${pod}/`);
  row(`${kind}: GET without an upgrade`, once(request(path)));
  row(`${kind}: POST without an upgrade`, once(request(path, [], { method: "POST" })));
  row(`${kind}: HEAD`, once(request(path, [], { method: "HEAD" }), "HEAD"));
  row(`${kind}: PUT`, once(request(path, spdy(V4), { method: "PUT", body: "{}" })));
  row(`${kind}: DELETE`, once(request(path, spdy(V4), { method: "DELETE" })));
  row(
    `${kind}: PATCH`,
    once(request(path, ["Content-Type: application/json-patch+json"], { method: "PATCH", body: "[]" })),
  );
  row(`${kind}: an upgrade without Connection`, once(request(path, ["Upgrade: websocket"])));
  row(`${kind}: a pod that is not there`, once(request(on("none"), webSocket(V5))));
  row(`${kind}: a pod that no node has`, once(request(on("waiting"), webSocket(V5))));
  row(`${kind}: a pod whose node is not there`, once(request(on("nowhere"), webSocket(V5))));
  row(`${kind}: a pod whose node has no address`, once(request(on("unreachable"), webSocket(V5))));
  row(`${kind}: a kubelet that is not there, over SPDY`, once(request(on("refusing"), spdy(V4), { method: "POST" })));
  row(`${kind}: who may not, over WebSocket`, once(request(path, webSocket(V5), { token: "other" })));
  row(`${kind}: who may not, over SPDY`, once(request(path, spdy(V4), { token: "other", method: "POST" })));
  row(`${kind}: who may get and not create, over WebSocket`, once(request(path, webSocket(V5), { token: "getter" })));
  row(`${kind}: who may get and not create, without an upgrade`, once(request(path, [], { token: "getter" })));
  row(
    `${kind}: WebSocket's version is old`,
    once(
      request(
        path,
        webSocket(kind === "portforward" ? TUNNEL : V5).map((line) => line.replace("13", "8")),
      ),
    ),
    ...(kind === "portforward" ? [silent] : []),
  );
  row(
    `${kind}: WebSocket without a key`,
    once(
      request(
        path,
        webSocket(kind === "portforward" ? TUNNEL : V5).filter((line) => !line.includes("Key")),
      ),
    ),
    ...(kind === "portforward" ? [silent] : []),
  );
  // What the kubelet says goes through, both ways, as it is.
  for (const [name, headers, method] of [
    ["SPDY, v4", spdy(V4, "v3.channel.k8s.io", "v2.channel.k8s.io", "channel.k8s.io"), "POST"],
    ["SPDY by GET", spdy(V4), "GET"],
    ["SPDY, v1", spdy("channel.k8s.io"), "POST"],
    ["SPDY without a version", spdy(), "POST"],
    ["SPDY, port forwarding's", spdy(FORWARD), "POST"],
    ["WebSocket, v4", webSocket(V4), "GET"],
    ["WebSocket, v1", webSocket("channel.k8s.io"), "GET"],
    ["WebSocket, base64", webSocket("v4.base64.channel.k8s.io", "base64.channel.k8s.io"), "GET"],
    ["WebSocket without a version", webSocket(), "GET"],
    ["WebSocket, unknown", webSocket("none.k8s.io"), "GET"],
  ] as const)
    row(
      `${kind}: ${name}`,
      async (end) => {
        end.send(request(path, headers, { method }));
        await end.head();
        end.send("from the client");
        await end.hear(16);
        await end.hearEnd();
      },
      async (end) => {
        await end.head();
        end.send(
          "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: something\r\nX-Odd: one\r\nx-odd: two\r\n\r\nfrom the kubelet",
        );
        await end.hear(15);
        end.stream.end();
      },
    );
  for (const [name, answer] of Object.entries({
    "400": "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nno\n",
    "403":
      "HTTP/1.1 403 Forbidden\r\nX-Accepted-Stream-Protocol-Versions: v4.channel.k8s.io\r\nContent-Length: 3\r\n\r\nno\n",
    "404":
      "HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: 19\r\n\r\npod does not exist\n",
    "500 in chunks":
      'HTTP/1.1 500 Internal Server Error\r\nTransfer-Encoding: chunked\r\n\r\n1d\r\ncontainer not found ("nothing")\r\n0\r\n\r\n'.replace(
        "1d",
        "1f",
      ),
    "200": "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok",
    "302": "HTTP/1.1 302 Found\r\nLocation: https://192.0.2.10:10250/elsewhere\r\nContent-Length: 0\r\n\r\n",
    "no HTTP": "SSH-2.0-none\r\n\r\n",
  })) {
    for (const [over, headers, method] of [
      ["SPDY", spdy(kind === "portforward" ? FORWARD : V4), "POST"],
      ["WebSocket", webSocket(kind === "portforward" ? TUNNEL : V5), "GET"],
    ] as const)
      row(
        `${kind}: the kubelet says ${name} over ${over}`,
        async (end) => {
          end.send(request(path, headers, { method }));
          const head = await end.message();
          if (head.startsWith("HTTP/1.1 101")) await end.channels();
        },
        async (end) => {
          await end.head();
          end.send(answer);
          end.stream.end();
        },
      );
  }
  row(`${kind}: the kubelet ends before it answers`, once(request(path, spdy(V4), { method: "POST" })), async (end) => {
    await end.head();
    end.stream.end();
  });
  row(
    `${kind}: a client that goes away`,
    async (end) => {
      end.send(request(path, spdy(V4), { method: "POST" }));
      await end.head();
      end.send("bye");
      end.stream.destroy();
    },
    async (end) => {
      await end.head();
      end.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n");
      await end.hearEnd();
    },
  );
  row(
    `${kind}: headers on their way`,
    async (end) => {
      end.send(
        request(
          path,
          [
            ...spdy(V4),
            "User-Agent: table",
            "X-Forwarded-For: 198.51.100.1",
            "Cookie: a=b",
            "X-Own: 1",
            "Accept: */*",
            "Impersonate-User: somebody",
            "Impersonate-Group: system:masters",
          ],
          { method: "POST" },
        ),
      );
      await end.head();
    },
    async (end) => {
      await end.head();
      end.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n");
      end.stream.end();
    },
  );
}

for (const kind of ["exec", "attach"]) {
  row(`${kind}: no stream at all`, once(request(`${POD}/p/${kind}?command=ls`, spdy(V4), { method: "POST" })), silent);
  row(
    `${kind}: a terminal and stderr`,
    once(request(`${POD}/p/${kind}?command=ls&tty=1&stderr=1&stdout=1`, spdy(V4), { method: "POST" })),
    async (end) => {
      await end.head();
      end.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n");
      end.stream.end();
    },
  );
  row(
    `${kind}: a container that is not there`,
    once(request(`${POD}/p/${kind}?command=ls&stdout=1&container=none`, webSocket(V5))),
  );
  row(
    `${kind}: several containers and no name`,
    once(request(`${POD}/several/${kind}?command=ls&stdout=1`, webSocket(V5))),
  );
  row(
    `${kind}: odd flags`,
    once(
      request(`${POD}/p/${kind}?command=&command=a%20b%26&stdin=false&stdout=T&stderr=yes&tty=0&other=1`, spdy(V4), {
        method: "POST",
      }),
    ),
    async (end) => {
      await end.head();
      end.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\n\r\n");
      end.stream.end();
    },
  );
}
row("exec: no command", once(request(`${POD}/p/exec?stdout=1`, spdy(V4), { method: "POST" })), async (end) => {
  await end.head();
  end.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
});
row(
  "portforward: a port that is none",
  once(request(`${POD}/p/portforward?ports=x`, webSocket(TUNNEL))),
  async (end) => {
    await end.head();
    end.send("HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n");
  },
);

// Version 5 over a WebSocket becomes SPDY on the way to a kubelet that doesn't say it knows it.
type Serve = (streams: ReadonlyMap<string, SpdyStream>, end: End) => Promise<void>;

const spdyKubelet =
  (count: number, serve: Serve, version = V4) =>
  async (end: End) => {
    await end.head();
    end.send(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${version}\r\n\r\n`,
    );
    const connection = end.spdy("server");
    const streams = new Map<string, SpdyStream>();
    const incoming = connection.streams[Symbol.asyncIterator]();
    while (streams.size < count) {
      const { done, value } = await incoming.next();
      if (done) return end.note("<end>");
      end.note(`stream ${JSON.stringify(value.headers)}`);
      streams.set(value.headers["streamtype"] ?? "", value);
    }
    await serve(streams, end);
    connection.close();
  };

const v5 =
  (path: string, then?: (end: End) => Promise<void> | void, protocols = [V5]) =>
  async (end: End) => {
    end.send(request(path, webSocket(...protocols)));
    const head = await end.message();
    if (!head.startsWith("HTTP/1.1 101")) return;
    await then?.(end);
    await end.channels();
  };

const STATUS = {
  success: '{"metadata":{},"status":"Success"}',
  three: JSON.stringify({
    metadata: {},
    status: "Failure",
    message: "command terminated with non-zero exit code: exit status 3",
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: "3" }] },
  }),
  broken: JSON.stringify({
    metadata: {},
    status: "Failure",
    message: "error executing command in container: no such file",
    reason: "InternalError",
    details: { causes: [{ message: "error executing command in container: no such file" }] },
    code: 500,
  }),
  "no exit code": JSON.stringify({
    metadata: {},
    status: "Failure",
    message: "m",
    reason: "NonZeroExitCode",
    details: { causes: [] },
  }),
  "an odd exit code": JSON.stringify({
    metadata: {},
    status: "Failure",
    message: "m",
    reason: "NonZeroExitCode",
    details: { causes: [{ reason: "ExitCode", message: "x" }] },
  }),
  "no JSON": "what?",
  nothing: "",
  "an odd status": '{"status":"Odd"}',
};

for (const kind of ["exec", "attach"]) {
  const path = (query: string) => `${POD}/p/${kind}?command=c${query}`;
  for (const [name, status] of Object.entries(STATUS))
    row(
      `${kind} v5: both outputs, and ${name}`,
      v5(path("&stdout=1&stderr=1")),
      spdyKubelet(3, async (streams) => {
        await streams.get("stdout")!.write(Buffer.from("out"));
        await streams.get("stderr")!.write(Buffer.from("err"));
        streams.get("stdout")!.end();
        streams.get("stderr")!.end();
        if (status !== "") await streams.get("error")!.write(Buffer.from(status));
        streams.get("error")!.end();
      }),
    );
  row(
    `${kind} v5: input that ends`,
    v5(path("&stdin=1&stdout=1"), (end) => {
      end.frame("\0one ");
      end.frame("\0two");
      end.frame("\0");
      end.frame("");
      end.frame("\x07nobody's channel");
      end.frame("\xff\0");
    }),
    spdyKubelet(3, async (streams, end) => {
      end.note(`stdin ${await allOf(streams.get("stdin")!)}`);
      await streams.get("stdout")!.write(Buffer.from("got it"));
      streams.get("stdout")!.end();
      await streams.get("error")!.write(Buffer.from(STATUS.success));
      streams.get("error")!.end();
    }),
  );
  row(
    `${kind} v5: a ping, text`,
    v5(path("&stdin=1&stdout=1"), (end) => {
      end.frame("are you there", "ping");
      end.frame("\0text", "text");
      end.frame("\xff\0");
    }),
    spdyKubelet(3, async (streams, end) => {
      end.note(`stdin ${await allOf(streams.get("stdin")!)}`);
      streams.get("stdout")!.end();
      streams.get("error")!.end();
    }),
  );
  row(
    `${kind} v5: a terminal that changes its size`,
    v5(path("&stdin=1&stdout=1&tty=1"), (end) => {
      end.frame('\x04{"Width":80,"Height":24}');
      end.frame('\x04{"Width":100,"Height":30}');
    }),
    spdyKubelet(4, async (streams, end) => {
      let text = "";
      for await (const chunk of streams.get("resize")!) {
        text += Buffer.from(chunk).toString();
        if (text.includes("100")) break;
      }
      end.note(text);
      for (const name of ["stdout", "error"]) streams.get(name)!.end();
    }),
  );
  row(
    `${kind} v5: much output`,
    v5(path("&stdout=1")),
    spdyKubelet(2, async (streams) => {
      for (let i = 0; i < 20; i++) await streams.get("stdout")!.write(Buffer.alloc(100_000, "x"));
      streams.get("stdout")!.end();
      streams.get("error")!.end();
    }),
  );
  row(
    `${kind} v5: a client that closes`,
    async (end) => {
      end.send(request(path("&stdin=1&stdout=1"), webSocket(V5)));
      await end.head();
      await end.frameHeard();
      end.frame("\0last words");
      end.frame(Buffer.from([3, 232]), "close");
      await end.channels();
    },
    spdyKubelet(3, async (streams, end) => {
      end.note(`stdin ${await allOf(streams.get("stdin")!)}`);
    }),
    1,
  );
  row(
    `${kind} v5: outputs that end before the error stream`,
    v5(path("&stdout=1")),
    spdyKubelet(2, async (streams) => {
      streams.get("stdout")!.end();
      await streams.get("error")!.write(Buffer.from(STATUS.three));
      streams.get("error")!.end();
    }),
  );
  for (const version of ["v3.channel.k8s.io", "v2.channel.k8s.io"])
    row(
      `${kind} v5: a kubelet that chooses ${version}`,
      v5(path("&stdout=1&stderr=1")),
      spdyKubelet(
        3,
        async (streams) => {
          await streams.get("stdout")!.write(Buffer.from("out"));
          streams.get("stdout")!.end();
          streams.get("stderr")!.end();
          await streams.get("error")!.write(Buffer.from("words"));
          streams.get("error")!.end();
        },
        version,
      ),
    );
  row(`${kind} v5: a kubelet that is not there`, v5(`${POD}/refusing/${kind}?command=c&stdout=1`));
  row(
    `${kind} v5: v4 besides`,
    v5(path("&stdout=1"), undefined, [V4, V5]),
    spdyKubelet(2, async (streams) => {
      streams.get("stdout")!.end();
      streams.get("error")!.end();
    }),
  );
  row(
    `${kind} v5: a terminal with stderr`,
    v5(path("&stdout=1&stderr=1&tty=1")),
    spdyKubelet(3, async (streams) => {
      for (const stream of streams.values()) stream.end();
    }),
  );
  row(
    `${kind} v5: a kubelet that knows it`,
    async (end) => {
      end.send(request(`${POD}/modern/${kind}?command=c&stdout=1`, webSocket(V5)));
      await end.head();
      end.frame("\0in");
      await end.channels();
    },
    async (end) => {
      await end.head();
      end.send(
        `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Protocol: ${V5}\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n`,
      );
      await end.frameHeard(true);
      end.serverFrame("\x01out");
      end.serverFrame(`\x03${STATUS.success}`);
      end.stream.end();
    },
  );
}

// A tunnel becomes SPDY as well.
const tunnelled =
  (then: (connection: SpdyConnection, end: End) => Promise<void>, protocols = [TUNNEL], pod = "p") =>
  async (end: End) => {
    end.send(request(`${POD}/${pod}/portforward`, webSocket(...protocols)));
    const head = await end.message();
    if (!head.startsWith("HTTP/1.1 101")) return;
    await then(end.tunnel(), end);
  };

const forwardingKubelet =
  (then: (connection: SpdyConnection, end: End) => Promise<void>, protocol = FORWARD) =>
  async (end: End) => {
    await end.head();
    end.send(
      `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: SPDY/3.1\r\nX-Stream-Protocol-Version: ${protocol}\r\n\r\n`,
    );
    await then(end.spdy("server"), end);
  };

const echo = async (connection: SpdyConnection, end: End) => {
  for await (const stream of connection.streams) {
    end.note(`stream ${JSON.stringify(stream.headers)}`);
    if (stream.headers["streamtype"] === "error") {
      if (stream.headers["port"] === "81") await stream.write(Buffer.from("nobody listens on 81"));
      stream.end();
      continue;
    }
    void (async () => {
      try {
        for await (const chunk of stream) await stream.write(chunk);
        stream.end();
      } catch {
        // Reset: nobody wants it.
      }
    })();
  }
};

row(
  "tunnel: two connections",
  tunnelled(async (connection, end) => {
    for (const [id, port] of [
      ["0", "80"],
      ["1", "81"],
    ] as const) {
      const error = await connection.open({ streamtype: "error", port, requestid: id });
      error.end();
      const data = await connection.open({ streamtype: "data", port, requestid: id });
      end.note(`error ${await allOf(error)}`);
      await data.write(Buffer.from(`to ${port}`));
      data.end();
      end.note(`data ${await allOf(data)}`);
    }
    connection.close();
  }),
  forwardingKubelet(echo),
);
row(
  "tunnel: much data both ways",
  tunnelled(async (connection, end) => {
    const headers = { port: "80", requestid: "0" };
    const error = await connection.open({ streamtype: "error", ...headers });
    error.end();
    const data = await connection.open({ streamtype: "data", ...headers });
    const all = allOf(data);
    for (let i = 0; i < 30; i++) await data.write(Buffer.alloc(50_000, "y"));
    data.end();
    end.note(`data ${await all}`);
    connection.close();
  }),
  forwardingKubelet(echo),
);
row(
  "tunnel: the kubelet goes away",
  tunnelled(async (connection, end) => {
    await connection.closed;
    end.note("closed");
  }),
  forwardingKubelet(async (_, end) => {
    end.stream.end();
  }),
);
row(
  "tunnel: the kubelet chooses what was not asked for",
  tunnelled(async (connection, end) => {
    await connection.closed;
    end.note("closed");
  }),
  forwardingKubelet(async (_, end) => end.stream.end(), "v9.portforward.k8s.io"),
);
row(
  "tunnel: several protocols",
  tunnelled(
    async (connection, end) => {
      await connection.closed;
      end.note("closed");
    },
    ["SPDY/3.1+v2.portforward.k8s.io", TUNNEL],
  ),
  forwardingKubelet(async (_, end) => end.stream.end()),
);
row(
  "tunnel: the kubelet answers with another upgrade",
  tunnelled(async () => {}),
  async (end) => {
    await end.head();
    end.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    await end.hearEnd();
  },
);
row(
  "tunnel: a kubelet that is not there",
  tunnelled(async () => {}, [TUNNEL], "refusing"),
);
row(
  "tunnel: a kubelet that knows it",
  async (end) => {
    end.send(request(`${POD}/modern/portforward`, webSocket(TUNNEL)));
    await end.head();
    end.frame("in");
    await end.frameHeard();
    await end.frameHeard();
  },
  async (end) => {
    await end.head();
    end.send("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n");
    await end.frameHeard(true);
    end.serverFrame("out");
    end.stream.end();
  },
);

// Logs.
const log = (query: string, headers: readonly string[] = [], asked: Asked = {}) =>
  once(request(`${POD}/p/log${query}`, headers, asked), asked.method);
const LINES = "HTTP/1.1 200 OK\r\nContent-Type: text/odd\r\nX-Own: 1\r\nContent-Length: 8\r\n\r\none\ntwo\n";
for (const query of [
  "",
  "?follow=true&previous=true&tailLines=5&limitBytes=100&sinceSeconds=10&timestamps=true&container=c",
  "?sinceTime=2026-01-01T00:00:00Z",
  "?sinceTime=2026-01-01T02:00:00.123456789%2b02:00",
  "?stream=Stdout",
  "?stream=All&tailLines=1",
  "?tailLines=-1",
  "?tailLines=0",
  "?limitBytes=0",
  "?sinceSeconds=0",
  "?sinceSeconds=1&sinceTime=2026-01-01T00:00:00Z",
  "?sinceTime=yesterday",
  "?tailLines=many",
  "?container=none",
  "?follow=maybe&timestamps=0",
  "?insecureSkipTLSVerifyBackend=true",
  "?tailLines=1&tailLines=2",
  "?pretty=true&unknown=1",
])
  row(`log${query}`, log(query), answering(LINES));
row("log: HEAD", log("", [], { method: "HEAD" }), answering(LINES));
row("log: POST", log("", [], { method: "POST", body: "{}" }));
row(
  "log: what is accepted",
  log("", ["Accept: application/json", "User-Agent: table", "Cookie: a=b", "X-Own: 1"]),
  answering(LINES),
);
row("log: gzip", log("", ["Accept-Encoding: gzip"]), answering(LINES));
row(
  "log: follow in chunks",
  log("?follow=1"),
  answering("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n4\r\ntwo\n\r\n0\r\n\r\n"),
);
row("log: cut short", log(""), async (end) => {
  await end.head();
  end.send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\none\n");
  end.stream.end();
});
row("log: chunks cut short", log("?follow=1"), async (end) => {
  await end.head();
  end.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\none\n\r\n");
  end.stream.end();
});
for (const [status, body] of [
  ["400 Bad Request", 'container "c" in pod "p" is waiting to start: ContainerCreating'],
  ["401 Unauthorized", "Unauthorized"],
  ["403 Forbidden", "Forbidden (user=x)"],
  ["404 Not Found", 'pod "p" does not exist\n'],
  ["405 Method Not Allowed", ""],
  ["409 Conflict", "c"],
  ["422 Unprocessable Entity", '{"message": "Invalid request."}'],
  ["429 Too Many Requests", "later"],
  ["500 Internal Server Error", "broken\n"],
  ["503 Service Unavailable", "later"],
  ["504 Gateway Timeout", "late"],
  ["418 I'm a teapot", "tea"],
  ["302 Found\r\nLocation: https://192.0.2.10:10250/elsewhere", ""],
  ["204 No Content", ""],
  ["206 Partial Content", "part"],
] as const)
  row(
    `log: the kubelet says ${status.slice(0, 3)}`,
    log(""),
    answering(
      `HTTP/1.1 ${status}\r\n${status.startsWith("204") ? "" : `Content-Length: ${body.length}\r\n`}\r\n${body}`,
    ),
  );
row("log: a kubelet that is not there", once(request(`${POD}/refusing/log`)));
row("log: the kubelet ends before it answers", log(""), async (end) => {
  await end.head();
  end.stream.end();
});
row("log: a pod that no node has", once(request(`${POD}/waiting/log`)));
row("log: a pod whose node is not there", once(request(`${POD}/nowhere/log`)));
row("log: a pod whose node has no address", once(request(`${POD}/unreachable/log`)));
row("log: a pod that is not there", once(request(`${POD}/none/log`)));
row("log: several containers and no name", once(request(`${POD}/several/log`)));
row("log: who may not", log("", [], { token: "other" }));
for (const protocol of ["binary.k8s.io", "base64.binary.k8s.io", "none"])
  row(
    `log over a WebSocket: ${protocol}`,
    async (end) => {
      end.send(request(`${POD}/p/log`, webSocket(protocol)));
      const head = await end.message();
      if (head.startsWith("HTTP/1.1 101")) for (let i = 0; i < 4; i++) await end.frameHeard();
    },
    async (end) => {
      await end.head();
      end.send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\none\ntwo\n\r\n");
      // Upstream drops what comes together with the end.
      await new Promise((resolve) => setTimeout(resolve, 20));
      end.send("0\r\n\r\n");
    },
  );

// Proxies.
const proxy = (path: string, headers: readonly string[] = [], asked: Asked = {}) =>
  once(request(`/api/v1${path}`, headers, asked), asked.method);
const OK = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\n\r\nok";
for (const [what, base] of [
  ["pod", "/namespaces/default/pods/web"],
  ["service", "/namespaces/default/services/web"],
  ["node", "/nodes/n"],
] as const) {
  row(`${what} proxy: GET`, proxy(`${base}/proxy/a/b?c=d&e=f%20g`), answering(OK));
  row(`${what} proxy: no path`, proxy(`${base}/proxy`), answering(OK));
  row(`${what} proxy: no path, a query`, proxy(`${base}/proxy?a=b`), answering(OK));
  row(`${what} proxy: no path, POST`, proxy(`${base}/proxy`, [], { method: "POST", body: "x" }), answering(OK));
  row(`${what} proxy: the root`, proxy(`${base}/proxy/`), answering(OK));
  row(`${what} proxy: a folder`, proxy(`${base}/proxy/a/`), answering(OK));
  row(`${what} proxy: a path that is escaped`, proxy(`${base}/proxy/a%2Fb%20c/%E4//d`), answering(OK));
  row(
    `${what} proxy: HEAD`,
    proxy(`${base}/proxy/a`, [], { method: "HEAD" }),
    answering("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"),
  );
  for (const method of ["POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
    row(
      `${what} proxy: ${method}`,
      proxy(`${base}/proxy/a`, ["Content-Type: text/own"], { method, body: "body" }),
      answering(OK),
    );
  row(
    `${what} proxy: a body in chunks`,
    async (end) => {
      end.send(
        `${request(`/api/v1${base}/proxy/a`, ["Transfer-Encoding: chunked"], { method: "POST" })}3\r\none\r\n3\r\ntwo\r\n0\r\n\r\n`,
      );
      await end.message();
    },
    answering(OK),
  );
  row(
    `${what} proxy: headers`,
    proxy(`${base}/proxy/a`, [
      "User-Agent: table",
      "Accept: text/html",
      "Accept-Encoding: gzip, br",
      "Cookie: a=b",
      "X-Own: 1",
      "X-Own: 2",
      "X-Forwarded-For: 198.51.100.1",
      "X-Forwarded-Host: other",
      "X-Remote-User: me",
      "Te: trailers",
      "Keep-Alive: 1",
      "Proxy-Authorization: secret",
      "Connection: X-Dropped",
      "X-Dropped: 1",
      "Forwarded: for=1.1.1.1",
      "Via: 1.1 other",
      "Origin: https://other",
    ]),
    answering(
      "HTTP/1.1 203 Odd\r\nContent-Type: text/own\r\nX-Own: 1\r\nX-Own: 2\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\nAccess-Control-Allow-Origin: *\r\nAccess-Control-Allow-Methods: GET\r\nAccess-Control-Allow-Headers: a\r\nAccess-Control-Allow-Credentials: true\r\nAccess-Control-Expose-Headers: b\r\nConnection: X-Hop\r\nX-Hop: 1\r\nKeep-Alive: 1\r\nServer: own\r\nCache-Control: max-age=1\r\nAudit-Id: mine\r\nWww-Authenticate: Basic\r\nContent-Length: 2\r\n\r\nok",
    ),
  );
  row(
    `${what} proxy: chunks and trailers`,
    proxy(`${base}/proxy/a`),
    answering(
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Sum\r\n\r\n3\r\none\r\n0\r\nX-Sum: 1\r\n\r\n",
    ),
  );
  row(`${what} proxy: an answer to the connection's end`, proxy(`${base}/proxy/a`), async (end) => {
    await end.head();
    end.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\nall");
    end.stream.end();
  });
  row(`${what} proxy: an answer cut short`, proxy(`${base}/proxy/a`), async (end) => {
    await end.head();
    end.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 10\r\n\r\nall");
    end.stream.end();
  });
  row(`${what} proxy: chunks cut short`, proxy(`${base}/proxy/a`), async (end) => {
    await end.head();
    end.send("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nall\r\n");
    end.stream.end();
  });
  row(`${what} proxy: no answer`, proxy(`${base}/proxy/a`, [], { method: "POST", body: "x" }), async (end) => {
    await end.message();
    end.stream.end();
  });
  row(`${what} proxy: no HTTP`, proxy(`${base}/proxy/a`, [], { method: "POST", body: "x" }), async (end) => {
    await end.message();
    end.send("SSH-2.0-none\r\n\r\n");
    end.stream.end();
  });
  for (const [name, location] of Object.entries({
    "a path": "/elsewhere/",
    "a relative path": "elsewhere",
    "its own address": what === "node" ? "https://192.0.2.10:10250/elsewhere" : "http://192.0.2.11:8080/elsewhere?a=b",
    "the API server's name": "https://api.example/elsewhere",
    "another host": "https://other.example/elsewhere",
    "a path below the proxy": `/api/v1${base}/proxy/elsewhere`,
  }))
    row(
      `${what} proxy: a redirect to ${name}`,
      proxy(`${base}/proxy/a`),
      answering(`HTTP/1.1 302 Found\r\nLocation: ${location}\r\nContent-Length: 0\r\n\r\n`),
    );
  const page =
    '<!DOCTYPE html><html><head><base href="/b"><link rel=x href=/l><script src="/s.js">if (a < b) f("</a>")</script><style>a{background:url(/u)}</style></head><body background="/bg"><a class="c" href="/a?b=1&amp;c=2#d">x &amp; y</a><a href="rel">r</a><a href="https://api.example/z">z</a><a href="//other.example/z">o</a><img src=\'/i.png\' usemap="/m" alt="/alt"><form action="/f"></form><div href="/no" title="a &lt; b">ü</div><video poster="/p" src="/v"/><!-- <a href="/c"> --></body></html>';
  row(
    `${what} proxy: a page`,
    proxy(`${base}/proxy/a`),
    answering(
      `HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: ${Buffer.byteLength(page, "latin1")}\r\n\r\n${page}`,
    ),
  );
  for (const status of [
    "400 Bad Request",
    "401 Unauthorized",
    "404 Not Found",
    "500 Internal Server Error",
    "204 No Content",
    "304 Not Modified",
  ])
    row(
      `${what} proxy: ${status.slice(0, 3)}`,
      proxy(`${base}/proxy/a`),
      answering(
        `HTTP/1.1 ${status}\r\n${/^(204|304)/.test(status) ? "" : "Content-Length: 5\r\n"}\r\n${/^(204|304)/.test(status) ? "" : "words"}`,
      ),
    );
  row(`${what} proxy: who may not`, proxy(`${base}/proxy/a`, [], { token: "other" }));
  for (const [name, headers, upgrade] of [
    ["WebSocket", webSocket("own"), "websocket"],
    ["SPDY", spdy(V4), "SPDY/3.1"],
    ["something", ["Connection: keep-alive, Upgrade", "Upgrade: own/1"], "own/1"],
  ] as const)
    row(
      `${what} proxy: an upgrade to ${name}`,
      async (end) => {
        end.send(request(`/api/v1${base}/proxy/a?b=c`, [...headers, "X-Forwarded-For: 198.51.100.1"]));
        await end.head();
        end.send("from the client");
        await end.hear(8);
        await end.hearEnd();
      },
      async (end) => {
        await end.head();
        end.send(
          `HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: ${upgrade}\r\nSet-Cookie: a=b\r\nSet-Cookie: c=d\r\n\r\nfrom web`,
        );
        await end.hear(15);
        end.stream.end();
      },
    );
  row(
    `${what} proxy: an upgrade without a path`,
    proxy(`${base}/proxy`, webSocket()),
    answering("HTTP/1.1 404 Not Found\r\nX-Own: 1\r\nContent-Length: 2\r\n\r\nno"),
  );
  row(
    `${what} proxy: an upgrade that is answered with a redirect`,
    proxy(`${base}/proxy/a`, webSocket()),
    answering("HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"),
  );
  row(`${what} proxy: an upgrade that is answered in plain`, proxy(`${base}/proxy/a`, webSocket()), answering(OK));
}
for (const path of [
  "/namespaces/default/pods/none/proxy/a",
  "/namespaces/default/pods/http:web:8080/proxy/a",
  "/namespaces/default/pods/https:web:8443/proxy/a",
  "/namespaces/default/pods/web:8080/proxy/a",
  "/namespaces/default/pods/web:1/proxy/a",
  "/namespaces/default/pods/ftp:web:1/proxy/a",
  "/namespaces/default/pods/:/proxy/a",
  "/namespaces/default/pods/web:99999/proxy/a",
  "/namespaces/default/pods/p/proxy/a",
  "/namespaces/default/pods/looped/proxy/a",
  "/namespaces/default/pods/local/proxy/a",
  "/namespaces/default/services/none/proxy/a",
  "/namespaces/default/services/named/proxy/a",
  "/namespaces/default/services/named:http/proxy/a",
  "/namespaces/default/services/named:80/proxy/a",
  "/namespaces/default/services/https:named:secure/proxy/a",
  "/namespaces/default/services/https:named:443/proxy/a",
  "/namespaces/default/services/http:named:http/proxy/a",
  "/namespaces/default/services/web:80/proxy/a",
  "/namespaces/default/services/web:/proxy/a",
  "/namespaces/default/services/web:none/proxy/a",
  "/namespaces/default/services/web:81/proxy/a",
  "/namespaces/default/services/empty/proxy/a",
  "/namespaces/default/services/empty:80/proxy/a",
  "/namespaces/default/services/without/proxy/a",
  "/namespaces/default/services/strange/proxy/a",
  "/namespaces/default/services/lying/proxy/a",
  "/namespaces/default/services/ftp:web:1/proxy/a",
  "/nodes/none/proxy/a",
  "/nodes/n:10250/proxy/a",
  "/nodes/https:n:10250/proxy/a",
  "/nodes/http:n:1/proxy/a",
  "/nodes/n:1/proxy/a",
  "/nodes/refusing/proxy/a",
  "/nodes/unreachable/proxy/a",
  "/nodes/looped/proxy/a",
  "/nodes/ftp:n:1/proxy/a",
])
  row(path, proxy(path), answering(OK));

export const ROWS: readonly Row[] = rows;

const node = (name: string, address: string | undefined, port: number, more: object = {}) => ({
  path: "/api/v1/nodes",
  body: { kind: "Node", apiVersion: "v1", metadata: { name } },
  status: {
    ...(address !== undefined && { addresses: [{ type: "InternalIP", address }] }),
    daemonEndpoints: { kubeletEndpoint: { Port: port } },
    ...more,
  },
});

const pod = (
  name: string,
  nodeName: string | undefined,
  podIP?: string,
  containers: readonly object[] = [{ name: "c", image: "i" }],
) => ({
  path: "/api/v1/namespaces/default/pods",
  body: {
    kind: "Pod",
    apiVersion: "v1",
    metadata: { name },
    spec: { ...(nodeName !== undefined && { nodeName }), containers },
  },
  ...(podIP !== undefined && { status: { podIP, podIPs: [{ ip: podIP }] } }),
});

const service = (name: string, ports: readonly object[]) => ({
  path: "/api/v1/namespaces/default/services",
  body: { kind: "Service", apiVersion: "v1", metadata: { name }, spec: { clusterIP: "None", ports } },
});

const endpoints = (name: string, ip: string | undefined, ports: readonly object[], pod?: string) => ({
  path: "/api/v1/namespaces/default/endpoints",
  body: {
    kind: "Endpoints",
    apiVersion: "v1",
    metadata: { name },
    subsets:
      ip === undefined
        ? []
        : [{ addresses: [{ ip, ...(pod && { targetRef: { kind: "Pod", namespace: "default", name: pod } }) }], ports }],
  },
});

const ONE = [{ port: 8080 }];
const TWO = [
  { name: "http", port: 8080 },
  { name: "secure", port: 8443 },
];

/** What the rows speak of; a status is put where there is one. */
export const OBJECTS: readonly { readonly path: string; readonly body: object; readonly status?: object }[] = [
  node("n", KUBELET.host, KUBELET.port),
  node("modern", KUBELET.host, KUBELET.port, { declaredFeatures: ["ExtendWebSocketsToKubelet"] }),
  node("refusing", NOBODY.host, NOBODY.port),
  node("unreachable", undefined, 0),
  node("looped", "127.0.0.1", 10250),
  pod("p", "n"),
  pod("several", "n", undefined, [
    { name: "a", image: "i" },
    { name: "b", image: "i" },
  ]),
  pod("waiting", undefined),
  pod("nowhere", "none"),
  pod("unreachable", "unreachable"),
  pod("refusing", "refusing"),
  pod("modern", "modern"),
  pod("looped", "n", "127.0.0.1"),
  pod("local", "n", "169.254.1.1"),
  pod("web", "n", WEB.host, [{ name: "c", image: "i", ports: [{ name: "http", containerPort: 8080 }] }]),
  service("web", [{ port: 80 }]),
  endpoints("web", WEB.host, ONE, "web"),
  service("named", [
    { name: "http", port: 80 },
    { name: "secure", port: 443 },
  ]),
  endpoints("named", WEB.host, TWO, "web"),
  service("empty", [{ port: 80 }]),
  endpoints("empty", undefined, ONE),
  service("without", [{ port: 80 }]),
  service("strange", [{ port: 80 }]),
  endpoints("strange", WEB.host, ONE),
  service("lying", [{ port: 80 }]),
  endpoints("lying", "192.0.2.99", ONE, "web"),
  {
    path: "/apis/rbac.authorization.k8s.io/v1/clusterroles",
    body: {
      kind: "ClusterRole",
      apiVersion: "rbac.authorization.k8s.io/v1",
      metadata: { name: "getter" },
      rules: [{ apiGroups: [""], resources: ["pods/exec", "pods/attach", "pods/portforward"], verbs: ["get"] }],
    },
  },
  {
    path: "/apis/rbac.authorization.k8s.io/v1/clusterrolebindings",
    body: {
      kind: "ClusterRoleBinding",
      apiVersion: "rbac.authorization.k8s.io/v1",
      metadata: { name: "getter" },
      roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: "getter" },
      subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "getter" }],
    },
  },
];
