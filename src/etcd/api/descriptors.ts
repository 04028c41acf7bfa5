/** Turns field tables into the file descriptors that protoc would have generated, one file for each package. */
import type {
  ProtobufDescriptorProto as Descriptor,
  ProtobufEnumDescriptorProto as EnumDescriptor,
  ProtobufFieldDescriptorProto as FieldDescriptor,
  ProtobufFileDescriptorProto as FileDescriptor,
} from "../../protocols/grpc/generated.ts";
import type { Registry } from "../../wire/rpc/codec.ts";
import type { Init, MessageField, Service } from "../../wire/rpc/service.ts";

export interface PackageFile {
  readonly name: string;
  readonly descriptor: Init<FileDescriptor>;
  /** Full names of the messages, enums, services and methods in it. */
  readonly symbols: ReadonlySet<string>;
}

const SCALARS: Readonly<Record<string, number>> = {
  double: 1,
  float: 2,
  int64: 3,
  uint64: 4,
  int32: 5,
  fixed64: 6,
  fixed32: 7,
  bool: 8,
  string: 9,
  bytes: 12,
  uint32: 13,
  sfixed32: 15,
  sfixed64: 16,
  sint32: 17,
  sint64: 18,
};
const MESSAGE = 11;
const ENUM = 14;
const LABEL = { optional: 1, repeated: 3 } as const;

/** By file name: `etcdserverpb.proto` has the package of that name. */
export function describePackages(services: readonly Service[], registry: Registry): ReadonlyMap<string, PackageFile> {
  const packages = new Set([
    ...Object.keys(registry.messages).map(packageOf),
    ...services.map(({ name }) => packageOf(name)),
  ]);
  const files = new Map<string, PackageFile>();
  for (const name of packages) {
    const file = describe(name, services, registry);
    files.set(file.name, file);
  }
  return files;
}

/** Packages are written small, types with a capital. */
const packageOf = (name: string): string => /^(?:[a-z0-9_]+\.)*/.exec(name)![0].slice(0, -1);
const lastOf = (name: string): string => name.slice(name.lastIndexOf(".") + 1);
const fileOf = (name: string): string => `${name.replaceAll(".", "/")}.proto`;

function describe(name: string, services: readonly Service[], registry: Registry): PackageFile {
  const symbols = new Set<string>();
  const imports = new Set<string>();
  const refer = (type: string): string => {
    if (packageOf(type) !== name) imports.add(fileOf(packageOf(type)));
    return `.${type}`;
  };
  const within = (parent: string, names: readonly string[]) =>
    names.filter(
      (candidate) => candidate.startsWith(`${parent}.`) && lastOf(candidate) === candidate.slice(parent.length + 1),
    );

  const enumOf = (full: string): Init<EnumDescriptor> => {
    symbols.add(full);
    const values = Object.entries(registry.enums[full]!).map(([value, number]) => ({ name: value, number }));
    return { name: lastOf(full), value: values };
  };

  const fieldOf = (field: MessageField, oneofs: readonly string[], parent: string): Init<FieldDescriptor> => {
    const type = field.map ? `${parent}.${entryName(field)}` : field.type;
    const isEnum = type in registry.enums;
    const scalar = field.map ? undefined : SCALARS[type];
    const oneof = field.oneof ?? (field.optional ? `_${field.name}` : undefined);
    return {
      name: field.name,
      number: field.number,
      label: field.repeated || field.map ? LABEL.repeated : LABEL.optional,
      type: scalar ?? (isEnum ? ENUM : MESSAGE),
      ...(scalar === undefined && { type_name: field.map ? `.${type}` : refer(type) }),
      ...(oneof !== undefined && { oneof_index: oneofs.indexOf(oneof) }),
      ...(field.optional && { proto3_optional: true }),
      json_name: field.name.replace(/_([a-zA-Z0-9])/g, (_, letter: string) => letter.toUpperCase()),
    };
  };

  const messageOf = (full: string): Init<Descriptor> => {
    symbols.add(full);
    const { fields } = registry.messages[full]!;
    // Those that stand for `optional` come last.
    const oneofs = [
      ...new Set(fields.flatMap(({ oneof }) => oneof ?? [])),
      ...fields.filter(({ optional }) => optional).map((field) => `_${field.name}`),
    ];
    const entries = fields
      .filter(({ map }) => map)
      .map((field): Init<Descriptor> => {
        const { key, value } = field.map!;
        return {
          name: entryName(field),
          field: [
            fieldOf({ name: "key", number: 1, type: key }, [], full),
            fieldOf({ name: "value", number: 2, type: value }, [], full),
          ],
          options: { map_entry: true },
        };
      });
    return {
      name: lastOf(full),
      field: fields.map((field) => fieldOf(field, oneofs, full)),
      nested_type: [...within(full, Object.keys(registry.messages)).map(messageOf), ...entries],
      enum_type: within(full, Object.keys(registry.enums)).map(enumOf),
      oneof_decl: oneofs.map((oneof) => ({ name: oneof })),
    };
  };

  const top = (names: readonly string[]) =>
    names.filter((full) => packageOf(full) === name && full === `${name}.${lastOf(full)}`);
  const messageTypes = top(Object.keys(registry.messages)).map(messageOf);
  const enumTypes = top(Object.keys(registry.enums)).map(enumOf);
  const own = services.filter((service) => packageOf(service.name) === name);
  const described = own.map((service) => {
    symbols.add(service.name);
    return {
      name: lastOf(service.name),
      method: Object.entries(service.methods).map(([method, { kind, input, output }]) => {
        symbols.add(`${service.name}.${method}`);
        return {
          name: method,
          input_type: refer(input.name),
          output_type: refer(output.name),
          client_streaming: kind === "bidi" || kind === "client-stream",
          server_streaming: kind === "bidi" || kind === "server-stream",
        };
      }),
    };
  });
  return {
    name: fileOf(name),
    symbols,
    descriptor: {
      name: fileOf(name),
      package: name,
      dependency: [...imports],
      message_type: messageTypes,
      enum_type: enumTypes,
      service: described,
      syntax: registry.proto2?.includes(name) || name === "google.protobuf" ? "proto2" : "proto3",
    },
  };
}

const entryName = ({ name }: MessageField): string =>
  `${name.replace(/(^|_)([a-z])/g, (_, __, letter: string) => letter.toUpperCase())}Entry`;
