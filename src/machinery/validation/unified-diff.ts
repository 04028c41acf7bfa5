/**
 * The difference between two versions of an object as lines, for the message that a field "is immutable after creation". Which lines count as equal
 * is decided as Python's difflib and the Go port that upstream uses do it, so that the texts agree.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/util/diff, github.com/pmezard/go-difflib
 */
const CONTEXT = 3;
/** Texts this long have lines that are too frequent to start from. */
const POPULAR_FROM = 200;

interface Block {
  readonly a: number;
  readonly b: number;
  readonly size: number;
}

type Tag = "equal" | "replace" | "delete" | "insert";
interface Step {
  readonly tag: Tag;
  readonly a: readonly [number, number];
  readonly b: readonly [number, number];
}

export function unifiedDiff(before: string, after: string): string {
  const [a, b] = [before, after].map((text) => text.split("\n").map((line) => `${line}\n`)) as [string[], string[]];
  let text = "";
  for (const group of grouped(stepsBetween(a, b))) {
    const [first, last] = [group[0]!, group.at(-1)!];
    text += `@@ -${range(first.a[0], last.a[1])} +${range(first.b[0], last.b[1])} @@\n`;
    for (const { tag, a: left, b: right } of group) {
      if (tag === "equal") for (const line of a.slice(...left)) text += ` ${line}`;
      if (tag === "replace" || tag === "delete") for (const line of a.slice(...left)) text += `-${line}`;
      if (tag === "replace" || tag === "insert") for (const line of b.slice(...right)) text += `+${line}`;
    }
  }
  return text;
}

function range(start: number, end: number): string {
  const length = end - start;
  if (length === 1) return String(start + 1);
  return `${length === 0 ? start : start + 1},${length}`;
}

/** Lines by where they are in `b`, without those that are everywhere. */
function positionsOf(b: readonly string[]): ReadonlyMap<string, readonly number[]> {
  const positions = new Map<string, number[]>();
  for (const [i, line] of b.entries()) {
    const known = positions.get(line);
    if (known === undefined) positions.set(line, [i]);
    else known.push(i);
  }
  if (b.length >= POPULAR_FROM)
    for (const [line, at] of positions) if (at.length > Math.floor(b.length / 100) + 1) positions.delete(line);
  return positions;
}

function stepsBetween(a: readonly string[], b: readonly string[]): readonly Step[] {
  const steps: Step[] = [];
  let [i, j] = [0, 0];
  for (const block of blocksOf(a, b)) {
    const [left, right] = [block.a > i, block.b > j];
    if (left || right)
      steps.push({ tag: left && right ? "replace" : left ? "delete" : "insert", a: [i, block.a], b: [j, block.b] });
    if (block.size > 0)
      steps.push({ tag: "equal", a: [block.a, block.a + block.size], b: [block.b, block.b + block.size] });
    [i, j] = [block.a + block.size, block.b + block.size];
  }
  return steps;
}

/** The longest run of equal lines, then the longest on either side of it, and so on. Neighbours are joined. */
function blocksOf(a: readonly string[], b: readonly string[]): readonly Block[] {
  const positions = positionsOf(b);
  const found: Block[] = [];
  const search = (aFrom: number, aTo: number, bFrom: number, bTo: number): void => {
    const block = longest(a, b, positions, aFrom, aTo, bFrom, bTo);
    if (block.size === 0) return;
    if (aFrom < block.a && bFrom < block.b) search(aFrom, block.a, bFrom, block.b);
    found.push(block);
    const [aEnd, bEnd] = [block.a + block.size, block.b + block.size];
    if (aEnd < aTo && bEnd < bTo) search(aEnd, aTo, bEnd, bTo);
  };
  search(0, a.length, 0, b.length);
  const joined: Block[] = [];
  for (const block of found) {
    const last = joined.at(-1);
    if (last !== undefined && last.a + last.size === block.a && last.b + last.size === block.b)
      joined[joined.length - 1] = { ...last, size: last.size + block.size };
    else joined.push(block);
  }
  return [...joined, { a: a.length, b: b.length, size: 0 }];
}

function longest(
  a: readonly string[],
  b: readonly string[],
  positions: ReadonlyMap<string, readonly number[]>,
  aFrom: number,
  aTo: number,
  bFrom: number,
  bTo: number,
): Block {
  let best: Block = { a: aFrom, b: bFrom, size: 0 };
  let lengths = new Map<number, number>();
  for (let i = aFrom; i < aTo; i++) {
    const next = new Map<number, number>();
    for (const j of positions.get(a[i]!) ?? []) {
      if (j < bFrom) continue;
      if (j >= bTo) break;
      const size = (lengths.get(j - 1) ?? 0) + 1;
      next.set(j, size);
      if (size > best.size) best = { a: i - size + 1, b: j - size + 1, size };
    }
    lengths = next;
  }
  // Lines that are too frequent to start a run may still be part of one.
  let { a: at, b: bt, size } = best;
  while (at > aFrom && bt > bFrom && a[at - 1] === b[bt - 1]) [at, bt, size] = [at - 1, bt - 1, size + 1];
  while (at + size < aTo && bt + size < bTo && a[at + size] === b[bt + size]) size++;
  return { a: at, b: bt, size };
}

/** Steps by the hunk in which they are shown, with a few lines around. */
function grouped(steps: readonly Step[]): readonly (readonly Step[])[] {
  const codes = steps.length > 0 ? [...steps] : [{ tag: "equal", a: [0, 1], b: [0, 1] } as Step];
  const trimStart = (step: Step, by: number): Step => ({
    ...step,
    a: [Math.max(step.a[0], step.a[1] - by), step.a[1]],
    b: [Math.max(step.b[0], step.b[1] - by), step.b[1]],
  });
  const trimEnd = (step: Step, by: number): Step => ({
    ...step,
    a: [step.a[0], Math.min(step.a[1], step.a[0] + by)],
    b: [step.b[0], Math.min(step.b[1], step.b[0] + by)],
  });
  if (codes[0]!.tag === "equal") codes[0] = trimStart(codes[0]!, CONTEXT);
  if (codes.at(-1)!.tag === "equal") codes[codes.length - 1] = trimEnd(codes.at(-1)!, CONTEXT);
  const groups: Step[][] = [];
  let group: Step[] = [];
  for (const step of codes) {
    let rest = step;
    if (step.tag === "equal" && step.a[1] - step.a[0] > 2 * CONTEXT) {
      groups.push([...group, trimEnd(step, CONTEXT)]);
      group = [];
      rest = trimStart(step, CONTEXT);
    }
    group.push(rest);
  }
  if (group.length > 0 && !(group.length === 1 && group[0]!.tag === "equal")) groups.push(group);
  return groups;
}
