/** The part of kubectl's JSONPath that printer columns and selectable fields use. Upstream: client-go/util/jsonpath. */

type Step =
  | { readonly kind: "key"; readonly key: string }
  | { readonly kind: "index"; readonly index: number }
  | { readonly kind: "all" }
  | { readonly kind: "filter"; readonly path: readonly Step[]; readonly operator: string; readonly value: unknown };

export type JsonPath = (object: unknown) => readonly unknown[];

export function compileJsonPath(text: string): JsonPath {
  const steps = parse(text.trim().replace(/^\{(.*)\}$/, "$1"));
  return (object) => walk(steps, [object]);
}

function walk(steps: readonly Step[], start: readonly unknown[]): readonly unknown[] {
  return steps.reduce<readonly unknown[]>((values, step) => values.flatMap((value) => take(step, value)), start);
}

function take(step: Step, value: any): readonly unknown[] {
  if (value === undefined || value === null) return [];
  switch (step.kind) {
    case "key":
      return value[step.key] === undefined ? [] : [value[step.key]];
    case "index":
      return Array.isArray(value) && value.at(step.index) !== undefined ? [value.at(step.index)] : [];
    case "all":
      return Array.isArray(value) ? value : Object.values(value);
    case "filter":
      return (Array.isArray(value) ? value : Object.values(value)).filter((item) => {
        const found = walk(step.path, [item]);
        if (step.operator === "") return found.length > 0;
        return found.some((one) => compare(one, step.operator, step.value));
      });
  }
}

function compare(left: any, operator: string, right: any): boolean {
  switch (operator) {
    case "==":
      return left === right;
    case "!=":
      return left !== right;
    case "<":
      return left < right;
    case "<=":
      return left <= right;
    case ">":
      return left > right;
    default:
      return left >= right;
  }
}

function parse(text: string): readonly Step[] {
  const steps: Step[] = [];
  let rest = text.replace(/^[$@]/, "");
  while (rest !== "") {
    let match = /^\.?\[\?\(\s*(@[^=!<>]*?)\s*(?:(==|!=|<=|>=|<|>)\s*(.+?)\s*)?\)\]/.exec(rest);
    if (match !== null) {
      steps.push({ kind: "filter", path: parse(match[1]!), operator: match[2] ?? "", value: literal(match[3]) });
    } else if ((match = /^\.?\[\*\]|^\.\*/.exec(rest)) !== null) {
      steps.push({ kind: "all" });
    } else if ((match = /^\.?\[(-?\d+)\]/.exec(rest)) !== null) {
      steps.push({ kind: "index", index: Number(match[1]) });
    } else if ((match = /^\.?\[['"]([^'"]+)['"]\]/.exec(rest)) !== null) {
      steps.push({ kind: "key", key: match[1]! });
    } else if ((match = /^\.?((?:\\.|[^.[\\])+)/.exec(rest)) !== null) {
      steps.push({ kind: "key", key: match[1]!.replaceAll(/\\(.)/g, "$1") });
    } else break;
    rest = rest.slice(match[0].length);
  }
  return steps;
}

function literal(text: string | undefined): unknown {
  if (text === undefined) return undefined;
  const quoted = /^(['"])(.*)\1$/.exec(text);
  if (quoted !== null) return quoted[2];
  if (text === "true" || text === "false") return text === "true";
  return Number(text);
}
