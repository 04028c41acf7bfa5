/**
 * A world that can end, as a process does that is killed: nothing of it runs again, its calls never return, its sockets close. Others' worlds, and the
 * files, go on.
 */
import type { Listener } from "../../world/net.ts";
import type { World } from "../../world/world.ts";
import type { HostNet } from "./net.ts";

export interface MortalWorld extends World {
  /** Aborts at the end: for what others hold open on behalf of this world. */
  readonly end: AbortSignal;
  kill(): void;
}

/** A promise of nothing: what waits for it is never heard of again. A new one each time: one for all would hold on to all that ever waited. */
export const never = (): Promise<never> => new Promise<never>(() => {});

export function mortal(world: World, label: string): MortalWorld {
  const end = new AbortController();
  const listeners = new Set<Listener>();
  const ended = () => end.signal.aborted;
  const whileAlive = (fn: () => void) => () => {
    if (!ended()) fn();
  };
  const listen = async (opening: Promise<Listener>): Promise<Listener> => {
    const listener = await opening;
    if (ended()) {
      await listener.close(0);
      return never();
    }
    listeners.add(listener);
    return listener;
  };
  return {
    random: world.random.fork(label),
    host: world.host,
    clock: {
      now: () => world.clock.now(),
      monotonic: () => world.clock.monotonic(),
      after: (ms, fn) => world.clock.after(ms, whileAlive(fn)),
      soon: (fn) => world.clock.soon(whileAlive(fn)),
    },
    fs: gated(world.fs, ended),
    net: {
      listen: (options, onStream) => listen(world.net.listen(options, (stream) => void (ended() || onStream(stream)))),
      serveHttp: (options, handle) =>
        listen(world.net.serveHttp(options, (exchange) => (ended() ? undefined : handle(exchange)))),
      connect: (options) => world.net.connect(options).then((stream) => (ended() ? never() : stream)),
      httpClient: (options) => gated(world.net.httpClient(options), ended),
      datagrams: (options, onMessage) =>
        world.net.datagrams(options, (data, from) => void (ended() || onMessage(data, from))),
    },
    end: end.signal,
    kill() {
      if (ended()) return;
      end.abort(new Error(`${label} was killed`));
      for (const listener of listeners) void listener.close(0);
      (world.net as Partial<HostNet>).kill?.();
    },
  };
}

/** The same files, which a killed process can't touch any more. */
function gated<T extends object>(target: T, ended: () => boolean): T {
  return new Proxy(target, {
    get(_, name) {
      const value: unknown = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (ended()) {
          if (String(name).endsWith("Sync")) throw new Error(`${String(name)} after the end of the process`);
          return never();
        }
        const result: unknown = Reflect.apply(value, target, args);
        if (!(result instanceof Promise)) return result;
        return result.then(
          (answer) => (ended() ? never() : name === "open" ? gated(answer as object, ended) : answer),
          (error) => (ended() ? never() : Promise.reject(error)),
        );
      };
    },
  }) as T;
}
