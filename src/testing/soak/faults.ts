/** What is done to the members. Each is over when it resolves, but for what `SoakCluster.heal` undoes. */
import { FAILPOINTS } from "../../etcd/failpoints.ts";
import { randomInt, type Random } from "../../world/world.ts";
import { pick } from "../fuzz/fuzzer.ts";
import type { SoakCluster } from "./cluster.ts";
import { fillDisk } from "./sandbox.ts";

export interface FaultContext {
  readonly cluster: SoakCluster;
  readonly random: Random;
  readonly tell: (line: string) => void;
  readonly pause: (ms: number) => Promise<void>;
}

type Act = (context: FaultContext) => Promise<void>;

/** Where a crash is told apart from others: around each write and sync of log, db file and snapshots. */
const CRASH_POINTS = FAILPOINTS.filter((name) =>
  /^(raft(Before|After)(Save|Advance|FollowerSend|LeaderSend|SaveSnap|ApplySnap|WAL)|wal|(before|after)(Commit|StartDBTxn|WritebackBuf)|commit|compact|defragBefore|beforeApply|apply)/.test(
    name,
  ),
);

const some = <T>(random: Random, list: readonly T[], count: number): readonly T[] =>
  list
    .map((one) => [random.next(), one] as const)
    .sort(([a], [b]) => a - b)
    .slice(0, count)
    .map(([, one]) => one);

export const FAULTS = {
  "kill one": async ({ cluster, random, tell, pause }) => {
    const member = pick(random, cluster.members);
    tell(`kill -9 ${member.name}`);
    await member.kill();
    await pause(500 + random.next() * 3000);
  },
  "kill the leader": async ({ cluster, tell, pause }) => {
    const leader = await cluster.leader();
    tell(`kill -9 ${leader.name}, which leads`);
    await leader.kill();
    await pause(3000);
  },
  "kill a quorum": async ({ cluster, random, tell, pause }) => {
    const members = some(random, cluster.members, Math.floor(cluster.members.length / 2) + 1);
    tell(`kill -9 ${members.map(({ name }) => name).join(" ")}`);
    await Promise.all(members.map((member) => member.kill()));
    await pause(random.next() * 4000);
  },
  "kill all": async ({ cluster, tell }) => {
    tell("kill -9 all");
    await Promise.all(cluster.members.map((member) => member.kill()));
  },
  "end one": async ({ cluster, random, tell, pause }) => {
    const member = pick(random, cluster.members);
    tell(`SIGTERM for ${member.name}`);
    await member.kill("SIGTERM");
    await pause(1000);
  },
  "hold one": async ({ cluster, random, tell, pause }) => {
    const member = random.next() < 0.5 ? await cluster.leader() : pick(random, cluster.members);
    tell(`SIGSTOP ${member.name}`);
    member.hold();
    await pause(1000 + random.next() * 5000);
    member.letGo();
    tell(`SIGCONT ${member.name}`);
    await pause(1000);
  },
  "hold all": async ({ cluster, random, tell, pause }) => {
    tell("SIGSTOP all");
    for (const member of cluster.members) member.hold();
    await pause(500 + random.next() * 3000);
    for (const member of some(random, cluster.members, cluster.members.length)) {
      member.letGo();
      await pause(random.next() * 1000);
    }
  },
  "cut one off": async ({ cluster, random, tell, pause }) => {
    const member = random.next() < 0.6 ? await cluster.leader() : pick(random, cluster.members);
    tell(`${member.name} is cut off`);
    for (const other of cluster.members)
      if (other !== member) {
        member.machine.deaf(other.machine);
        other.machine.deaf(member.machine);
      }
    await pause(3000 + random.next() * 6000);
  },
  "cut two apart": async ({ cluster, random, tell, pause }) => {
    const [a, b] = some(random, cluster.members, 2);
    tell(`${a!.name} and ${b!.name} are cut apart`);
    a!.machine.deaf(b!.machine);
    b!.machine.deaf(a!.machine);
    await pause(3000 + random.next() * 5000);
  },
  "cut one way": async ({ cluster, random, tell, pause }) => {
    const member = pick(random, cluster.members);
    const isDeaf = random.next() < 0.5;
    tell(`${member.name} ${isDeaf ? "hears nobody" : "is heard by nobody"}`);
    for (const other of cluster.members)
      if (other !== member) (isDeaf ? member : other).machine.deaf((isDeaf ? other : member).machine);
    await pause(3000 + random.next() * 5000);
  },
  "lose packets": async ({ cluster, random, tell, pause }) => {
    const percent = 5 + randomInt(random, 35);
    const members = some(random, cluster.members, 1 + randomInt(random, cluster.members.length));
    tell(`${percent} % of packets are lost at ${members.map(({ name }) => name).join(" ")}`);
    for (const { machine } of members) machine.lossy(percent);
    await pause(4000 + random.next() * 4000);
  },
  "thin wire": async ({ cluster, random, tell, pause }) => {
    const member = pick(random, cluster.members);
    const kbit = pick(random, [64, 200, 800]);
    tell(`${member.name} has a wire of ${kbit} kbit/s`);
    member.machine.slow(kbit);
    await pause(4000 + random.next() * 4000);
  },
  "full disk": async ({ cluster, tell, pause }) => {
    const member = cluster.members.at(-1)!;
    tell(`the disk of ${member.name} is full`);
    member.mayEnd = true;
    fillDisk(member.dataDir);
    // What grows the db file or copies it meets the end of the disk first.
    await member.client.maintenance.Defragment({}, { timeoutMs: 5000 }).catch(() => {});
    await pause(4000);
    tell(`${member.name} ${member.isRunning ? "runs on" : "has ended"}`);
  },
  "replace one": async ({ cluster, random, tell }) => {
    const member = pick(random, cluster.members);
    // Of those who stay, a quorum must hear each other: one whom the fault before has cut off may still be counted as connected.
    await cluster.heal();
    await cluster.untilLevel();
    tell(`${member.name} is replaced, with an empty disk`);
    await cluster.replace(member);
  },
  "move the leader": async ({ cluster, random, tell, pause }) => {
    for (let moves = 0; moves < 4; moves++) {
      const leader = await cluster.leader();
      const to = pick(
        random,
        cluster.members.filter((member) => member !== leader),
      );
      const { header } = await to.client.maintenance.Status({}, { timeoutMs: 5000 });
      tell(`the lead goes from ${leader.name} to ${to.name}`);
      await leader.client.maintenance
        .MoveLeader({ targetID: header!.member_id }, { timeoutMs: 5000 })
        .catch((error: Error) => tell(error.message));
      await pause(500);
    }
  },
  "tidy up": async ({ cluster, tell }) => {
    tell("compaction, and all members are defragmented");
    await cluster.compact();
    await Promise.all(
      cluster.members.map(({ client }) => client.maintenance.Defragment({}, { timeoutMs: 20_000 }).catch(() => {})),
    );
  },
  "crash at a point": async ({ cluster, random, tell, pause }) => {
    const member = pick(random, cluster.members);
    const point = pick(random, CRASH_POINTS);
    tell(`${member.name} crashes at ${point}`);
    member.mayEnd = true;
    if (member.program !== undefined) return;
    await member.failpoint(point, "panic").catch((error: Error) => tell(error.message));
    if (/compact/i.test(point)) await cluster.compact();
    if (/defrag/.test(point)) await member.client.maintenance.Defragment({}, { timeoutMs: 5000 }).catch(() => {});
    if (!(await member.ended(3000))) {
      tell(`${member.name} has not come to ${point}`);
      await member.failpoint(point, "off").catch(() => {});
    }
    await pause(500);
  },
  "another's program": async ({ cluster, random, tell }) => {
    const member = pick(random, cluster.members);
    await member.kill("SIGTERM");
    member.program = member.program === undefined ? cluster.otherProgram : undefined;
    tell(`${member.name} goes on as ${member.program ?? "ours"}`);
  },
} satisfies Readonly<Record<string, Act>>;

export type FaultName = keyof typeof FAULTS;
