/**
 * Attributes: a variable and the path of fields and indexes that is followed from it. They are planned as one unit, because upstream charges for
 * a path as a whole and because an optional step anywhere makes the rest of the path optional.
 *
 * Upstream: github.com/google/cel-go interpreter/{attributes,attribute_patterns}.go
 */
import { at, isPresent, lookUp, nativeName } from "./access.ts";
import { type Code, type Frame, spend } from "./frame.ts";
import { NO_OVERLOAD } from "./overloads.ts";
import { CelError, mapKey, Optional, type Value } from "./values.ts";

/** One step of a path: `.field`, `[index]`, or the optional form of either. */
interface Qualifier {
  readonly isOptional: boolean;
  readonly get: (frame: Frame, value: Value) => Value;
  /** Undefined where there is nothing, which costs nothing. */
  readonly find: (frame: Frame, value: Value) => Value | undefined;
}

/** A starting value and the steps from it. */
interface Path {
  readonly base: Code;
  readonly qualifiers: Qualifier[];
}

/** `condition ? yes : no`; steps that follow it apply to both branches. */
export interface Choice {
  readonly condition: Code;
  readonly yes: Attribute;
  readonly no: Attribute;
}

export type Attribute = Path | Choice;

export function qualify(attribute: Attribute, qualifier: Qualifier): void {
  if ("base" in attribute) attribute.qualifiers.push(qualifier);
  else {
    qualify(attribute.yes, qualifier);
    qualify(attribute.no, qualifier);
  }
}

/** Follows the path. The caller pays for the path as a whole; each step pays for itself. */
export function resolution(attribute: Attribute): Code {
  if (!("base" in attribute)) {
    const yes = resolution(attribute.yes);
    const no = resolution(attribute.no);
    return (frame) => {
      const condition = attribute.condition(frame);
      if (typeof condition !== "boolean") throw new CelError(NO_OVERLOAD);
      return condition ? yes(frame) : no(frame);
    };
  }
  const { base, qualifiers } = attribute;
  if (qualifiers.length === 0) return base;
  return (frame) => {
    let value = base(frame);
    let isOptional = false;
    if (value instanceof Optional) {
      if (value.value === undefined) return value;
      value = value.value;
      isOptional = true;
    }
    for (const qualifier of qualifiers) {
      isOptional ||= qualifier.isOptional;
      if (!isOptional) {
        value = qualifier.get(frame, value);
        continue;
      }
      const found = qualifier.find(frame, value);
      if (found === undefined) return Optional.none;
      value = found;
    }
    return isOptional ? new Optional(value) : value;
  };
}

export function constantQualifier(key: Value, isOptional: boolean): Qualifier {
  if (mapKey(key) === undefined) throw new CelError(`invalid qualifier type: ${nativeName(key)}`);
  return {
    isOptional,
    get: (frame, value) => {
      spend(frame, 1);
      return at(value, key);
    },
    find: (frame, value) => {
      const found = lookUp(value, key);
      if (found !== undefined) spend(frame, 1);
      return found;
    },
  };
}

export function computedQualifier(key: Code, isOptional: boolean): Qualifier {
  const valid = (frame: Frame): Value => {
    const value = key(frame);
    if (mapKey(value) === undefined) throw new CelError(`invalid qualifier type: ${nativeName(value)}`);
    return value;
  };
  return {
    isOptional,
    get: (frame, value) => {
      spend(frame, 1);
      return at(value, valid(frame));
    },
    find: (frame, value) => {
      const found = lookUp(value, valid(frame));
      if (found !== undefined) spend(frame, 1);
      return found;
    },
  };
}

/** The last step of `has(value.field)`. */
export function presence(field: string): Qualifier {
  return {
    isOptional: false,
    get: (frame, value) => {
      spend(frame, 1);
      return isPresent(value, field);
    },
    find: (frame, value) => {
      if (!isPresent(value, field)) return undefined;
      spend(frame, 1);
      return lookUp(value, field) ?? null;
    },
  };
}
