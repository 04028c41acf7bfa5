/**
 * Is there an order of these operations, each at some moment between its call and its return, that a sequential model allows? The search of
 * Wing and Gong with Lowe's memory of configurations seen: take any call that is open, ask the model, go on; where no call fits, go back.
 *
 * An operation whose outcome nobody learned has no return: it may take effect at any later moment, or never.
 *
 * Upstream: github.com/anishathalye/porcupine checker.go
 */
export interface Operation<Input, Output> {
  readonly client: number;
  readonly input: Input;
  /** Undefined where nobody learned the outcome. */
  readonly output: Output | undefined;
  /** Virtual or real time; the order is all that matters. */
  readonly call: number;
  readonly return: number;
}

export interface Model<State, Input, Output> {
  readonly initial: State;
  /** The state after, or undefined where `output` can't be the answer in this state. With no output known, any is allowed. */
  step(state: State, input: Input, output: Output | undefined): State | undefined;
  /** Equal for equal states, and only for those. */
  key(state: State): string;
}

export type Verdict<Input, Output> =
  | { readonly kind: "linearizable" }
  /** `longest` is the best order found, and `stuck` what could not follow it: where to begin to look. */
  | {
      readonly kind: "illegal";
      readonly longest: readonly Operation<Input, Output>[];
      readonly stuck: readonly Operation<Input, Output>[];
    }
  | { readonly kind: "unknown"; readonly reason: string };

interface Node {
  /** Of the operation. */
  readonly id: number;
  readonly isCall: boolean;
  match: Node | undefined;
  previous: Node;
  next: Node | undefined;
}

export function checkLinearizable<State, Input, Output>(
  model: Model<State, Input, Output>,
  history: readonly Operation<Input, Output>[],
  maxSteps = 5_000_000,
): Verdict<Input, Output> {
  const head = linkedList(history);
  const done = new Uint32Array(Math.ceil(history.length / 32) || 1);
  const seen = new Set<string>();
  const stack: { readonly node: Node; readonly state: State }[] = [];
  let longest: number[] = [];
  let state = model.initial;
  let open = history.filter(({ output }) => output !== undefined).length;
  let at = head.next;
  for (let steps = 0; open > 0; steps++) {
    if (steps > maxSteps) return { kind: "unknown", reason: `no verdict after ${maxSteps} steps` };
    if (at !== undefined && at.isCall) {
      const operation = history[at.id]!;
      const next = model.step(state, operation.input, operation.output);
      if (next !== undefined) {
        done[at.id >> 5]! |= 1 << (at.id & 31);
        const configuration = `${done.join()}|${model.key(next)}`;
        if (!seen.has(configuration)) {
          seen.add(configuration);
          stack.push({ node: at, state });
          state = next;
          if (operation.output !== undefined) open--;
          lift(at);
          at = head.next;
          continue;
        }
        done[at.id >> 5]! &= ~(1 << (at.id & 31));
      }
      at = at.next;
      continue;
    }
    // A return whose call has no place yet, or the end: the last choice was wrong.
    if (stack.length > longest.length) longest = stack.map(({ node }) => node.id);
    const last = stack.pop();
    if (last === undefined) {
      const placed = new Set(longest);
      const from = Math.min(...history.filter((_, id) => !placed.has(id)).map((operation) => operation.return));
      return {
        kind: "illegal",
        longest: longest.map((id) => history[id]!),
        stuck: history.filter((operation, id) => !placed.has(id) && operation.call <= from),
      };
    }
    state = last.state;
    done[last.node.id >> 5]! &= ~(1 << (last.node.id & 31));
    if (history[last.node.id]!.output !== undefined) open++;
    unlift(last.node);
    at = last.node.next;
  }
  return { kind: "linearizable" };
}

/** Calls and returns in order of time, a return before a call of the same moment: so that those two count as one after the other. */
function linkedList(history: readonly Operation<unknown, unknown>[]): Node {
  const head = { id: -1, isCall: false, match: undefined, next: undefined } as unknown as Node;
  const events: { readonly at: number; readonly node: Node }[] = [];
  history.forEach((operation, id) => {
    const call: Node = { id, isCall: true, match: undefined, previous: head, next: undefined };
    events.push({ at: operation.call, node: call });
    if (operation.output === undefined) return;
    const back: Node = { id, isCall: false, match: undefined, previous: head, next: undefined };
    call.match = back;
    events.push({ at: operation.return, node: back });
  });
  events.sort((a, b) => a.at - b.at || Number(a.node.isCall) - Number(b.node.isCall) || a.node.id - b.node.id);
  let previous = head;
  for (const { node } of events) {
    previous.next = node;
    node.previous = previous;
    previous = node;
  }
  return head;
}

/** Takes a call and its return out of the list; `unlift` puts them back where they were. */
function lift(call: Node): void {
  call.previous.next = call.next;
  if (call.next !== undefined) call.next.previous = call.previous;
  const back = call.match;
  if (back === undefined) return;
  back.previous.next = back.next;
  if (back.next !== undefined) back.next.previous = back.previous;
}

function unlift(call: Node): void {
  const back = call.match;
  if (back !== undefined) {
    back.previous.next = back;
    if (back.next !== undefined) back.next.previous = back;
  }
  call.previous.next = call;
  if (call.next !== undefined) call.next.previous = call;
}
