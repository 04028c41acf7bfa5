/** The two ways in which API objects write an instant. */

/** metav1.Time: RFC 3339 in whole seconds. */
export function timestamp(ms: number): string {
  return `${new Date(Math.floor(ms / 1000) * 1000).toISOString().slice(0, 19)}Z`;
}

/** metav1.MicroTime: six digits of a second. */
export function microTimestamp(ms: number): string {
  const text = new Date(Math.floor(ms)).toISOString();
  const micros = Math.floor((ms - Math.floor(ms)) * 1000);
  return `${text.slice(0, 23)}${String(micros).padStart(3, "0")}Z`;
}
