/** An address or a port can't be had; the message says why, in upstream's words. */
export class AllocationError extends Error {}
