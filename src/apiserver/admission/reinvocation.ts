/**
 * The second round of mutation: once a webhook or a policy has changed an object, every plugin sees it again, and of the webhooks and policies those
 * that ask for it and were asked before the change.
 * Upstream: staging/src/k8s.io/apiserver/pkg/admission/reinvocation.go.
 */
import type { AdmissionRequest } from "./framework.ts";

/** What a request's rounds know of one plugin's webhooks or policies, by their names. */
export class Reinvocable {
  readonly #request: AdmissionRequest;
  #before = new Set<string>();
  readonly #due = new Set<string>();
  #left: string | undefined;

  constructor(request: AdmissionRequest) {
    this.#request = request;
  }

  /** At the start of a round: what other plugins changed since the last one counts as well. */
  begin(): void {
    if (this.#request.rounds?.isAgain === true && this.#left !== JSON.stringify(this.#request.object)) this.#require();
  }

  /** At the end of a round. */
  end(): void {
    this.#left = JSON.stringify(this.#request.object);
  }

  isAsked(name: string): boolean {
    return this.#request.rounds?.isAgain !== true || this.#due.has(name);
  }

  /** A webhook isn't asked again for what it changed itself; a policy is. */
  asked(name: string, reinvocationPolicy: string | undefined, changed: boolean, mindsItself = false): void {
    if (mindsItself && reinvocationPolicy === "IfNeeded") this.#before.add(name);
    if (changed) {
      this.#require();
      if (this.#request.rounds !== undefined) this.#request.rounds.isWanted = true;
    }
    if (!mindsItself && reinvocationPolicy === "IfNeeded") this.#before.add(name);
  }

  #require(): void {
    for (const name of this.#before) this.#due.add(name);
    this.#before = new Set();
  }
}

/** Of one request through all mutating plugins. */
export class Rounds {
  isAgain = false;
  isWanted = false;
  readonly #plugins = new Map<string, Reinvocable>();

  of(plugin: string, request: AdmissionRequest): Reinvocable {
    let one = this.#plugins.get(plugin);
    if (one === undefined) this.#plugins.set(plugin, (one = new Reinvocable(request)));
    return one;
  }
}
