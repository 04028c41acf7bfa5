/** The conditions that a status lists. Upstream: staging/src/k8s.io/apimachinery/pkg/api/meta/conditions.go */

interface Condition {
  readonly type: string;
  readonly status: string;
}
type WithConditions<C extends Condition> = { readonly conditions?: readonly C[] | undefined } | undefined;

export function conditionOf<C extends Condition>(status: WithConditions<C>, type: string): C | undefined {
  return status?.conditions?.find((condition) => condition.type === type);
}

/** Said, and said to be so: `False` and `Unknown` are as good as nothing. */
export function isTrue(status: WithConditions<Condition>, type: string): boolean {
  return conditionOf(status, type)?.status === "True";
}
