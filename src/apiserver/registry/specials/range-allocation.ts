/**
 * The stored form of allocated ports: a RangeAllocation whose data is a number with one bit for each port. It is read in both of upstream's formats
 * and written in JSON.
 * Upstream: pkg/apis/core/types.go, pkg/registry/core/service/allocator/bitmap.go
 */
export function encodeRange(range: string, from: number, taken: ReadonlySet<number>): Uint8Array {
  const length = taken.size === 0 ? 0 : (Math.max(...taken) - from) / 8 + 1;
  const data = Buffer.alloc(Math.floor(length));
  for (const port of taken) {
    const bit = port - from;
    data[data.length - 1 - (bit >> 3)]! |= 1 << (bit & 7);
  }
  return Buffer.from(
    JSON.stringify({
      kind: "RangeAllocation",
      apiVersion: "v1",
      metadata: {},
      range,
      data: data.toString("base64"),
    }),
  );
}

export function decodeRange(value: Uint8Array, from: number): ReadonlySet<number> {
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength);
  const data = bytes.subarray(0, 4).equals(MAGIC)
    ? (field(field(bytes.subarray(4), 2), 3) ?? Buffer.alloc(0))
    : Buffer.from(JSON.parse(bytes.toString()).data ?? "", "base64");
  const taken = new Set<number>();
  for (const [i, byte] of data.entries())
    for (let bit = 0; bit < 8; bit++) if (byte & (1 << bit)) taken.add(from + (data.length - 1 - i) * 8 + bit);
  return taken;
}

const MAGIC = Buffer.from("k8s\0");

/** The bytes of a length-delimited field of a protobuf message, which here has no others. */
function field(message: Buffer | undefined, wanted: number): Buffer | undefined {
  for (let at = 0; message !== undefined && at < message.length;) {
    const number = message[at++]! >> 3;
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = message[at++]!;
      length |= (byte & 0x7f) << shift;
      if (byte < 0x80) break;
    }
    if (number === wanted) return message.subarray(at, at + length);
    at += length;
  }
  return undefined;
}
