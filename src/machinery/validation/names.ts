/**
 * The rules for names and other short texts. Each function returns what is wrong, in upstream's words, and nothing if the text is valid.
 * Upstream: staging/src/k8s.io/apimachinery/pkg/util/validation, api/validation/generic.go
 */
const LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?";
const SUBDOMAIN = `${LABEL}(\\.${LABEL})*`;
const QUALIFIED = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]";
const UNDERSCORED = "_?[a-z0-9]([-_a-z0-9]*[a-z0-9])?(\\._?[a-z0-9]([-_a-z0-9]*[a-z0-9])?)*";

const whole = (pattern: string) => new RegExp(`^(?:${pattern})$`);
const LABEL_REGEXP = whole(LABEL);
const SUBDOMAIN_REGEXP = whole(SUBDOMAIN);
const QUALIFIED_REGEXP = whole(QUALIFIED);
const LABEL_VALUE_REGEXP = whole(`(${QUALIFIED})?`);
const DNS1035_REGEXP = whole("[a-z]([-a-z0-9]*[a-z0-9])?");
const UNDERSCORED_REGEXP = whole(UNDERSCORED);
const WILDCARD_REGEXP = whole(`\\*\\.${SUBDOMAIN}`);
const HTTP_HEADER_REGEXP = whole("[-A-Za-z0-9]+");
const CONFIG_KEY_REGEXP = whole("[-._a-zA-Z0-9]+");
const PERCENT_REGEXP = whole("[0-9]+%");

/** The sentence that goes with a regular expression; upstream has two spaces between examples. */
function regexpMessage(words: string, pattern: string, ...examples: readonly string[]): string {
  if (examples.length === 0) return `${words} (regex used for validation is '${pattern}')`;
  return `${words} (e.g. ${examples.map((example) => `'${example}'`).join(",  or ")}, regex used for validation is '${pattern}')`;
}

const bytes = (text: string): number => Buffer.byteLength(text);

const SUBDOMAIN_WORDS = regexpMessage(
  "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
  SUBDOMAIN,
  "example.com",
);
const LABEL_WORDS = regexpMessage(
  "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character",
  LABEL,
  "my-name",
  "123-abc",
);
const QUALIFIED_WORDS = regexpMessage(
  "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
  QUALIFIED,
  "MyName",
  "my.name",
  "123-abc",
);

export function isDns1123Subdomain(value: string): readonly string[] {
  const errors: string[] = [];
  if (bytes(value) > 253) errors.push("must be no more than 253 characters");
  if (!SUBDOMAIN_REGEXP.test(value)) errors.push(SUBDOMAIN_WORDS);
  return errors;
}

/** As the declarative rules have it, where capital letters are let in. */
export function isDns1123SubdomainCaseless(value: string): readonly string[] {
  const errors: string[] = [];
  if (bytes(value) > 253) errors.push("must be no more than 253 bytes");
  if (!SUBDOMAIN_REGEXP.test(value.toLowerCase()))
    errors.push(
      regexpMessage(
        "an RFC 1123 subdomain must consist of alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character",
        SUBDOMAIN,
        "Example.com",
      ),
    );
  return errors;
}

export function isDns1123Label(value: string): readonly string[] {
  const errors: string[] = [];
  if (bytes(value) > 63) errors.push("must be no more than 63 characters");
  if (!LABEL_REGEXP.test(value)) errors.push(SUBDOMAIN_REGEXP.test(value) ? "must not contain dots" : LABEL_WORDS);
  return errors;
}

export function isDns1123SubdomainWithUnderscore(value: string): readonly string[] {
  const errors: string[] = [];
  if (bytes(value) > 253) errors.push("must be no more than 253 characters");
  if (!UNDERSCORED_REGEXP.test(value))
    errors.push(
      regexpMessage(
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '_', '-' or '.', and must start and end with an alphanumeric character",
        UNDERSCORED,
        "example.com",
      ),
    );
  return errors;
}

export function isDns1035Label(value: string): readonly string[] {
  const errors: string[] = [];
  if (bytes(value) > 63) errors.push("must be no more than 63 characters");
  if (!DNS1035_REGEXP.test(value))
    errors.push(
      regexpMessage(
        "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character",
        "[a-z]([-a-z0-9]*[a-z0-9])?",
        "my-name",
        "abc-123",
      ),
    );
  return errors;
}

export function isWildcardDns1123Subdomain(value: string): readonly string[] {
  const errors: string[] = [];
  if (bytes(value) > 253) errors.push("must be no more than 253 characters");
  if (!WILDCARD_REGEXP.test(value))
    errors.push(
      regexpMessage(
        "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character",
        `\\*\\.${SUBDOMAIN}`,
        "*.example.com",
      ),
    );
  return errors;
}

/** Keys of labels and annotations, finalizers, condition types: an optional DNS prefix, a slash, a name. */
export function isQualifiedName(value: string): readonly string[] {
  const parts = value.split("/");
  if (parts.length > 2)
    return [
      `a valid label key ${QUALIFIED_WORDS} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')`,
    ];
  const errors: string[] = [];
  const name = parts.at(-1)!;
  if (parts.length === 2) {
    const prefix = parts[0]!;
    if (prefix === "") errors.push("prefix part must be non-empty");
    else {
      if (bytes(prefix) > 253) errors.push("prefix part must be no more than 253 bytes");
      if (!SUBDOMAIN_REGEXP.test(prefix)) errors.push(`prefix part ${SUBDOMAIN_WORDS}`);
    }
  }
  if (name === "") errors.push("name part must be non-empty");
  else if (bytes(name) > 63) errors.push("name part must be no more than 63 bytes");
  if (!QUALIFIED_REGEXP.test(name)) errors.push(`name part ${QUALIFIED_WORDS}`);
  return errors;
}

export function isLabelValue(value: string): readonly string[] {
  const errors: string[] = [];
  if (bytes(value) > 63) errors.push("must be no more than 63 bytes");
  if (!LABEL_VALUE_REGEXP.test(value))
    errors.push(
      regexpMessage(
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character",
        `(${QUALIFIED})?`,
        "MyValue",
        "my_value",
        "12345",
      ),
    );
  return errors;
}

/** What may stand in a URL: the weakest rule that every name obeys. */
export function isPathSegmentName(name: string): readonly string[] {
  if (name === "." || name === "..") return [`may not be '${name}'`];
  return ["/", "%"]
    .filter((character) => name.includes(character))
    .map((character) => `may not contain '${character}'`);
}

/** Names of ports and services: at most 15 characters, at least one letter. */
export function isPortName(value: string): readonly string[] {
  const errors: string[] = [];
  if (bytes(value) > 15) errors.push("must be no more than 15 characters");
  if (!/^[-a-z0-9]+$/.test(value))
    errors.push("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)");
  if (!/[a-z]/.test(value)) errors.push("must contain at least one letter (a-z)");
  if (value.includes("--")) errors.push("must not contain consecutive hyphens");
  if (value.startsWith("-") || value.endsWith("-")) errors.push("must not begin or end with a hyphen");
  return errors;
}

export function isPortNumber(value: number): readonly string[] {
  return value >= 1 && value <= 65535 ? [] : ["must be between 1 and 65535, inclusive"];
}

export function isHttpHeaderName(value: string): readonly string[] {
  if (HTTP_HEADER_REGEXP.test(value)) return [];
  return [
    regexpMessage(
      "a valid HTTP header must consist of alphanumeric characters or '-'",
      "[-A-Za-z0-9]+",
      "X-Header-Name",
    ),
  ];
}

export function isEnvVarName(value: string): readonly string[] {
  if (value === "") return ["environment variable name must be non-empty"];
  if (!/^[\x20-\x3c\x3e-\x7e]*$/.test(value))
    return ["a valid environment variable name must consist only of printable ASCII characters other than '='"];
  return [];
}

export function isConfigMapKey(value: string): readonly string[] {
  const errors: string[] = [];
  if (bytes(value) > 253) errors.push("must be no more than 253 characters");
  if (!CONFIG_KEY_REGEXP.test(value))
    errors.push(
      regexpMessage(
        "a valid config key must consist of alphanumeric characters, '-', '_' or '.'",
        "[-._a-zA-Z0-9]+",
        "key.name",
        "KEY_NAME",
        "key-name",
      ),
    );
  if (value === ".") errors.push("must not be '.'");
  else if (value === "..") errors.push("must not be '..'");
  else if (value.startsWith("..")) errors.push("must not start with '..'");
  return errors;
}

export function isPercent(value: string): readonly string[] {
  if (PERCENT_REGEXP.test(value)) return [];
  return [
    regexpMessage("a valid percent string must be a numeric string followed by an ending '%'", "[0-9]+%", "1%", "93%"),
  ];
}

/** A generateName may end in a dash: a suffix follows. */
export function maskTrailingDash(name: string): string {
  return name.length > 1 && name.endsWith("-") ? `${name.slice(0, -2)}a` : name;
}

/** A rule for names, as `Resource.validateName` takes it; `prefix` is true for a generateName. */
export type NameRule = (name: string, prefix: boolean) => readonly string[];

export const nameIsSubdomain: NameRule = (name, prefix) => isDns1123Subdomain(prefix ? maskTrailingDash(name) : name);
export const nameIsLabel: NameRule = (name, prefix) => isDns1123Label(prefix ? maskTrailingDash(name) : name);
export const nameIsPathSegment: NameRule = (name) => isPathSegmentName(name);

/** Names of things that a domain stands for: `acme.io/foo`. */
export function isDomainPrefixedPath(text: string): readonly { readonly value: string; readonly words: string }[] {
  const slash = text.indexOf("/");
  const [host, path] = [text.slice(0, Math.max(slash, 0)), text.slice(slash + 1)];
  if (slash < 0 || host === "" || path === "")
    return [{ value: text, words: 'must be a domain-prefixed path (such as "acme.io/foo")' }];
  const errors = isDns1123Subdomain(host).map((words) => ({ value: host, words }));
  const allowed = "[A-Za-z0-9/\\-._~%!$&'()*+,;=:]+";
  if (!new RegExp(`^${allowed}$`).test(path))
    errors.push({ value: path, words: `Invalid path (regex used for validation is '${allowed}')` });
  return errors;
}
