/** One step of a sequence: a request, or several on one watch stream. All of it is plain data. */
import type { PlainRecord } from "./plain.ts";

export interface Step {
  /** The method; those of all services differ. `Watch` sends its requests on the stream that is told. */
  readonly rpc: string;
  readonly request: PlainRecord;
  /** Whose token goes along. */
  readonly as?: string;
  /** Of `Watch`: which of the sequence's streams, opened when it is first named. */
  readonly stream?: number;
  /** Of `Watch`: what is sent in a row. */
  readonly requests?: readonly PlainRecord[];
  /** Gives up after so long, where it would wait. */
  readonly timeoutMs?: number;
}
