/** Feature gates, under upstream's names. Upstream: server/features/etcd_features.go */
interface Gate {
  readonly stage: "ALPHA" | "BETA";
  readonly on: boolean;
}

export const FEATURES = {
  CompactHashCheck: { stage: "ALPHA", on: false },
  FastLeaseKeepAlive: { stage: "BETA", on: true },
  InitialCorruptCheck: { stage: "ALPHA", on: false },
  LeaseCheckpoint: { stage: "ALPHA", on: false },
  LeaseCheckpointPersist: { stage: "ALPHA", on: false },
  PriorityRequest: { stage: "ALPHA", on: false },
  SetMemberLocalAddr: { stage: "ALPHA", on: false },
  StopGRPCServiceOnDefrag: { stage: "ALPHA", on: false },
  TxnModeWriteWithSharedBuffer: { stage: "BETA", on: true },
} as const satisfies Readonly<Record<string, Gate>>;
export type Feature = keyof typeof FEATURES;
export type Features = Readonly<Record<Feature, boolean>>;

export const DEFAULT_FEATURES = featuresOf({});

/** Gates as `--feature-gates` sets them, `AllAlpha` and `AllBeta` among them. Throws at one that there is not. */
export function featuresOf(set: Readonly<Record<string, string>>): Features {
  const value = (name: string): boolean | undefined => {
    const text = set[name];
    if (text === undefined) return undefined;
    if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
    if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
    throw new Error(
      `invalid value of ${name}=${text}, err: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  };
  for (const name of Object.keys(set))
    if (!(name in FEATURES) && name !== "AllAlpha" && name !== "AllBeta")
      throw new Error(`unrecognized feature gate: ${name}`);
  const all = { ALPHA: value("AllAlpha"), BETA: value("AllBeta") };
  return Object.fromEntries(
    Object.entries<Gate>(FEATURES).map(([name, { stage, on }]) => [name, value(name) ?? all[stage] ?? on]),
  ) as Features;
}
