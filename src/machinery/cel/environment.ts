/**
 * What an expression may refer to: variables, functions, types with fields, macros. Libraries add to it; `with` returns a larger environment and
 * leaves the old one as it is.
 * Upstream: github.com/google/cel-go cel/env.go, common/decls
 */
import type { Macro } from "./macro-builder.ts";
import {
  BOOL,
  BYTES,
  DOUBLE,
  DURATION,
  DYN,
  INT,
  list,
  map,
  NULL,
  STRING,
  TIMESTAMP,
  typeOf,
  UINT,
  type Type,
} from "./types.ts";
import type { Value } from "./values.ts";

export interface Overload {
  readonly id: string;
  /** Called as `first.name(rest)`. */
  readonly isMember: boolean;
  /** The receiver is the first. */
  readonly params: readonly Type[];
  readonly result: Type;
  /** Undefined where the interpreter itself knows what to do. Arguments fit `params`; failures are `CelError`s. */
  readonly run: ((...args: any[]) => Value) | undefined;
  /** Where arguments are literals: does once what the call would do each time. A `CelError` of it is the expression's. */
  readonly prepare?: (literals: readonly (Value | undefined)[]) => ((...args: any[]) => Value) | undefined;
}

export interface FunctionDeclaration {
  readonly name: string;
  readonly overloads: readonly Overload[];
}

/** A type with fields. */
export interface StructType {
  readonly type: Type;
  field(name: string): Type | undefined;
  /** Of types that expressions may build: `Name{field: value}`. */
  make?(fields: ReadonlyMap<string, Value>): Value;
}

export interface Library {
  readonly functions?: readonly FunctionDeclaration[];
  readonly macros?: readonly Macro[];
  /** Names of types that `type()` may be compared with. */
  readonly types?: readonly Type[];
}

export function fn(name: string, ...overloads: readonly Overload[]): FunctionDeclaration {
  return { name, overloads };
}
export function global(id: string, params: readonly Type[], result: Type, run?: (...args: any[]) => Value): Overload {
  return { id, isMember: false, params, result, run };
}
export function member(id: string, params: readonly Type[], result: Type, run?: (...args: any[]) => Value): Overload {
  return { id, isMember: true, params, result, run };
}

const TYPE_NAMES: readonly (readonly [string, Type])[] = [
  ["bool", BOOL],
  ["bytes", BYTES],
  ["double", DOUBLE],
  ["int", INT],
  ["uint", UINT],
  ["string", STRING],
  ["null_type", NULL],
  ["list", list(DYN)],
  ["map", map(DYN, DYN)],
  ["type", typeOf(DYN)],
  ["google.protobuf.Timestamp", TIMESTAMP],
  ["google.protobuf.Duration", DURATION],
];

export class Environment {
  readonly #variables: ReadonlyMap<string, Type>;
  readonly #functions: ReadonlyMap<string, FunctionDeclaration>;
  readonly #structs: (name: string) => StructType | undefined;
  readonly #types: ReadonlyMap<string, Type>;
  readonly macros: readonly Macro[];

  private constructor(
    variables: ReadonlyMap<string, Type>,
    functions: ReadonlyMap<string, FunctionDeclaration>,
    structs: (name: string) => StructType | undefined,
    types: ReadonlyMap<string, Type>,
    macros: readonly Macro[],
  ) {
    this.#variables = variables;
    this.#functions = functions;
    this.#structs = structs;
    this.#types = types;
    this.macros = macros;
  }

  static of(...libraries: readonly Library[]): Environment {
    return new Environment(new Map(), new Map(), () => undefined, new Map(TYPE_NAMES), []).with(...libraries);
  }

  with(...libraries: readonly Library[]): Environment {
    const functions = new Map(this.#functions);
    const types = new Map(this.#types);
    const macros = [...this.macros];
    for (const library of libraries) {
      for (const declared of library.functions ?? []) {
        const before = functions.get(declared.name);
        functions.set(declared.name, fn(declared.name, ...(before?.overloads ?? []), ...declared.overloads));
      }
      for (const type of library.types ?? []) types.set(type.name, type);
      macros.push(...(library.macros ?? []));
    }
    return new Environment(this.#variables, functions, this.#structs, types, macros);
  }

  withVariables(variables: Readonly<Record<string, Type>>): Environment {
    const all = new Map([...this.#variables, ...Object.entries(variables)]);
    return new Environment(all, this.#functions, this.#structs, this.#types, this.macros);
  }

  /** Types with fields, asked before those that were there. */
  withStructs(find: (name: string) => StructType | undefined): Environment {
    const before = this.#structs;
    return new Environment(
      this.#variables,
      this.#functions,
      (name) => find(name) ?? before(name),
      this.#types,
      this.macros,
    );
  }

  variable(name: string): Type | undefined {
    return this.#variables.get(name);
  }
  function(name: string): FunctionDeclaration | undefined {
    return this.#functions.get(name);
  }
  struct(name: string): StructType | undefined {
    return this.#structs(name);
  }
  /** The type that a name stands for in an expression. */
  type(name: string): Type | undefined {
    return this.#types.get(name) ?? this.#structs(name)?.type;
  }
}
