/** Texts as Go's `%q` shows them, in upstream's messages. */

const ESCAPES: Readonly<Record<string, string>> = {
  "\u0007": "\\a",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  "\v": "\\v",
  '"': '\\"',
  "\\": "\\\\",
};
const PLAIN = /^[ !#-[\]-~]*$/;
const UNPRINTABLE = /["\\]|[^\p{L}\p{M}\p{N}\p{P}\p{S} ]/gu;

/** As Go's `%q` shows a text. */
export function goQuote(text: string): string {
  if (PLAIN.test(text)) return `"${text}"`;
  const escaped = text.replace(UNPRINTABLE, (character) => {
    const code = character.codePointAt(0)!;
    const hex = code.toString(16);
    if (code > 0xffff) return ESCAPES[character] ?? `\\U${hex.padStart(8, "0")}`;
    return ESCAPES[character] ?? (code < 0x80 ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`);
  });
  return `"${escaped}"`;
}
