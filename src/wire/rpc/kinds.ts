/** How values of each type are encoded, decoded and defaulted: numbers, strings, bytes, and enums, which are represented by their names. */
import { assert } from "../../base/assert.ts";
import type { BackwardWriter } from "./backward-writer.ts";
import type { Registry } from "./codec.ts";
import type { Reader } from "./reader.ts";
import type { MessageField } from "./service.ts";

/** Numbers and strings by which a value of one scalar or enum type is written, read and completed. */
export interface Kind {
  readonly wire: 0 | 1 | 2 | 5;
  readonly zero: unknown;
  write(value: any, writer: BackwardWriter): void;
  read(reader: Reader): unknown;
  isZero(value: any): boolean;
}

const NO_BYTES = new Uint8Array(0);

/** Undefined for a message. */
export function kindOf(field: MessageField, { enums }: Pick<Registry, "enums">): Kind | undefined {
  const type = field.map?.value ?? field.type;
  const values = enums[type];
  if (values) return enumKind(values);
  if (field.big) {
    const big = BIG_SCALARS[type];
    assert(big, `${field.name}: ${type} can't be big`);
    return big;
  }
  return SCALARS[type];
}

function enumKind(values: Readonly<Record<string, number>>): Kind {
  const names = new Map<number, string>();
  for (const [name, number] of Object.entries(values)) if (!names.has(number)) names.set(number, name);
  const zero = names.get(0) ?? 0;
  const numberOf = (value: string | number): number => {
    if (typeof value === "number") return value;
    const number = values[value];
    assert(number !== undefined, `no enum value ${value}`);
    return number;
  };
  return {
    wire: 0,
    zero,
    write: (value: string | number, writer) => writer.int32(numberOf(value)),
    read(reader) {
      const number = reader.int32();
      return names.get(number) ?? number;
    },
    isZero: (value) => value === zero || value === 0,
  };
}

const isZeroNumber = (value: number) => value === 0;
const isZeroBig = (value: bigint) => value === 0n;

const SCALARS: Readonly<Record<string, Kind>> = {
  string: {
    wire: 2,
    zero: "",
    write: (value: string, writer) => writer.string(value),
    read: (reader) => reader.string(),
    isZero: (value: string) => value === "",
  },
  bytes: {
    wire: 2,
    zero: NO_BYTES,
    write(value: Uint8Array, writer) {
      writer.bytes(value);
      writer.varint32(value.length);
    },
    read: (reader) => reader.bytes(),
    isZero: (value: Uint8Array) => value.length === 0,
  },
  bool: {
    wire: 0,
    zero: false,
    write: (value: boolean, writer) => writer.varint32(value ? 1 : 0),
    read: (reader) => reader.int64() !== 0,
    isZero: (value: boolean) => !value,
  },
  int32: {
    wire: 0,
    zero: 0,
    write: (value, writer) => writer.int32(value),
    read: (reader) => reader.int32(),
    isZero: isZeroNumber,
  },
  uint32: {
    wire: 0,
    zero: 0,
    write: (value, writer) => writer.varint32(value),
    read: (reader) => reader.uint32(),
    isZero: isZeroNumber,
  },
  sint32: {
    wire: 0,
    zero: 0,
    write: (value: number, writer) => writer.varint32(((value << 1) ^ (value >> 31)) >>> 0),
    read(reader) {
      const value = reader.uint32();
      return (value >>> 1) ^ -(value & 1);
    },
    isZero: isZeroNumber,
  },
  int64: {
    wire: 0,
    zero: 0,
    write: (value, writer) => writer.int64(value),
    read: (reader) => reader.int64(),
    isZero: isZeroNumber,
  },
  uint64: {
    wire: 0,
    zero: 0,
    write: (value, writer) => writer.int64(value),
    read: (reader) => reader.uint64(),
    isZero: isZeroNumber,
  },
  sint64: {
    wire: 0,
    zero: 0,
    write(value: number, writer) {
      const big = BigInt(value);
      writer.big(BigInt.asUintN(64, (big << 1n) ^ (big >> 63n)));
    },
    read(reader) {
      const value = reader.big();
      return Number((value >> 1n) ^ -(value & 1n));
    },
    isZero: isZeroNumber,
  },
  fixed32: {
    wire: 5,
    zero: 0,
    write: (value, writer) => writer.fixed32(value),
    read: (reader) => reader.fixed32(),
    isZero: isZeroNumber,
  },
  sfixed32: {
    wire: 5,
    zero: 0,
    write: (value, writer) => writer.fixed32(value),
    read: (reader) => reader.fixed32() | 0,
    isZero: isZeroNumber,
  },
  fixed64: {
    wire: 1,
    zero: 0,
    write: (value: number, writer) => writer.fixed64(BigInt(value)),
    read: (reader) => Number(reader.fixed64()),
    isZero: isZeroNumber,
  },
  sfixed64: {
    wire: 1,
    zero: 0,
    write: (value: number, writer) => writer.fixed64(BigInt(value)),
    read: (reader) => Number(BigInt.asIntN(64, reader.fixed64())),
    isZero: isZeroNumber,
  },
  // Minus zero is not zero here: only the value with no bit set is left out.
  float: {
    wire: 5,
    zero: 0,
    write: (value, writer) => writer.float(value),
    read: (reader) => reader.float(),
    isZero: (value) => Object.is(value, 0),
  },
  double: {
    wire: 1,
    zero: 0,
    write: (value, writer) => writer.double(value),
    read: (reader) => reader.double(),
    isZero: (value) => Object.is(value, 0),
  },
};

const BIG_SCALARS: Readonly<Record<string, Kind>> = {
  int64: {
    wire: 0,
    zero: 0n,
    write: (value, writer) => writer.big(value),
    read: (reader) => BigInt.asIntN(64, reader.big()),
    isZero: isZeroBig,
  },
  uint64: {
    wire: 0,
    zero: 0n,
    write: (value, writer) => writer.big(value),
    read: (reader) => reader.big(),
    isZero: isZeroBig,
  },
  fixed64: {
    wire: 1,
    zero: 0n,
    write: (value, writer) => writer.fixed64(value),
    read: (reader) => reader.fixed64(),
    isZero: isZeroBig,
  },
  sfixed64: {
    wire: 1,
    zero: 0n,
    write: (value, writer) => writer.fixed64(value),
    read: (reader) => BigInt.asIntN(64, reader.fixed64()),
    isZero: isZeroBig,
  },
};
