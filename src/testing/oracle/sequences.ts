/**
 * Generated sequences of requests, a seed each. Few keys, leases and users, so that they meet; every option of every request; refused ones too.
 * A profile leans to one part of the API and takes from the others.
 */
import { SeededRandom } from "../sim/random.ts";
import { Draw } from "./draw.ts";
import type { Plain, PlainRecord } from "./plain.ts";
import type { Step } from "./step.ts";

export const PROFILES = ["kv", "txn", "lease", "watch", "auth", "maintenance", "concurrency", "apiserver"] as const;
export type Profile = (typeof PROFILES)[number];

export interface Sequence {
  readonly seed: string;
  readonly profile: Profile;
  readonly steps: readonly Step[];
}

/** Small, so that sequences reach them. Both servers are started with these. */
export const LIMITS = { txnOps: 6, requestBytes: 20_000 };
export const LIMIT_FLAGS: readonly string[] = [
  `--max-txn-ops=${LIMITS.txnOps}`,
  `--max-request-bytes=${LIMITS.requestBytes}`,
];

export function sequence(seed: string, profile?: Profile): Sequence {
  const draw = new Draw(new SeededRandom(seed));
  const drawn = draw.one<Profile>([
    "kv",
    "kv",
    "txn",
    "txn",
    "lease",
    "watch",
    "watch",
    "auth",
    "maintenance",
    "concurrency",
    "apiserver",
  ]);
  const chosen = profile ?? drawn;
  const count = 8 + draw.below(40);
  const make = new Requests(draw);
  return { seed, profile: chosen, steps: make[chosen](count) };
}

const step = (rpc: string, request: PlainRecord): Step => ({ rpc, request });

class Requests {
  readonly #draw: Draw;

  constructor(draw: Draw) {
    this.#draw = draw;
  }

  kv(count: number): readonly Step[] {
    return this.#steps(count, [
      [8, () => this.#put()],
      [3, () => this.#delete()],
      [9, () => step("Range", this.#range())],
      [1, () => step("RangeStream", this.#range())],
      [2, () => this.#txn()],
      [2, () => this.#compact()],
      [1, () => this.#lease()],
      [1, () => this.#hash()],
    ]);
  }

  txn(count: number): readonly Step[] {
    return this.#steps(count, [
      [3, () => this.#put()],
      [1, () => this.#delete()],
      [10, () => this.#txn()],
      [1, () => this.#compact()],
      [1, () => this.#lease()],
      [1, () => step("Range", this.#range())],
      [1, () => this.#hash()],
    ]);
  }

  lease(count: number): readonly Step[] {
    return this.#steps(count, [
      [5, () => this.#put()],
      [1, () => this.#delete()],
      [3, () => this.#txn()],
      [9, () => this.#lease()],
      [2, () => step("Range", this.#range())],
      [1, () => this.#watch()],
      [1, () => this.#hash()],
    ]);
  }

  watch(count: number): readonly Step[] {
    return this.#steps(Math.ceil(count / 2), [
      [5, () => this.#put()],
      [2, () => this.#delete()],
      [3, () => this.#txn()],
      [1, () => this.#compact()],
      [2, () => this.#lease()],
      [6, () => this.#watch()],
    ]);
  }

  maintenance(count: number): readonly Step[] {
    return this.#steps(count, [
      [4, () => this.#put()],
      [2, () => this.#delete()],
      [2, () => step("Range", this.#range())],
      [1, () => this.#txn()],
      [2, () => this.#compact()],
      [3, () => this.#lease()],
      [3, () => this.#alarm()],
      [2, () => this.#hash()],
      [1, () => step("Hash", {})],
      [1, () => step("Status", {})],
      [1, () => step("Defragment", {})],
      [1, () => step("Snapshot", {})],
      [1, () => step("MoveLeader", { targetID: this.#draw.one<Plain>([{ member: 0 }, 404, 0, { member: 1 }]) })],
      [3, () => this.#member()],
    ]);
  }

  concurrency(count: number): readonly Step[] {
    const name = () => this.#draw.one(["l", "m", "a", ""]);
    const lease = () => this.#draw.one<Plain>([{ granted: 0 }, { granted: 1 }, 1, 404]);
    const key = (): Plain =>
      this.#draw.one<Plain>(["l/1", "m/1", "a", "", { granted: 0, under: "l" }, { granted: 0, under: "m" }]);
    const leader = (): PlainRecord => ({
      name: name(),
      key: key(),
      rev: this.#draw.one<Plain>([{ back: 0 }, { back: 1 }, 1]),
      lease: lease(),
    });
    return [
      step("LeaseGrant", { TTL: 1000 }),
      step("LeaseGrant", { ID: 1, TTL: 1000 }),
      ...this.#steps(Math.ceil(count / 3), [
        [2, () => this.#put()],
        [1, () => this.#delete()],
        [1, () => this.#lease()],
        [2, () => step("Range", { key: "\0", range_end: "\0" })],
        // One who would wait gives up, and leaves nothing behind.
        [5, () => ({ rpc: "Lock", request: { name: name(), lease: lease() }, timeoutMs: 300 })],
        [3, () => step("Unlock", { key: key() })],
        [
          3,
          () => ({ rpc: "Campaign", request: { name: name(), lease: lease(), value: this.#value() }, timeoutMs: 300 }),
        ],
        [2, () => step("Leader", { name: name() })],
        [2, () => step("Proclaim", { ...(this.#draw.in100(80) && { leader: leader() }), value: this.#value() })],
        [2, () => step("Resign", this.#draw.in100(80) ? { leader: leader() } : {})],
      ]),
    ];
  }

  /** What a kube-apiserver sends, and nothing else. */
  apiserver(count: number): readonly Step[] {
    const key = () => `/registry/pods/default/${this.#draw.one(["a", "b", "c", "d"])}`;
    const all = { key: "/registry/pods/", range_end: "/registry/pods0" };
    const guard = (revision: Plain, then: PlainRecord, name: string): Step =>
      step("Txn", {
        compare: [{ key: name, target: "MOD", result: "EQUAL", mod_revision: revision }],
        success: [then],
        failure: [{ request_range: { key: name } }],
      });
    const put = (name: string, lease?: Plain): PlainRecord => ({
      request_put: { key: name, value: `{"n":${this.#draw.below(100)}}`, ...(lease !== undefined && { lease }) },
    });
    return [
      step("LeaseGrant", { TTL: 3600 }),
      ...this.#steps(count, [
        [
          5,
          () => {
            const name = key();
            return guard(0, put(name, this.#draw.in100(20) ? { granted: 0 } : undefined), name);
          },
        ],
        [
          5,
          () => {
            const name = key();
            return guard({ back: this.#draw.below(6) }, put(name), name);
          },
        ],
        [
          3,
          () => {
            const name = key();
            return guard({ back: this.#draw.below(4) }, { request_delete_range: { key: name } }, name);
          },
        ],
        [
          3,
          () =>
            step("Range", {
              key: key(),
              limit: 1,
              ...(this.#draw.in100(20) && { revision: { back: this.#draw.below(8) - 1 } }),
            }),
        ],
        [3, () => step("Range", { ...all, limit: this.#draw.one([0, 1, 2, 500]) })],
        [2, () => step("Range", { ...all, key: `${key()}\0`, limit: 2, revision: { back: this.#draw.below(4) } })],
        [1, () => step("Range", { ...all, count_only: true })],
        [1, () => step("Range", { ...all, keys_only: true, limit: 1 })],
        [1, () => step("Range", { key: "/registry/health" })],
        [1, () => step("Status", {})],
        [
          1,
          () =>
            step("Txn", {
              compare: [{ key: "compact_rev_key", target: "VERSION", result: "EQUAL", version: this.#draw.below(3) }],
              success: [{ request_put: { key: "compact_rev_key", value: "1" } }],
              failure: [{ request_range: { key: "compact_rev_key" } }],
            }),
        ],
        [1, () => step("Compact", { revision: { back: this.#draw.below(10) } })],
        [
          1,
          () => ({
            rpc: "Watch",
            request: {},
            stream: this.#draw.below(6),
            requests: [
              {
                create_request: {
                  ...all,
                  start_revision: { back: this.#draw.below(6) - 1 },
                  prev_kv: true,
                  progress_notify: true,
                },
              },
            ],
          }),
        ],
        [
          this.#draw.below(2),
          () => ({ rpc: "Watch", request: {}, stream: this.#draw.below(6), requests: [{ progress_request: {} }] }),
        ],
      ]),
    ];
  }

  auth(count: number): readonly Step[] {
    const draw = this.#draw;
    const user = () => draw.one(["alice", "bob", "carl", "root", ""]);
    const role = () => draw.one(["r", "s", "root", ""]);
    const admin = () =>
      draw.one<string | undefined>(["root", "root", "root", "root", "alice", undefined, "nonsense", "no.1"]);
    const anyone = () =>
      draw.one<string | undefined>(["alice", "alice", "alice", "bob", "bob", "root", "carl", undefined]);
    const by = (who: string | undefined, made: Step): Step => (who === undefined ? made : { ...made, as: who });
    const password = (name: string) => (draw.in100(85) ? `${name}-password` : draw.one(["", "wrong"]));
    const range = (): PlainRecord => {
      const key = draw.one(["a", "b", "c", "d"]);
      const end = draw.one(["", "", "\0", "b", "c", "d", "e"]);
      return { key, range_end: end === "\0" || end > key ? end : "" };
    };
    const authenticate = (name: string): Step => step("Authenticate", { name, password: password(name) });
    const setUp: readonly Step[] = [
      ...["root", "alice", "bob"].map((name) => step("UserAdd", { name, password: `${name}-password` })),
      ...["root", "r", "s"].map((name) => step("RoleAdd", { name })),
      step("UserGrantRole", { user: "root", role: "root" }),
      step("UserGrantRole", { user: "alice", role: "r" }),
      step("UserGrantRole", { user: "bob", role: "s" }),
      ...["r", "s"].map((name) =>
        step("RoleGrantPermission", { name, perm: { permType: draw.one(["READ", "READWRITE"]), ...range() } }),
      ),
    ];
    const enable: readonly Step[] = [
      step("AuthEnable", {}),
      ...["root", "alice", "bob"].map((name) => step("Authenticate", { name, password: `${name}-password` })),
    ];
    return [
      ...(draw.in100(90) ? setUp : []),
      ...(draw.in100(85) ? enable : []),
      ...this.#steps(count, [
        [
          2,
          () =>
            by(
              admin(),
              step("UserAdd", {
                name: user(),
                password: password("x"),
                ...(draw.in100(10) && { options: { no_password: true } }),
              }),
            ),
        ],
        [1, () => by(admin(), step("UserDelete", { name: draw.one(["carl", "bob", "", "root"]) }))],
        [1, () => by(anyone(), step("UserGet", { name: user() }))],
        [1, () => by(admin(), step("UserList", {}))],
        [
          1,
          () => {
            const name = draw.one(["alice", "bob", "carl", ""]);
            return by(admin(), step("UserChangePassword", { name, password: `${name}-password` }));
          },
        ],
        [3, () => by(admin(), step("UserGrantRole", { user: user(), role: role() }))],
        [1, () => by(admin(), step("UserRevokeRole", { name: user(), role: role() }))],
        [1, () => by(admin(), step("RoleAdd", { name: role() }))],
        [1, () => by(anyone(), step("RoleGet", { role: draw.one(["r", "s", "", "none"]) }))],
        [1, () => by(admin(), step("RoleList", {}))],
        [1, () => by(admin(), step("RoleDelete", { role: draw.one(["r", "s", "", "root"]) }))],
        [
          6,
          () =>
            by(
              admin(),
              step("RoleGrantPermission", {
                name: role(),
                ...(draw.in100(95) && { perm: { permType: draw.one(["READ", "WRITE", "READWRITE"]), ...range() } }),
              }),
            ),
        ],
        [2, () => by(admin(), step("RoleRevokePermission", { role: role(), ...range() }))],
        [5, () => authenticate(draw.one(["alice", "alice", "bob", "carl", "root", ""]))],
        [1, () => by(draw.one(["alice", undefined]), step("AuthEnable", {}))],
        [1, () => by(draw.one(["root", "alice", undefined]), step("AuthDisable", {}))],
        [6, () => by(anyone(), step("Range", { ...range(), serializable: draw.in100(30) }))],
        [
          6,
          () =>
            by(
              anyone(),
              step("Put", {
                key: draw.one(["a", "b", "c", "d"]),
                value: "1",
                prev_kv: draw.in100(40),
                lease: draw.one([0, 0, 0, 1]),
              }),
            ),
        ],
        [4, () => by(anyone(), step("DeleteRange", { ...range(), prev_kv: draw.in100(40) }))],
        [
          6,
          () =>
            by(
              anyone(),
              step("Txn", {
                compare: draw.list(1, () => ({ ...range(), target: "VERSION", result: "GREATER" })),
                success: draw.list(1, () =>
                  draw.one<PlainRecord>([
                    { request_range: range() },
                    { request_put: { key: draw.one(["a", "b", "c", "d"]), value: "2" } },
                    { request_delete_range: { ...range(), prev_kv: draw.in100(40) } },
                  ]),
                ),
                failure: draw.list(1, () => ({ request_range: range() })),
              }),
            ),
        ],
        [
          2,
          () => ({
            ...by(anyone(), step("Watch", {})),
            stream: draw.below(4),
            requests: [{ create_request: { ...range(), prev_kv: draw.in100(40) } }],
          }),
        ],
        [
          1,
          () =>
            by(
              anyone(),
              draw.one([
                step("LeaseGrant", { ID: 1, TTL: 1000 }),
                step("LeaseRevoke", { ID: 1 }),
                step("LeaseTimeToLive", { ID: 1, keys: true }),
                step("LeaseLeases", {}),
              ]),
            ),
        ],
        [
          1,
          () =>
            by(
              anyone(),
              draw.one([
                step("Alarm", {}),
                step("Hash", {}),
                step("HashKV", {}),
                step("Status", {}),
                step("MemberList", {}),
                step("Snapshot", {}),
                step("Compact", { revision: { back: 3 } }),
                step("Defragment", {}),
                step("MemberRemove", { ID: 404 }),
              ]),
            ),
        ],
      ]),
    ];
  }

  #steps(count: number, kinds: readonly (readonly [weight: number, make: () => Step])[]): readonly Step[] {
    return Array.from({ length: count }, () => this.#draw.weighted(kinds));
  }

  #key(): string {
    return this.#draw.weighted([
      [40, () => this.#draw.one(["a", "b", "c", "d", "dd", "e"])],
      [2, () => this.#draw.one(["\0", "\xff", "\xff\xff", "a\0"])],
      [1, () => ""],
    ]);
  }
  #end(): Record<string, string> {
    return this.#draw.fields({
      range_end: [45, () => this.#draw.one(["", "\0", "a", "b", "c", "d", "e", "z", "\xff", "dd"])],
    });
  }
  #value(): Plain {
    return this.#draw.weighted<Plain>([
      [40, () => this.#draw.one(["", "x", "y", "zz", "\xff\0"])],
      [1, () => ({ bytes: this.#draw.one([LIMITS.requestBytes, LIMITS.requestBytes - 100, 5000]) })],
    ]);
  }
  #leaseId(): Plain {
    return this.#draw.one<Plain>([1, 2, 9, { granted: 0 }, { granted: 1 }, -1]);
  }
  #back(most = 12): Plain {
    return { back: this.#draw.below(most + 2) - 1 };
  }

  #putRequest(): PlainRecord {
    const draw = this.#draw;
    return {
      key: this.#key(),
      ...draw.fields<Plain>({
        value: [85, () => this.#value()],
        lease: [20, () => this.#leaseId()],
        prev_kv: [40, () => true],
        ignore_value: [10, () => true],
        ignore_lease: [10, () => true],
      }),
    };
  }
  #put(): Step {
    return step("Put", this.#putRequest());
  }
  #deleteRequest(): PlainRecord {
    return { key: this.#key(), ...this.#end(), ...this.#draw.fields<Plain>({ prev_kv: [50, () => true] }) };
  }
  #delete(): Step {
    return step("DeleteRange", this.#deleteRequest());
  }
  #range(): PlainRecord {
    const draw = this.#draw;
    return {
      key: this.#key(),
      ...(draw.in100(60) ? { key: draw.one(["\0", "a", "b"]), range_end: draw.one(["\0", "z", "e"]) } : this.#end()),
      ...draw.fields<Plain>({
        limit: [35, () => draw.one([1, 2, 3, 100, -1])],
        revision: [35, () => draw.one<Plain>([this.#back(), this.#back(), this.#back(), -1, 1])],
        sort_order: [35, () => draw.one<Plain>(["ASCEND", "DESCEND", "NONE", draw.in100(20) ? 7 : "ASCEND"])],
        sort_target: [
          35,
          () => draw.one<Plain>(["KEY", "VERSION", "CREATE", "MOD", "VALUE", draw.in100(20) ? 9 : "KEY"]),
        ],
        serializable: [30, () => true],
        keys_only: [20, () => true],
        count_only: [15, () => true],
        min_mod_revision: [10, () => this.#back()],
        max_mod_revision: [10, () => this.#back()],
        min_create_revision: [10, () => this.#back()],
        max_create_revision: [10, () => this.#back()],
      }),
    };
  }
  #compare(): PlainRecord {
    const draw = this.#draw;
    return {
      key: this.#key(),
      ...(draw.in100(30) && this.#end()),
      result: draw.one<Plain>(["EQUAL", "NOT_EQUAL", "GREATER", "LESS"]),
      ...draw.one<() => PlainRecord>([
        () => ({ target: "VERSION", version: draw.below(4) }),
        () => ({ target: "MOD", mod_revision: draw.one<Plain>([0, this.#back(6)]) }),
        () => ({ target: "CREATE", create_revision: draw.one<Plain>([0, this.#back(6)]) }),
        () => ({ target: "VALUE", value: draw.one(["", "x", "y"]) }),
        () => ({ target: "LEASE", lease: draw.one<Plain>([0, 1, 2, { granted: 0 }]) }),
        // Without what it is compared with.
        () => ({ target: draw.one(["VERSION", "MOD", "CREATE", "VALUE", "LEASE"]) }),
      ])(),
    };
  }
  #txnRequest(depth: number): PlainRecord {
    const draw = this.#draw;
    const most = draw.in100(7) ? LIMITS.txnOps + 2 : 3;
    const op = (): PlainRecord =>
      draw.weighted<PlainRecord>([
        [8, () => ({ request_put: this.#putRequest() })],
        [5, () => ({ request_range: this.#range() })],
        [4, () => ({ request_delete_range: this.#deleteRequest() })],
        [depth > 0 ? 4 : 0, () => ({ request_txn: this.#txnRequest(depth - 1) })],
        [draw.in100(10) ? 1 : 0, () => ({})],
      ]);
    return {
      compare: draw.list(draw.in100(5) ? LIMITS.txnOps + 2 : 2, () => this.#compare()),
      success: draw.list(most, op),
      failure: draw.list(most, op),
    };
  }
  #txn(): Step {
    return step("Txn", this.#txnRequest(3));
  }
  #compact(): Step {
    return step("Compact", {
      revision: this.#draw.one<Plain>([this.#back(), this.#back(), this.#back(), 0, -1]),
      ...this.#draw.fields<Plain>({ physical: [60, () => true] }),
    });
  }
  #hash(): Step {
    return step("HashKV", this.#draw.fields<Plain>({ revision: [50, () => this.#back()] }));
  }
  #lease(): Step {
    const draw = this.#draw;
    return draw.weighted([
      [
        3,
        () =>
          step("LeaseGrant", {
            // None that ends while the sequence runs, which a busy machine may be long about.
            TTL: draw.one([1000, 1000, 600, 700, 800, 9_000_000_000, 9_000_000_001]),
            ...(draw.in100(70) && { ID: draw.one([1, 2, -1]) }),
          }),
      ],
      [2, () => step("LeaseRevoke", { ID: this.#leaseId() })],
      [1, () => step("LeaseKeepAlive", { ID: this.#leaseId() })],
      [2, () => step("LeaseTimeToLive", { ID: this.#leaseId(), ...draw.fields<Plain>({ keys: [70, () => true] }) })],
      [1, () => step("LeaseLeases", {})],
    ]);
  }
  #watch(): Step {
    const draw = this.#draw;
    const create = (): PlainRecord => ({
      create_request: {
        key: this.#key(),
        ...(draw.in100(60) ? { key: draw.one(["\0", "a", ""]), range_end: draw.one(["\0", "z", "d"]) } : this.#end()),
        ...draw.fields<Plain>({
          start_revision: [
            45,
            () => draw.one<Plain>([this.#back(), this.#back(), { back: -3 }, draw.in100(20) ? -1 : 1]),
          ],
          filters: [25, () => draw.one<Plain>([["NOPUT"], ["NODELETE"], ["NOPUT", "NODELETE"]])],
          prev_kv: [50, () => true],
          watch_id: [15, () => draw.one([1, 2, 7, -1])],
          fragment: [20, () => true],
          progress_notify: [20, () => true],
        }),
      },
    });
    return {
      rpc: "Watch",
      request: {},
      stream: draw.below(3),
      requests: draw.weighted<readonly PlainRecord[]>([
        [8, () => [create(), ...draw.list(2, create)]],
        [2, () => [{ cancel_request: { watch_id: draw.one([0, 1, 2, 7, 9, -1]) } }]],
        [1, () => [{ progress_request: {} }]],
      ]),
    };
  }
  #alarm(): Step {
    const draw = this.#draw;
    return step("Alarm", {
      action: draw.one(["GET", "ACTIVATE", "DEACTIVATE", "DEACTIVATE"]),
      memberID: draw.one<Plain>([0, { member: 0 }, { member: 0 }, 404]),
      alarm: draw.one(["NONE", "NOSPACE", "NOSPACE", "NOSPACE", "CORRUPT"]),
    });
  }
  /** Learners only: a second who votes and doesn't run would be the end; so is an update to what is no URL, for upstream's. */
  #member(): Step {
    const draw = this.#draw;
    const url = () =>
      draw.one(["http://127.0.0.1:1", "http://127.0.0.1:2", "ftp://127.0.0.1:1", "http://127.0.0.1", "nonsense", ""]);
    const id = (): Plain => draw.one<Plain>([404, { member: 1 }, { member: 2 }]);
    return draw.weighted([
      [2, () => step("MemberAdd", { isLearner: true, peerURLs: draw.in100(10) ? [] : [url()] })],
      [1, () => step("MemberRemove", { ID: id() })],
      [1, () => step("MemberUpdate", { ID: id(), peerURLs: [draw.one(["http://127.0.0.1:1", "http://127.0.0.1:2"])] })],
      [1, () => step("MemberPromote", { ID: id() })],
      [2, () => step("MemberList", draw.fields<Plain>({ linearizable: [40, () => true] }))],
    ]);
  }
}
