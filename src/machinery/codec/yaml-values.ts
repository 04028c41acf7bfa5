/**
 * The first document of a YAML text as a JSON value, with duplicate keys reported as Go's strict reader does. Syntax errors take precedence: the
 * first semantic error is reported only after the whole document has been read.
 * Upstream: go.yaml.in/yaml/v2 parserc.go, decode.go; sigs.k8s.io/yaml
 */
import { DecodeError } from "./decode.ts";
import { resolve } from "./yaml-scalars.ts";
import { type Token, Tokens, type TokenType } from "./yaml-tokens.ts";

export interface YamlDocument {
  readonly value: unknown;
  /** One line each. */
  readonly duplicates: readonly string[];
}

interface Anchor {
  value: unknown;
  isMap: boolean;
  /** What reading it takes, all that it refers to included. */
  count: number;
  open: boolean;
}

type Mergeable = "map" | "maps" | undefined;

/** A collection that is being read. */
interface Frame {
  readonly kind: "block list" | "indentless list" | "flow list" | "block map" | "flow map" | "pair";
  /** Where it begins, and where its first token is. */
  readonly begin: number;
  readonly line: number;
  readonly anchor: Anchor | undefined;
  readonly list: unknown[];
  readonly map: Record<string, unknown>;
  /** Of a list: nothing but mappings. */
  onlyMaps: boolean;
  /** Of a mapping: what is read next. */
  next: "key" | "value" | "end";
  key: unknown;
  merges: boolean;
  /** Of a mapping in braces: whether the key is one by its colon. */
  keyed: boolean;
  first: boolean;
}

/** What has to come after properties that say nothing else. */
const EMPTY: Pick<Token, "value" | "plain"> = { value: "", plain: true };
const DEFAULT_TAGS: readonly (readonly [string, string])[] = [
  ["!", "!"],
  ["!!", "tag:yaml.org,2002:"],
];
/** What comes after a document. */
const ENDS: readonly TokenType[] = ["directive", "document start", "document end", "stream end"];
/** So many steps are done between two looks at the clock. */
const STEPS = 256;

/** Reads in as many goes as it is given; how deep the text is costs no stack. */
export class YamlReader {
  readonly #tokens: Tokens;
  readonly #anchors = new Map<string, Anchor>();
  readonly #tags = new Map<string, string>();
  readonly #duplicates: string[] = [];
  #problem: DecodeError | undefined;
  readonly #frames: Frame[] = [];
  #begun = false;
  #value: unknown = null;
  /** Nodes that were read, and those of them that only an alias stands for. */
  #count = 0;
  #aliased = 0;
  /** Of the node that was read last: where it begins, and whether it is a mapping or a list of them. */
  #line = 0;
  #mergeable: Mergeable;

  constructor(text: string) {
    this.#tokens = new Tokens(text === "" ? "\n" : text);
  }

  /** Undefined where `isOver` says that it is enough for this time. */
  read(isOver: () => boolean): YamlDocument | undefined {
    if (!this.#begun) {
      this.#begun = true;
      this.#begin();
    }
    for (let steps = 1; ; steps++) {
      const frame = this.#frames.at(-1);
      if (frame === undefined) break;
      this.#step(frame);
      if (steps % STEPS === 0 && isOver()) return undefined;
    }
    this.#tokens.peek();
    if (this.#problem !== undefined) throw this.#problem;
    return { value: this.#value, duplicates: this.#duplicates };
  }

  #begin(): void {
    const token = this.#tokens.peek();
    if (token.type === "stream end") return;
    if (token.type === "directive" || token.type === "document start") {
      const start = this.#directives();
      if (start.type !== "document start") this.#fail("did not find expected <document start>", start);
      if (ENDS.includes(this.#next().type)) return;
    } else for (const [handle, prefix] of DEFAULT_TAGS) this.#tags.set(handle, prefix);
    this.#node(true, false);
  }

  #directives(): Token {
    let versioned = false;
    let token = this.#tokens.peek();
    for (; token.type === "directive"; token = this.#next()) {
      const [first = "", second = ""] = token.values;
      if (token.value === "YAML") {
        if (versioned) this.#fail("found duplicate %YAML directive", token);
        if (first !== "1" || second !== "1") this.#fail("found incompatible YAML document", token);
        versioned = true;
      } else {
        if (this.#tags.has(first)) this.#fail("found duplicate %TAG directive", token);
        this.#tags.set(first, second);
      }
    }
    for (const [handle, prefix] of DEFAULT_TAGS) if (!this.#tags.has(handle)) this.#tags.set(handle, prefix);
    return token;
  }

  #next(): Token {
    this.#tokens.skip();
    return this.#tokens.peek();
  }

  #fail(problem: string, { line }: Token, contextLine = 0): never {
    const at = line > 0 ? line : contextLine;
    throw new DecodeError(`yaml: ${at > 0 ? `line ${at}: ` : ""}${problem}`);
  }

  /** A mistake in what is said, not in how. */
  #wrong(problem: string): void {
    this.#problem ??= new DecodeError(`yaml: ${problem}`);
  }

  /** Reads the node that comes next, or begins to where it is a collection. */
  #node(block: boolean, indentless: boolean): void {
    let token = this.#tokens.peek();
    const begin = token.line;
    this.#count++;
    if (token.type === "alias") {
      this.#tokens.skip();
      this.#alias(token.value, begin);
      return;
    }
    let anchor: Anchor | undefined;
    let tag: string | undefined;
    for (let i = 0; i < 2; i++) {
      if (token.type === "anchor" && anchor === undefined) {
        anchor = { value: undefined, isMap: false, count: this.#count - 1, open: true };
        this.#anchors.set(token.value, anchor);
      } else if (token.type === "tag" && tag === undefined) tag = this.#tag(token, begin);
      else break;
      token = this.#next();
    }
    const kind =
      token.type === "flow sequence"
        ? "flow list"
        : token.type === "flow mapping"
          ? "flow map"
          : block && token.type === "block sequence"
            ? "block list"
            : block && token.type === "block mapping"
              ? "block map"
              : indentless && token.type === "entry"
                ? "indentless list"
                : undefined;
    if (kind !== undefined) {
      if (kind !== "indentless list") this.#tokens.skip();
      this.#open(kind, begin, token.line, anchor);
      return;
    }
    const isScalar = token.type === "scalar";
    if (isScalar) this.#tokens.skip();
    else if (anchor === undefined && tag === undefined) this.#fail("did not find expected node content", token, begin);
    this.#deliver(this.#scalar(tag, isScalar ? token : EMPTY), begin, undefined, anchor);
  }

  #open(kind: Frame["kind"], begin: number, line: number, anchor: Anchor | undefined): void {
    this.#frames.push({
      kind,
      begin,
      line,
      anchor,
      list: [],
      map: {},
      onlyMaps: true,
      next: "key",
      key: null,
      merges: false,
      keyed: false,
      first: true,
    });
  }

  /** A value that is there: it goes into the collection that waits for it. */
  #deliver(value: unknown, line: number, mergeable: Mergeable, anchor?: Anchor): void {
    if (anchor !== undefined) {
      anchor.value = value;
      anchor.isMap = mergeable === "map";
      anchor.count = this.#count - anchor.count;
      anchor.open = false;
    }
    this.#line = line;
    this.#mergeable = mergeable;
    const frame = this.#frames.at(-1);
    if (frame === undefined) this.#value = value;
    else if (frame.kind.endsWith("list")) {
      frame.list.push(value);
      frame.onlyMaps &&= mergeable === "map";
    } else if (frame.next === "key") {
      frame.key = value;
      frame.next = "value";
    } else {
      this.#set(frame.map, frame.key, value, frame.merges);
      frame.next = frame.kind === "pair" ? "end" : "key";
    }
  }

  #close({ kind, list, map, begin, anchor, onlyMaps }: Frame): void {
    this.#frames.pop();
    if (kind.endsWith("list")) this.#deliver(list, begin, onlyMaps ? "maps" : undefined, anchor);
    else this.#deliver(map, begin, "map", anchor);
  }

  #alias(name: string, line: number): void {
    const anchor = this.#anchors.get(name);
    if (anchor === undefined) throw new DecodeError(`yaml: unknown anchor '${name}' referenced`);
    if (anchor.open) {
      this.#wrong(`anchor '${name}' value contains itself`);
      this.#deliver(null, line, undefined);
      return;
    }
    this.#count += anchor.count;
    this.#aliased += anchor.count;
    if (this.#aliased > 100 && this.#count > 1000 && this.#aliased / this.#count > allowedRatio(this.#count))
      throw this.#problem ?? new DecodeError("yaml: document contains excessive aliasing");
    this.#deliver(anchor.value, line, anchor.isMap ? "map" : undefined);
  }

  #tag(token: Token, begin: number): string {
    if (token.handle === "") return token.value;
    const prefix = this.#tags.get(token.handle);
    if (prefix === undefined) this.#fail("found undefined tag handle", token, begin);
    return prefix + token.value;
  }

  #scalar(tag: string | undefined, { value, plain }: Pick<Token, "value" | "plain">): unknown {
    try {
      return resolve(tag ?? "", value, plain);
    } catch (error) {
      this.#problem ??= error as DecodeError;
      return null;
    }
  }

  /** What stands where nothing does. */
  #nothing(line: number): void {
    this.#count++;
    this.#deliver(null, line, undefined);
  }

  #step(frame: Frame): void {
    switch (frame.kind) {
      case "block list":
        return this.#inBlockList(frame);
      case "indentless list":
        return this.#inIndentlessList(frame);
      case "block map":
        return this.#inBlockMap(frame);
      case "flow list":
        return this.#inFlowList(frame);
      case "flow map":
        return this.#inFlowMap(frame);
      case "pair":
        return this.#inPair(frame);
    }
  }

  #inBlockList(frame: Frame): void {
    const token = this.#tokens.peek();
    if (token.type === "entry") {
      const { type } = this.#next();
      if (type === "entry" || type === "block end") this.#nothing(token.line);
      else this.#node(true, false);
    } else {
      if (token.type !== "block end") this.#fail("did not find expected '-' indicator", token, frame.line);
      this.#tokens.skip();
      this.#close(frame);
    }
  }

  #inIndentlessList(frame: Frame): void {
    const token = this.#tokens.peek();
    if (token.type !== "entry") return this.#close(frame);
    const next = this.#next();
    if (isKeyToken(next) || next.type === "entry") this.#nothing(token.line);
    else this.#node(true, false);
  }

  #inBlockMap(frame: Frame): void {
    const token = this.#tokens.peek();
    if (frame.next === "key") {
      if (token.type === "block end") {
        this.#tokens.skip();
        return this.#close(frame);
      }
      if (token.type !== "key") this.#fail("did not find expected key", token, frame.line);
    } else if (token.type !== "value") return this.#nothing(token.line);
    const next = this.#next();
    if (frame.next === "key") frame.merges = isMerge(next);
    if (isKeyToken(next)) this.#nothing(token.line);
    else this.#node(true, true);
  }

  /** Over the comma to what comes after it; undefined where nothing does. */
  #afterComma(frame: Frame, end: TokenType, bracket: string): Token | undefined {
    let token = this.#tokens.peek();
    if (token.type !== end && !frame.first) {
      if (token.type !== "flow entry") this.#fail(`did not find expected ',' or '${bracket}'`, token, frame.line);
      token = this.#next();
    }
    frame.first = false;
    if (token.type !== end) return token;
    this.#tokens.skip();
    this.#close(frame);
    return undefined;
  }

  #inFlowList(frame: Frame): void {
    const token = this.#afterComma(frame, "flow sequence end", "]");
    if (token === undefined) return;
    if (token.type !== "key") return this.#node(false, false);
    this.#tokens.skip();
    this.#count++;
    this.#open("pair", token.line, token.line, undefined);
  }

  /** A mapping of one key that a list has without braces. */
  #inPair(frame: Frame): void {
    if (frame.next === "end") return this.#close(frame);
    let token = this.#tokens.peek();
    const isEnd = () => token.type === "flow entry" || token.type === "flow sequence end";
    if (frame.next === "key") {
      frame.merges = isMerge(token);
      if (token.type !== "value" && !isEnd()) return this.#node(false, false);
      // Upstream leaves out the token that it stumbles on here.
      this.#tokens.skip();
      return this.#nothing(token.line);
    }
    if (token.type !== "value") return this.#nothing(token.line);
    token = this.#next();
    if (isEnd()) this.#nothing(token.line);
    else this.#node(false, false);
  }

  #inFlowMap(frame: Frame): void {
    if (frame.next === "key") {
      let token = this.#afterComma(frame, "flow mapping end", "}");
      if (token === undefined) return;
      frame.keyed = token.type === "key";
      if (frame.keyed) token = this.#next();
      frame.merges = isMerge(token);
      if (frame.keyed && (token.type === "value" || endsFlowMapEntry(token))) this.#nothing(token.line);
      else this.#node(false, false);
      return;
    }
    let token = this.#tokens.peek();
    if (!frame.keyed || token.type !== "value") return this.#nothing(token.line);
    token = this.#next();
    if (endsFlowMapEntry(token)) this.#nothing(token.line);
    else this.#node(false, false);
  }

  /** Enters a value, whose line is that of the node read last. */
  #set(map: Record<string, unknown>, key: unknown, value: unknown, merges: boolean): void {
    if (merges) return this.#merge(map, value);
    const name = this.#nameOf(key, value);
    if (Object.hasOwn(map, name)) this.#repeated(key);
    put(map, name, value);
  }

  #repeated(key: unknown): void {
    const shown = typeof key === "string" ? JSON.stringify(key) : String(key);
    this.#duplicates.push(`line ${this.#line + 1}: key ${shown} already set in map`);
  }

  #merge(map: Record<string, unknown>, value: unknown): void {
    if (this.#mergeable === undefined) return this.#wrong("map merge requires map or sequence of maps as the value");
    const parts = this.#mergeable === "map" ? [value] : [...(value as unknown[])].reverse();
    for (const part of parts as Record<string, unknown>[])
      for (const name of Object.keys(part)) {
        if (Object.hasOwn(map, name)) this.#repeated(name);
        put(map, name, part[name]);
      }
  }

  #nameOf(key: unknown, value: unknown): string {
    if (typeof key === "string") return key;
    if (typeof key === "boolean") return String(key);
    if (typeof key === "number") return Number.isInteger(key) ? String(key) : shortest(key);
    if (key === null)
      this.#problem ??= new DecodeError(
        `unsupported map key of type: %!s(<nil>), key: <nil>, value: ${value === null ? "<nil>" : goSyntax(value)}`,
      );
    else this.#wrong(`invalid map key: ${goSyntax(key)}`);
    return "";
  }
}

/** A value as Go's `%#v` shows it. */
function goSyntax(value: unknown): string {
  if (value === null) return "interface {}(nil)";
  if (typeof value !== "object") return JSON.stringify(value);
  if (Array.isArray(value)) return `[]interface {}{${value.map(goSyntax).join(", ")}}`;
  const fields = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
  const shown = fields.map(([name, inner]) => `${JSON.stringify(name)}:${goSyntax(inner)}`);
  return `map[interface {}]interface {}{${shown.join(", ")}}`;
}

function put(map: Record<string, unknown>, name: string, value: unknown): void {
  if (name !== "__proto__") map[name] = value;
  else Object.defineProperty(map, name, { value, enumerable: true, configurable: true, writable: true });
}

/** In 32 bits, and as Go spells what isn't a number. */
function shortest(value: number): string {
  if (Number.isNaN(value)) return ".nan";
  if (!Number.isFinite(value)) return value > 0 ? ".inf" : "-.inf";
  for (let digits = 1; digits <= 9; digits++) {
    const text = value.toPrecision(digits);
    if (Math.fround(Number(text)) === Math.fround(value)) return String(Number(text));
  }
  return String(value);
}

const isKeyToken = ({ type }: Token): boolean => type === "key" || type === "value" || type === "block end";
const endsFlowMapEntry = ({ type }: Token): boolean => type === "flow entry" || type === "flow mapping end";
const isMerge = ({ type, plain, value }: Token): boolean => type === "scalar" && plain && value === "<<";

/** How much of a document may be said by reference: nearly all of a small one, little of a large one. */
function allowedRatio(count: number): number {
  if (count <= 400_000) return 0.99;
  if (count >= 4_000_000) return 0.1;
  return 0.99 - 0.89 * ((count - 400_000) / 3_600_000);
}
