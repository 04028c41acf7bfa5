/** Fields that are maps in Go, where an absent map equals an empty one. An empty struct behind a pointer (`emptyDir: {}`) differs from an absent one. */
const MAPS: ReadonlySet<string> = new Set([
  "labels",
  "annotations",
  "nodeSelector",
  "matchLabels",
  "limits",
  "requests",
  "overhead",
  "resources",
  "metadata",
  "securityContext",
]);

/** Equal in meaning: absent lists and maps are empty ones. Upstream: apimachinery/pkg/api/equality */
export function semanticallyEqual(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true;
  if (typeof a !== "object" || typeof b !== "object") return isAbsent(a) && isAbsent(b);
  if (a === null || b === null) return isAbsent(a) && isAbsent(b);
  if (Array.isArray(a) || Array.isArray(b)) {
    if (!Array.isArray(a) || !Array.isArray(b) || a.length !== b.length) return false;
    return a.every((item, i) => semanticallyEqual(item, b[i]));
  }
  const left = a as Readonly<Record<string, unknown>>;
  const right = b as Readonly<Record<string, unknown>>;
  for (const key in left) if (!fieldsEqual(key, left[key], right[key])) return false;
  for (const key in right) if (!(key in left) && !fieldsEqual(key, undefined, right[key])) return false;
  return true;
}

function fieldsEqual(key: string, a: unknown, b: unknown): boolean {
  return semanticallyEqual(a, b) || (isNothing(key, a) && isNothing(key, b));
}

const isAbsent = (value: unknown) => value === undefined || value === null;

function isNothing(key: string, value: unknown): boolean {
  if (isAbsent(value) || value === "") return true;
  if (Array.isArray(value)) return value.length === 0;
  return MAPS.has(key) && typeof value === "object" && Object.values(value as object).every(isAbsent);
}

/** As `semanticallyEqual` for a status, where the server leaves zero numbers and empty texts out. */
export function sameStatus(a: object | undefined, b: object | undefined): boolean {
  return semanticallyEqual(withoutZeros(a ?? {}), withoutZeros(b ?? {}));
}

function withoutZeros(status: object): object {
  return Object.fromEntries(
    Object.entries(status).filter(
      ([, value]) => !(value === 0 || value === "" || (Array.isArray(value) && value.length === 0)),
    ),
  );
}
