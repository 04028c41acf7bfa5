/** Queries the machine's name servers for what discovery needs: SRV records, and the addresses of their targets. */
import { decode, encode, type Answer, type RecordType } from "dns-packet";
import { deferred } from "../../base/deferred.ts";
import type { Address } from "../../world/net.ts";
import type { World } from "../../world/world.ts";

const TRY_MS = 2000;
const TRIES = 3;

/** The lowest priority is to be used first; among equals, each in proportion to its weight. */
export interface Service {
  readonly target: string;
  readonly port: number;
  readonly priority: number;
  readonly weight: number;
}

export interface Resolver {
  srv(name: string): Promise<readonly Service[]>;
  /** All addresses of a host; the host itself where it is one. */
  addresses(host: string): Promise<readonly string[]>;
  /** All names of an address. */
  names(address: string): Promise<readonly string[]>;
}

/** `servers` in place of those in /etc/resolv.conf. */
export function resolver(deps: Pick<World, "clock" | "net" | "fs">, servers?: readonly Address[]): Resolver {
  let sequence = 0;
  const read = async (path: string): Promise<string> => {
    try {
      return Buffer.from(await deps.fs.readFile(path)).toString();
    } catch {
      return ""; // Then there is nothing in it.
    }
  };
  const ask = async (name: string, type: RecordType): Promise<readonly Answer[]> => {
    const all = servers ?? nameServers(await read("/etc/resolv.conf"));
    let failure: unknown = new Error(`lookup ${name}: no name server answered`);
    for (let i = 0; i < TRIES; i++)
      for (const server of all) {
        try {
          return await exchange(deps, server, ++sequence & 0xffff, name, type);
        } catch (error) {
          failure = error;
          if (error instanceof NoSuchName) throw error;
        }
      }
    throw failure;
  };
  return {
    async srv(name) {
      const answers = await ask(name, "SRV");
      const found = answers.flatMap((answer) => (answer.type === "SRV" ? [answer.data] : []));
      if (found.length === 0) throw new NoSuchName(name);
      return found
        .map(({ target, port, priority = 0, weight = 0 }) => ({
          target: target.replace(/\.$/, ""),
          port,
          priority,
          weight,
        }))
        .sort((a, b) => a.priority - b.priority);
    },
    async addresses(host) {
      const plain = host.replace(/^\[|\]$/g, "").replace(/\.$/, "");
      if (/^[\d.]+$|:/.test(plain)) return [plain];
      if (plain === "localhost") return ["127.0.0.1"];
      const told = hostsFile(await read("/etc/hosts"), plain);
      if (told.length > 0) return told;
      const answers = await ask(plain, "A");
      return answers.flatMap((answer) => (answer.type === "A" ? [answer.data] : []));
    },
    async names(address) {
      const told = hostNames(await read("/etc/hosts"), address);
      if (told.length > 0) return told;
      const answers = await ask(reverseName(address), "PTR");
      return answers.flatMap((answer) => (answer.type === "PTR" ? [answer.data.replace(/\.$/, "")] : []));
    },
  };
}

class NoSuchName extends Error {
  constructor(name: string) {
    super(`lookup ${name}: no such host`);
  }
}

async function exchange(
  { clock, net }: Pick<World, "clock" | "net">,
  server: Address,
  id: number,
  name: string,
  type: RecordType,
): Promise<readonly Answer[]> {
  const question = encode({ type: "query", id, flags: 0x0100, questions: [{ type, name, class: "IN" }] });
  const { promise, resolve, reject } = deferred<readonly Answer[]>();
  await using socket = await net.datagrams({ host: server.host.includes(":") ? "::" : "0.0.0.0", port: 0 }, (data) => {
    try {
      const answer = decode(Buffer.from(data)) as ReturnType<typeof decode> & { readonly rcode?: string };
      if (answer.id !== id) return;
      if (answer.rcode === "NXDOMAIN") reject(new NoSuchName(name));
      else resolve(answer.answers ?? []);
    } catch (error) {
      reject(error);
    }
  });
  using _limit = clock.after(TRY_MS, () => reject(new Error(`lookup ${name} on ${server.host}: i/o timeout`)));
  socket.send(question, server);
  return await promise;
}

export function nameServers(text: string): readonly Address[] {
  const found = [...text.matchAll(/^\s*nameserver\s+(\S+)/gm)].map(([, host]) => ({ host: host!, port: 53 }));
  return found.length > 0 ? found : [{ host: "127.0.0.1", port: 53 }];
}

function hostsFile(text: string, host: string): readonly string[] {
  return hostLines(text)
    .filter(([, ...names]) => names.includes(host))
    .map(([address]) => address!);
}

function hostNames(text: string, address: string): readonly string[] {
  return hostLines(text).flatMap(([one, ...names]) => (one === address ? names : []));
}

function hostLines(text: string): readonly (readonly string[])[] {
  return text.split("\n").map((line) => line.replace(/#.*/, "").trim().split(/\s+/));
}

/** Where the names of an address stand: its digits backwards. */
function reverseName(address: string): string {
  if (!address.includes(":")) return `${address.split(".").reverse().join(".")}.in-addr.arpa`;
  const [head = "", tail = ""] = address.split("::");
  const groups = (text: string) => (text === "" ? [] : text.split(":"));
  const zeros = Array.from({ length: 8 - groups(head).length - groups(tail).length }, () => "0");
  const whole = address.includes("::") ? [...groups(head), ...zeros, ...groups(tail)] : groups(address);
  const digits = whole.map((group) => group.padStart(4, "0")).join("");
  return `${[...digits].reverse().join(".")}.ip6.arpa`;
}
