/**
 * gRPC server reflection: lists services and describes their messages, for tools that are not built with them, such as grpcurl. Upstream's etcd has
 * none; the protocol is that of google.golang.org/grpc/reflection.
 */
import {
  ProtobufFileDescriptorProto,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from "../../protocols/grpc/generated.ts";
import type { Codec } from "../../wire/rpc/codec.ts";
import { CODES, type Init, type ServerStream, type Service } from "../../wire/rpc/service.ts";
import { describePackages, type PackageFile } from "./descriptors.ts";

type Answer = Init<Omit<ServerReflectionResponse, "valid_host" | "original_request">>;

export function reflectionService(services: readonly Service[], codec: Codec) {
  // Made when somebody asks: hardly anyone does.
  let files: ReadonlyMap<string, PackageFile> | undefined;
  const all = () => (files ??= describePackages(services, codec.registry));

  /** A file and those it imports, its own first. */
  function bytesOf(file: PackageFile, seen = new Set<string>()): Uint8Array[] {
    if (seen.has(file.name)) return [];
    seen.add(file.name);
    return [
      codec.encode(ProtobufFileDescriptorProto, file.descriptor),
      ...file.descriptor.dependency!.flatMap((name) => bytesOf(all().get(name)!, seen)),
    ];
  }
  const answerFile = (file: PackageFile | undefined, asked: string): Answer =>
    file === undefined
      ? { error_response: { error_code: CODES.NotFound, error_message: asked } }
      : { file_descriptor_response: { file_descriptor_proto: bytesOf(file) } };

  function answer(request: Init<ServerReflectionRequest>): Answer {
    const { file_by_filename: name, file_containing_symbol: symbol, list_services: list } = request;
    if (list !== undefined)
      return { list_services_response: { service: services.map((service) => ({ name: service.name })) } };
    if (name !== undefined) return answerFile(all().get(name), `file not found: ${JSON.stringify(name)}`);
    if (symbol !== undefined) {
      const wanted = symbol.replace(/^\./, "");
      const file = [...all().values()].find(({ symbols }) => symbols.has(wanted));
      return answerFile(file, `symbol not found: ${JSON.stringify(symbol)}`);
    }
    if (request.all_extension_numbers_of_type !== undefined || request.file_containing_extension !== undefined)
      return { error_response: { error_code: CODES.NotFound, error_message: "no message has extensions" } };
    return { error_response: { error_code: CODES.InvalidArgument, error_message: "invalid MessageRequest" } };
  }

  return {
    async ServerReflectionInfo(
      stream: ServerStream<Init<ServerReflectionRequest>, ServerReflectionResponse>,
    ): Promise<void> {
      for await (const request of stream) {
        const response = { valid_host: request.host ?? "", original_request: request, ...answer(request) };
        if (!stream.send(response)) await stream.drained;
      }
    },
  };
}
