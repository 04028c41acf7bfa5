/**
 * The plugins in the order they run. Webhooks come late, so that they see what the others made of an object; quota comes last, so that it charges only for
 * what nobody else refuses. Upstream: pkg/kubeapiserver/options/plugins.go.
 */
import type { AdmissionPlugin } from "../framework.ts";

export const plugins: readonly AdmissionPlugin[] = [];

export function enabledPlugins(enable: readonly string[], disable: readonly string[]): readonly AdmissionPlugin[] {
  return plugins.filter(({ name, onByDefault }) => !disable.includes(name) && (onByDefault || enable.includes(name)));
}
