/**
 * The alarms that are raised, and for which members. They are kept in the bucket `alarm` as upstream keeps them: the message is the key.
 * Upstream: server/etcdserver/api/v3alarm/alarms.go
 */
import { assert } from "../../base/assert.ts";
import { AlarmMember, type AlarmRequest, type AlarmType } from "../../protocols/etcd/generated.ts";
import type { Codec } from "../../wire/rpc/codec.ts";
import type { Init } from "../../wire/rpc/service.ts";
import type { Bucket } from "../backend/backend.ts";

export class Alarms {
  #bucket: Bucket;
  readonly #codec: Codec;
  #raised: readonly AlarmMember[] = [];

  constructor(bucket: Bucket, codec: Codec) {
    this.#bucket = bucket;
    this.#codec = codec;
    this.load(bucket);
  }

  /** Takes over what a bucket holds: at the start, and when a snapshot has replaced the state. */
  load(bucket: Bucket): void {
    this.#bucket = bucket;
    const raised: AlarmMember[] = [];
    this.#bucket.forEach((key) => void raised.push(this.#codec.decode(AlarmMember, Buffer.from(key, "latin1"))));
    this.#raised = raised;
  }

  get raised(): readonly AlarmMember[] {
    return this.#raised;
  }

  has(alarm: AlarmType): boolean {
    return this.#raised.length > 0 && this.#raised.some((raised) => raised.alarm === alarm);
  }

  raise(member: AlarmMember): void {
    if (this.#raised.some((raised) => isSame(raised, member))) return;
    this.#raised = [...this.#raised, member];
    this.#bucket.put(this.#key(member), new Uint8Array(0));
  }

  /** Gives the alarms that the request is about, after it. */
  apply({ action = "GET", alarm = "NONE", memberID = 0n }: Init<AlarmRequest>): readonly AlarmMember[] {
    const member: AlarmMember = { memberID, alarm };
    switch (action) {
      case "GET":
        return alarm === "NONE" ? this.#raised : this.#raised.filter((raised) => raised.alarm === alarm);
      case "ACTIVATE":
        if (alarm === "NONE") return [];
        this.raise(member);
        return [member];
      case "DEACTIVATE": {
        const gone = this.#raised.filter((raised) => isSame(raised, member));
        assert(gone.length <= 1, "an alarm is raised twice for one member");
        this.#raised = this.#raised.filter((raised) => !isSame(raised, member));
        this.#bucket.delete(this.#key(member));
        return gone;
      }
    }
  }

  #key(member: AlarmMember): string {
    return Buffer.from(this.#codec.encode(AlarmMember, member)).toString("latin1");
  }
}

function isSame(a: AlarmMember, b: AlarmMember): boolean {
  return a.alarm === b.alarm && a.memberID === b.memberID;
}
