/** Wall clocks of time zones, from the runtime's own tables. Pure: the same instant and zone always give the same wall time. */

export interface Zone {
  readonly name: string;
  /** Ms that the wall clock is ahead of UTC at this instant. */
  offsetMs(at: number): number;
}

export const UTC: Zone = { name: "UTC", offsetMs: () => 0 };

/** Throws a RangeError for a name that the tables don't have. */
export function zoneNamed(name: string): Zone {
  const format = new Intl.DateTimeFormat("en-US", {
    timeZone: name,
    hourCycle: "h23",
    year: "numeric",
    month: "numeric",
    day: "numeric",
    hour: "numeric",
    minute: "numeric",
    second: "numeric",
  });
  return {
    name,
    offsetMs(at) {
      const parts: Record<string, number> = {};
      for (const { type, value } of format.formatToParts(at)) parts[type] = Number(value);
      const wall = Date.UTC(
        parts["year"]!,
        parts["month"]! - 1,
        parts["day"]!,
        parts["hour"]!,
        parts["minute"]!,
        parts["second"]!,
      );
      return wall - Math.floor(at / 1000) * 1000;
    },
  };
}

/** The wall clock as a UTC date: read it with the UTC getters. */
export function wallOf(zone: Zone, at: number): Date {
  return new Date(at + zone.offsetMs(at));
}

/** The instant at which the wall clock shows this. Where it shows it twice or never, the choice is Go's. */
export function instantOf(zone: Zone, wall: number): number {
  const first = zone.offsetMs(wall);
  const second = zone.offsetMs(wall - first);
  return wall - (first === second ? first : second);
}

/** RFC 3339 with the zone's offset. */
export function formatIn(zone: Zone, at: number): string {
  const offset = zone.offsetMs(at) / 60_000;
  const text = wallOf(zone, at).toISOString().slice(0, 19);
  if (offset === 0) return `${text}Z`;
  const digits = (value: number) => String(Math.floor(value)).padStart(2, "0");
  return `${text}${offset < 0 ? "-" : "+"}${digits(Math.abs(offset) / 60)}:${digits(Math.abs(offset) % 60)}`;
}
