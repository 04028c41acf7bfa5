/** The error when an address or a port cannot be allocated, in upstream's words. */
export class AllocationError extends Error {}
