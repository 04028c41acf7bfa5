/** Work that upstream's storage does around a write of certain kinds, beside their strategy. */
import type { Resource } from "../../../machinery/resource.ts";
import { qualified } from "../../../machinery/status.ts";
import type { Services, WriteContext } from "../context.ts";
import { serviceHooks } from "./service.ts";

/** Called once the write is over: what was taken for it is kept or given back. */
export type Finish = (written: boolean) => void;

export interface StorageHooks {
  /** Before the strategy prepares. May change the draft. */
  beginCreate?(services: Services, draft: any, context: WriteContext): Finish;
  beginUpdate?(services: Services, draft: any, old: any, context: WriteContext): Finish;
  afterDelete?(services: Services, object: any): void;
  /** An object that must stay although finalizers and grace are over. */
  keepsOnDelete?(object: any): boolean;
}

const HOOKS: Readonly<Record<string, StorageHooks>> = {
  services: serviceHooks,
  namespaces: { keepsOnDelete: (namespace) => (namespace.spec?.finalizers ?? []).length > 0 },
};

export function hooksOf(resource: Resource): StorageHooks | undefined {
  return HOOKS[qualified(resource)];
}
