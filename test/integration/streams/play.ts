/** The two ends of a conversation through an API server: a client, and what stands behind it, each with a script and with notes of what it heard. */
import type { ByteStream } from "../../../src/world/net.ts";
import type { Random } from "../../../src/world/world.ts";
import { encodeFrame, FrameParser, type Opcode } from "../../../src/wire/websocket/frames.ts";
import { openWebSocket, webSocketBytes } from "../../../src/wire/websocket/websocket.ts";
import { spdyConnection, type SpdyConnection, type SpdyStream } from "../../../src/wire/spdy/connection.ts";

/** What differs from one answer, or from one server, to the next. */
const masked = (line: string) =>
  line
    .replace(/^(Date|Audit-Id|X-Kubernetes-Pf-[A-Za-z-]+): .*$/i, "$1: *")
    .replace(/^(Content-Length): .*$/i, (all, name: string) => (all.endsWith(" 0") ? all : `${name}: *`));

/** A header is the same whatever its letters' case, and its values' lines may be one; cookies alone may not. */
function inOrder(headers: readonly string[]): string[] {
  const byName = new Map<string, string>();
  const cookies: string[] = [];
  for (const line of headers) {
    const at = line.indexOf(":");
    const name = line.slice(0, at).toLowerCase();
    const value = line.slice(at + 1).trim();
    if (name === "set-cookie") cookies.push(`${name}: ${value}`);
    else byName.set(name, byName.has(name) ? `${byName.get(name)}, ${value}` : value);
  }
  const lines = [...byName].map(([name, value]) => masked(`${name}: ${value}`));
  return [...lines, ...cookies].sort((a, b) => (a < b ? -1 : 1));
}

/** One end of a connection, read and written by hand. */
export class End {
  readonly stream: ByteStream;
  readonly notes: string[];
  readonly #random: Random;
  readonly #chunks: AsyncIterator<Uint8Array>;
  #rest = Buffer.alloc(0);
  #parser: FrameParser | undefined;
  #frames: { opcode: Opcode; payload: Uint8Array }[] = [];

  constructor(stream: ByteStream, notes: string[], random: Random) {
    this.stream = stream;
    this.notes = notes;
    this.#random = random;
    this.#chunks = stream[Symbol.asyncIterator]();
  }

  note(line: string): void {
    this.notes.push(line);
  }

  send(text: string): void {
    this.stream.write(Buffer.from(text, "latin1")).catch(() => {});
  }

  async #more(): Promise<boolean> {
    try {
      const { done, value } = await this.#chunks.next();
      if (done) return false;
      this.#rest = Buffer.concat([this.#rest, value]);
      return true;
    } catch {
      return false;
    }
  }

  async #until(marker: string): Promise<string | undefined> {
    for (;;) {
      const at = this.#rest.indexOf(marker);
      if (at >= 0) {
        const text = this.#rest.subarray(0, at).toString("latin1");
        this.#rest = this.#rest.subarray(at + marker.length);
        return text;
      }
      if (!(await this.#more())) return undefined;
    }
  }

  async #exactly(count: number): Promise<string> {
    while (this.#rest.length < count && (await this.#more()));
    const text = this.#rest.subarray(0, count).toString("latin1");
    this.#rest = this.#rest.subarray(count);
    return text;
  }

  /** So many bytes, as text. */
  async hear(count: number): Promise<void> {
    this.note(JSON.stringify(await this.#exactly(count)));
  }

  /** All that comes until the other side ends. */
  async hearEnd(): Promise<void> {
    while (await this.#more());
    this.note(`${JSON.stringify(this.#rest.toString("latin1"))} <end>`);
    this.#rest = Buffer.alloc(0);
  }

  /** A request or an answer, without its body. Headers in the order of their names: HTTP gives them none. */
  async head(): Promise<string> {
    const text = await this.#until("\r\n\r\n");
    if (text === undefined) {
      this.note("<end>");
      return "";
    }
    const [first = "", ...headers] = text.split("\r\n");
    this.note([first, ...inOrder(headers)].join("\n"));
    return text;
  }

  /** The same with its body. */
  async message(method = "GET"): Promise<string> {
    const head = await this.head();
    const [first = ""] = head.split("\r\n");
    const isAnswer = first.startsWith("HTTP/");
    const length = /^content-length: (\d+)/im.exec(head)?.[1];
    if (isAnswer && (method === "HEAD" || /^HTTP\/1.1 (1|204|304)/.test(first))) return head;
    if (/^transfer-encoding: chunked/im.test(head)) {
      let body = "";
      for (;;) {
        const size = Number.parseInt((await this.#until("\r\n")) ?? "", 16);
        if (Number.isNaN(size)) {
          this.note(`${JSON.stringify(body)} <cut>`);
          return head;
        }
        body += await this.#exactly(size);
        const behind = await this.#until("\r\n");
        if (size !== 0) continue;
        for (let line = behind; line !== undefined && line !== ""; line = await this.#until("\r\n"))
          body += `<${line}>`;
        break;
      }
      this.note(body);
    } else if (length !== undefined) {
      const body = await this.#exactly(Number(length));
      if (body !== "") this.note(body.length < Number(length) ? `${JSON.stringify(body)} <cut>` : body);
    } else if (isAnswer) {
      while (await this.#more());
      if (this.#rest.length > 0) this.note(this.#rest.toString("latin1"));
      this.#rest = Buffer.alloc(0);
    }
    return head;
  }

  /** What follows as SPDY. */
  spdy(side: "client" | "server"): SpdyConnection {
    return spdyConnection(this.#behind(), side);
  }

  #behind(): ByteStream {
    const { stream } = this;
    const rest = this.#rest;
    const chunks = this.#chunks;
    this.#rest = Buffer.alloc(0);
    return {
      peer: stream.peer,
      closed: stream.closed,
      write: (data) => stream.write(data),
      end: () => stream.end(),
      destroy: (error) => stream.destroy(error),
      async *[Symbol.asyncIterator]() {
        if (rest.length > 0) yield rest;
        for (;;) {
          const { done, value } = await chunks.next();
          if (done) return;
          yield value;
        }
      },
    };
  }

  /** A frame of a WebSocket, of the client's side: masked. */
  frame(payload: Uint8Array | string, opcode: Opcode = "binary", final = true): void {
    const data = typeof payload === "string" ? Buffer.from(payload, "latin1") : payload;
    for (const chunk of encodeFrame({ final, opcode, payload: data }, this.#random.bytes(4)))
      this.stream.write(chunk).catch(() => {});
  }

  /** SPDY in the client's WebSocket. */
  tunnel(): SpdyConnection {
    const socket = openWebSocket(this.#behind(), { protocol: "", random: this.#random });
    return spdyConnection(webSocketBytes(socket, this.stream.peer), "client");
  }

  /** A frame of the server's side. */
  serverFrame(payload: string, opcode: Opcode = "binary"): void {
    for (const chunk of encodeFrame({ final: true, opcode, payload: Buffer.from(payload, "latin1") }))
      this.stream.write(chunk).catch(() => {});
  }

  async #frame(masking: boolean): Promise<{ opcode: Opcode; payload: Uint8Array } | undefined> {
    this.#parser ??= new FrameParser(masking, 64 << 20);
    for (;;) {
      const next = this.#frames.shift();
      if (next !== undefined) return next;
      if (this.#rest.length === 0 && !(await this.#more())) return undefined;
      this.#frames.push(...this.#parser.push(this.#rest));
      this.#rest = Buffer.alloc(0);
    }
  }

  /** One frame more. */
  async frameHeard(masking = false): Promise<void> {
    const frame = await this.#frame(masking);
    this.note(frame === undefined ? "<end>" : shown(frame));
  }

  /** All frames to the end, those of one channel joined: how much of a channel comes in one frame is nobody's promise. */
  async channels(): Promise<void> {
    const channels = new Map<number, string>();
    const others: string[] = [];
    for (;;) {
      const frame = await this.#frame(false);
      if (frame === undefined) break;
      const { opcode, payload } = frame;
      if (opcode !== "binary" || payload.length === 0) others.push(shown(frame));
      else
        channels.set(
          payload[0]!,
          (channels.get(payload[0]!) ?? "") + Buffer.from(payload.subarray(1)).toString("latin1"),
        );
    }
    for (const [channel, text] of [...channels].sort(([a], [b]) => a - b))
      this.note(`channel ${channel}: ${brief(text)}`);
    for (const other of others) this.note(other);
    this.note("<end>");
  }
}

const shown = ({ opcode, payload }: { opcode: string; payload: Uint8Array }) =>
  `${opcode} ${brief(Buffer.from(payload).toString("latin1"))}`;

const LONG = 2000;
export const brief = (text: string) =>
  text.length > LONG ? `${JSON.stringify(text.slice(0, 20))} and so on, ${text.length} bytes` : JSON.stringify(text);

/** All of a stream: its bytes, and how it ended. */
export async function allOf(stream: SpdyStream): Promise<string> {
  let text = "";
  try {
    for await (const chunk of stream) text += Buffer.from(chunk).toString("latin1");
  } catch {
    return `${brief(text)} <reset>`;
  }
  return `${brief(text)} <end>`;
}
