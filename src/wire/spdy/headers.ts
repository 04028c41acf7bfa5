/** SPDY/3 header blocks: names and values in one deflate stream for each direction, which starts from a fixed dictionary. */
import { inflateRawSync, constants } from "node:zlib";

export type SpdyHeaders = Readonly<Record<string, string>>;

/** The dictionary of the SPDY/3 draft: words, each after its length in four bytes, and a tail of values. */
const WORDS =
  "options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow " +
  "authorization cache-control connection content-base content-encoding content-language content-length content-location " +
  "content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match " +
  "if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range " +
  "referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get " +
  "status 200_OK version HTTP/1.1 url public set-cookie keep-alive origin";
const TAIL =
  "100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505203 Non-Authoritative " +
  "Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal " +
  "Server Error501 Not Implemented503 Service UnavailableJan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, " +
  "Tue, Wed, Thu, Fri, Sat, Sun, GMTchunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml," +
  "text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.";

export const DICTIONARY: Buffer = Buffer.concat([
  ...WORDS.split(" ").map((word) => lengthPrefixed(word.replace("_", " "))),
  Buffer.from(TAIL),
]);

const WINDOW_BYTES = 32 * 1024;
const BLOCK_BYTES_MAX = 1 << 20;

function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.from(text);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

/** An empty stored block, as a compressor's flush leaves it: Go gives out what it has when it meets one, and not before. */
const FLUSH = Buffer.from([0, 0, 0, 0xff, 0xff]);

/** What we send is stored, not compressed: a few short headers a stream, and no compressor's state to keep. */
export class HeaderWriter {
  #started = false;

  write(headers: SpdyHeaders): Buffer {
    const entries = Object.entries(headers);
    const count = Buffer.alloc(4);
    count.writeUInt32BE(entries.length);
    const plain = Buffer.concat([
      count,
      ...entries.flatMap(([name, value]) => [lengthPrefixed(name.toLowerCase()), lengthPrefixed(value)]),
    ]);
    const chunks: Buffer[] = [];
    // zlib's header, without a dictionary: stored blocks refer to nothing.
    if (!this.#started) chunks.push(Buffer.from([0x78, 0x01]));
    this.#started = true;
    for (let at = 0; at < plain.length; at += 0xffff) {
      const piece = plain.subarray(at, at + 0xffff);
      const head = Buffer.alloc(5);
      head.writeUInt16LE(piece.length, 1);
      head.writeUInt16LE(piece.length ^ 0xffff, 3);
      chunks.push(head, piece);
    }
    chunks.push(FLUSH);
    return Buffer.concat(chunks);
  }
}

/**
 * The other side's blocks, each flushed to a byte's end. Deflate refers back to at most 32 KiB of what it gave before, so each block can be
 * inflated by itself, synchronously, with that as its dictionary.
 */
export class HeaderReader {
  #started = false;
  #window: Buffer = DICTIONARY;

  read(block: Uint8Array): SpdyHeaders {
    let body = block;
    if (!this.#started) {
      const hasDictionary = (block[1]! & 0x20) !== 0;
      body = block.subarray(hasDictionary ? 6 : 2);
      this.#started = true;
    }
    const plain = inflateRawSync(body, {
      dictionary: this.#window,
      finishFlush: constants.Z_SYNC_FLUSH,
      maxOutputLength: BLOCK_BYTES_MAX,
    });
    this.#window = Buffer.concat([this.#window, plain]).subarray(-WINDOW_BYTES);
    return parseBlock(plain);
  }
}

function parseBlock(plain: Buffer): SpdyHeaders {
  const headers: Record<string, string> = {};
  let at = 4;
  const text = () => {
    const length = plain.readUInt32BE(at);
    at += 4 + length;
    if (at > plain.length) throw new RangeError("a header block is cut short");
    return plain.toString("utf8", at - length, at);
  };
  for (let left = plain.readUInt32BE(0); left > 0; left--) {
    const name = text();
    headers[name] = text();
  }
  return headers;
}
