/** Errors of the v2 API: a number, its message, and the HTTP status that goes with it. Upstream: server/etcdserver/api/v2error */

const MESSAGES = {
  keyNotFound: [100, "Key not found", 404],
  testFailed: [101, "Compare failed", 412],
  notFile: [102, "Not a file", 403],
  notDir: [104, "Not a directory", 400],
  nodeExist: [105, "Key already exists", 412],
  rootReadOnly: [107, "Root is read only", 400],
  dirNotEmpty: [108, "Directory not empty", 403],
  unauthorized: [110, "The request requires user authentication", 401],
  prevValueRequired: [201, "PrevValue is Required in POST form", 400],
  ttlNaN: [202, "The given TTL in POST form is not a number", 400],
  indexNaN: [203, "The given index in POST form is not a number", 400],
  invalidField: [209, "Invalid field", 400],
  invalidForm: [210, "Invalid POST form", 400],
  refreshValue: [211, "Value provided on refresh", 400],
  refreshTtlRequired: [212, "A TTL must be provided on refresh", 400],
  raftInternal: [300, "Raft Internal Error", 500],
  eventIndexCleared: [401, "The event in requested index is outdated and cleared", 400],
} as const satisfies Readonly<Record<string, readonly [code: number, message: string, status: number]>>;

export type V2ErrorName = keyof typeof MESSAGES;

export class V2Error extends Error {
  override readonly name = "V2Error";
  readonly kind: V2ErrorName;
  readonly detail: string;
  /** The store's index when it was told; 0 for what is wrong with the request alone. */
  readonly index: number;

  constructor(kind: V2ErrorName, detail: string, index = 0, options?: ErrorOptions) {
    super(`${MESSAGES[kind][1]} (${detail})`, options);
    this.kind = kind;
    this.detail = detail;
    this.index = index;
  }

  get status(): number {
    return MESSAGES[this.kind][2];
  }

  /** `trim` is what paths begin with inside, and nobody outside sees. */
  body(trim: string): object {
    const [errorCode, message] = MESSAGES[this.kind];
    const cause = this.detail.startsWith(trim) ? this.detail.slice(trim.length) : this.detail;
    return { errorCode, message, ...(cause !== "" && { cause }), index: this.index };
  }
}

/** What the auth and member parts of the API answer in place of a `V2Error`. */
export class HttpError extends Error {
  override readonly name = "HttpError";
  readonly status: number;
  constructor(status: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.status = status;
  }
}
