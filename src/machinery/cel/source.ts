/**
 * The source text of an expression, and errors in the form that clients know: line and column, the line itself, and a mark below it.
 * Upstream: github.com/google/cel-go common/error.go, source.go
 */
export interface Issue {
  /** Into the text, in code points. */
  readonly offset: number;
  readonly message: string;
}

export class Source {
  readonly text: string;
  /** Of each node, by id. */
  readonly offsets = new Map<number, number>();
  readonly #lines: readonly string[];

  constructor(text: string) {
    this.text = text;
    this.#lines = text.split("\n");
  }

  at(id: number): number {
    return this.offsets.get(id) ?? 0;
  }

  /** In order of place; the first hundred. */
  render(issues: readonly Issue[]): string {
    const ordered = [...issues].sort((a, b) => a.offset - b.offset);
    return ordered
      .slice(0, 100)
      .map((issue) => this.#renderOne(issue))
      .join("\n");
  }

  #renderOne({ offset, message }: Issue): string {
    let rest = offset;
    let line = 0;
    while (line < this.#lines.length - 1 && rest > [...this.#lines[line]!].length) {
      rest -= [...this.#lines[line]!].length + 1;
      line++;
    }
    const text = this.#lines[line]!.replaceAll("\t", " ");
    // A wide character takes a wide dot.
    const dots = [...text]
      .slice(0, rest)
      .map((char) => (Buffer.byteLength(char) > 1 ? "．" : "."))
      .join("");
    const isWide = Buffer.byteLength([...text][rest] ?? "") > 1;
    // A text of nothing has no first column, and no line to show.
    if (this.text === "") return `ERROR: <input>:1:0: ${message}`;
    return `ERROR: <input>:${line + 1}:${rest + 1}: ${message}\n | ${text}\n | ${dots}${isWide ? "＾" : "^"}`;
  }
}
