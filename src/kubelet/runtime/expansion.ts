/**
 * Expands `$(VAR)` in commands, arguments and variables. `$$` stands for `$`; a reference that is unknown or unclosed is kept as it is.
 * Upstream: third_party/forked/golang/expansion/expand.go
 */
export function expand(input: string, lookup: (name: string) => string | undefined): string {
  if (!input.includes("$")) return input;
  let result = "";
  for (let i = 0; i < input.length; i++) {
    const char = input[i]!;
    if (char !== "$" || i + 1 >= input.length) {
      result += char;
      continue;
    }
    const next = input[i + 1]!;
    if (next === "$") {
      result += "$";
      i++;
    } else if (next === "(") {
      const end = input.indexOf(")", i + 2);
      if (end < 0) {
        result += "$(";
        i++;
        continue;
      }
      const name = input.slice(i + 2, end);
      result += lookup(name) ?? `$(${name})`;
      i = end;
    } else {
      result += `$${next}`;
      i++;
    }
  }
  return result;
}

/** For subPathExpr: what is missing is an error. */
export function expandStrictly(input: string, lookup: (name: string) => string | undefined): string {
  return expand(input, (name) => {
    const value = lookup(name);
    if (value === undefined || value === "") throw new Error(`missing value for "${name}"`);
    return value;
  });
}
