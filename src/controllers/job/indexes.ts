/** Sets of completion indexes and their short form, `1,3-5,7`. Pure. Upstream: pkg/controller/job/indexed_job_utils.go */
export type Indexes = ReadonlySet<number>;

export function parseIndexes(text: string | undefined, completions: number): Indexes {
  const result = new Set<number>();
  for (const part of (text ?? "").split(",")) {
    const [first, last = first] = part.split("-");
    if (first === undefined || first === "") continue;
    for (let i = Number(first); i <= Number(last) && i < completions; i++) result.add(i);
  }
  return result;
}

/** Runs of three and more are written as ranges. */
export function formatIndexes(indexes: Indexes): string {
  const sorted = [...indexes].sort((a, b) => a - b);
  const parts: string[] = [];
  for (let i = 0; i < sorted.length;) {
    let end = i;
    while (sorted[end + 1] === sorted[end]! + 1) end++;
    if (end - i >= 2) parts.push(`${sorted[i]}-${sorted[end]}`);
    else for (let j = i; j <= end; j++) parts.push(String(sorted[j]));
    i = end + 1;
  }
  return parts.join(",");
}
