/** The Warning headers of an answer, bounded. Upstream: staging/src/k8s.io/apiserver/pkg/endpoints/filters/warning.go */

/** In characters. Beyond this in all, each is cut, and those that come later are left out. */
const WARNINGS_MAX = 4096;
const WARNING_MAX = 256;

export function warningHeaders(warnings: readonly string[]): readonly string[] {
  const seen = new Set<string>();
  let cuts = false;
  let length = 0;
  let texts: string[] = [];
  const add = (warning: string) => {
    const characters = [...warning];
    const text = cuts ? characters.slice(0, WARNING_MAX).join("") : warning;
    // Go refuses to write a text with control characters.
    if (/\p{Cc}/u.test(text)) return;
    length += cuts ? Math.min(characters.length, WARNING_MAX) : characters.length;
    texts.push(text);
  };
  for (const warning of warnings) {
    if (cuts && length >= WARNINGS_MAX) break;
    if (warning === "" || seen.has(warning)) continue;
    seen.add(warning);
    if (cuts || length + [...warning].length <= WARNINGS_MAX) {
      add(warning);
      continue;
    }
    cuts = true;
    length = 0;
    texts = [];
    for (const one of seen) add(one);
  }
  return texts.map((text) => `299 - "${text.replaceAll(/[\\"]/g, "\\$&")}"`);
}
