/** Upstream: pkg/storage/value/metrics.go, pkg/storage/value/encrypt/envelope/metrics, pkg/server/options/encryptionconfig/metrics */
import { counter, gauge, histogram } from "../../observe/metrics.ts";

const exponential = (count: number) => Array.from({ length: count }, (_, i) => 5e-6 * 2 ** i);

export const transformSeconds = histogram("apiserver_storage_transformation_duration_seconds", {
  help: "Latencies in seconds of value transformation operations.",
  labels: ["transformation_type", "transformer_prefix"],
  buckets: exponential(25),
});
export const transformTotal = counter("apiserver_storage_transformation_operations_total", {
  help: "Total number of transformations. Successful transformation will have a status 'OK' and a varied status string when the transformation fails. The status, resource, and transformation_type fields can be used for alerting purposes. For example, you can monitor for encryption/decryption failures using the transformation_type (e.g., from_storage for decryption and to_storage for encryption). Additionally, these fields can be used to ensure that the correct transformers are applied to each resource.",
  labels: ["resource", "transformation_type", "transformer_prefix", "status"],
});
export const cacheMisses = counter("apiserver_storage_envelope_transformation_cache_misses_total", {
  help: "Total number of cache misses while accessing key decryption key(KEK).",
});
export const seedSeconds = histogram("apiserver_storage_data_key_generation_duration_seconds", {
  help: "Latencies in seconds of data encryption key(DEK) generation operations.",
  buckets: exponential(14),
});
export const kmsDuration = histogram("apiserver_envelope_encryption_kms_operations_latency_seconds", {
  help: "KMS operation duration with gRPC error code status total.",
  labels: ["provider_name", "method_name", "grpc_status_code"],
  buckets: Array.from({ length: 15 }, (_, i) => 0.0001 * 2 ** i),
});
export const reloads = counter("apiserver_encryption_config_controller_automatic_reloads_total", {
  help: "Total number of reload successes and failures of encryption configuration split by apiserver identity.",
  labels: ["status", "apiserver_id_hash"],
});
export const reloadedAt = gauge("apiserver_encryption_config_controller_automatic_reload_last_timestamp_seconds", {
  help: "Timestamp of the last successful or failed automatic reload of encryption configuration split by apiserver identity.",
  labels: ["status", "apiserver_id_hash"],
});
