/** The characters that mean something in YAML, by their codes, and the classes that its grammar names. */

export const [TAB, LINE_FEED, RETURN, SPACE, EXCLAMATION, DOUBLE, HASH] = [9, 10, 13, 32, 33, 34, 35] as const;
export const [PERCENT, AMPERSAND, SINGLE, STAR, PLUS, COMMA, MINUS, DOT, COLON] = [
  37, 38, 39, 42, 43, 44, 45, 46, 58,
] as const;
export const [LESS, GREATER, QUESTION, AT, OPEN, BACKSLASH, CLOSE] = [60, 62, 63, 64, 91, 92, 93] as const;
export const [BACKTICK, OPEN_CURLY, PIPE, CLOSE_CURLY] = [96, 123, 124, 125] as const;

export const isBreak = (code: number): boolean =>
  code === LINE_FEED || code === RETURN || code === 0x85 || code === 0x2028 || code === 0x2029;
export const isBlank = (code: number): boolean => code === SPACE || code === TAB;
export const isBreakOrEnd = (code: number): boolean => code === 0 || isBreak(code);
export const isBlankOrEnd = (code: number): boolean => code === SPACE || code === TAB || isBreakOrEnd(code);
export const isDigit = (code: number): boolean => code >= 48 && code <= 57;
export const isWord = (code: number): boolean =>
  isDigit(code) || (code >= 65 && code <= 90) || (code >= 97 && code <= 122) || code === 95 || code === MINUS;
export const closesOrSeparates = (code: number): boolean =>
  code === COMMA || code === QUESTION || code === OPEN || code === CLOSE || code === OPEN_CURLY || code === CLOSE_CURLY;
