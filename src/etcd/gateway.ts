/**
 * A TCP proxy to the members of a cluster: in turn, or by the priority and weight that DNS gives. A member that cannot be reached is skipped until
 * it can be reached again.
 * Upstream: server/proxy/tcpproxy/userspace.go
 */
import type { Component } from "../base/component-group.ts";
import { hostPort } from "../base/host-port.ts";
import type { Logger } from "../observe/log.ts";
import type { Address, ByteStream } from "../world/net.ts";
import type { World } from "../world/world.ts";
import { duration } from "./duration.ts";

export interface Endpoint extends Address {
  /** As in a SRV record, 0 where there is none. */
  readonly priority?: number;
  readonly weight?: number;
}

export interface GatewayOptions {
  readonly listen: Address;
  readonly endpoints: readonly Endpoint[];
  /** How long a member that failed is left alone. */
  readonly retryMs: number;
}

interface Remote {
  readonly address: Address;
  readonly priority: number;
  readonly weight: number;
  isActive: boolean;
}

/** Beside those with a weight, who has none is chosen as seldom as this. */
const WITHOUT_WEIGHT = 0.01;

export function createGateway(
  { listen, endpoints, retryMs }: GatewayOptions,
  { net, clock, random, log }: Pick<World, "net" | "clock" | "random"> & { readonly log: Logger },
): Component {
  const remotes = endpoints.map(({ priority = 0, weight = 0, ...address }): Remote => ({
    address,
    priority,
    weight,
    isActive: true,
  }));
  const open = new Set<ByteStream>();
  let turn = 0;

  const pick = (): Remote | undefined => {
    const active = remotes.filter(({ isActive }) => isActive);
    const best = Math.min(...active.map(({ priority }) => priority));
    const first = active.filter(({ priority }) => priority === best);
    const weighted = first.filter(({ weight }) => weight > 0);
    if (weighted.length > 0 && (weighted.length === first.length || random.next() >= WITHOUT_WEIGHT)) {
      let left = random.next() * weighted.reduce((sum, { weight }) => sum + weight, 0);
      return weighted.find(({ weight }) => (left -= weight) < 0) ?? weighted.at(-1);
    }
    for (let i = 0; i < remotes.length; i++) {
      const remote = remotes[turn++ % remotes.length]!;
      if (remote.weight === 0 && first.includes(remote)) return remote;
    }
    return undefined;
  };
  const textOf = ({ host, port }: Address) => hostPort(host, port);

  /** The first member, from the one whose turn it is, that answers. */
  async function dial(signal: AbortSignal): Promise<ByteStream | undefined> {
    for (let remote = pick(); remote !== undefined && !signal.aborted; remote = pick())
      try {
        return await net.connect({ ...remote.address, signal });
      } catch (error) {
        remote.isActive = false;
        log.warn("deactivated endpoint", {
          address: textOf(remote.address),
          interval: duration(retryMs),
          error,
        });
      }
    return undefined;
  }

  async function serve(client: ByteStream, signal: AbortSignal): Promise<void> {
    const member = await dial(signal);
    if (member === undefined) return client.destroy();
    const both = [client, member];
    for (const stream of both) open.add(stream);
    try {
      await Promise.all([pump(client, member), pump(member, client)]);
    } catch {
      // One end broke, so the other has nobody to speak to.
    } finally {
      for (const stream of both) {
        stream.destroy();
        open.delete(stream);
      }
    }
  }

  async function reactivate({ signal }: { readonly signal: AbortSignal }): Promise<void> {
    for (const remote of remotes.filter(({ isActive }) => !isActive))
      try {
        (await net.connect({ ...remote.address, signal })).destroy();
        remote.isActive = true;
        log.info("activated", { address: textOf(remote.address) });
      } catch (error) {
        log.warn("failed to activate endpoint (stay inactive for another interval)", {
          address: textOf(remote.address),
          error,
        });
      }
  }

  return {
    name: "gateway",
    async run(signal, ready) {
      await using _listener = await net.listen(listen, (client) => void serve(client, signal));
      log.info("ready to proxy client requests", { endpoints: endpoints.map(textOf) });
      let timer: Disposable | undefined;
      const watch = () => {
        timer = clock.after(retryMs, () => void reactivate({ signal }).then(() => !signal.aborted && watch()));
      };
      watch();
      ready();
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener("abort", resolve, { once: true }));
      timer?.[Symbol.dispose]();
      for (const stream of open) stream.destroy();
    },
  };
}

/** A half that has ended ends the other side's half, and no more than that. */
async function pump(from: ByteStream, to: ByteStream): Promise<void> {
  for await (const chunk of from) await to.write(chunk);
  to.end();
}
