/** Writes the objects that a new cluster begins with: the RBAC policy, flow schemas and priority levels. */
import { readFileSync, writeFileSync } from "node:fs";

type Objects = readonly Readonly<Record<string, unknown>>[];

export function writeBootstrap(facts: string): void {
  const read = (file: string) => JSON.parse(readFileSync(`${facts}/${file}`, "utf8")) as Record<string, any>;
  const rbac = read("rbac.json") as Record<string, Objects>;
  const policy = {
    clusterRoles: [...rbac["clusterRoles"]!, ...rbac["controllerClusterRoles"]!],
    clusterRoleBindings: [...rbac["clusterRoleBindings"]!, ...rbac["controllerClusterRoleBindings"]!],
    roles: rbac["namespaceRoles"]!,
    roleBindings: rbac["namespaceRoleBindings"]!,
  };
  write("src/apiserver/authz/bootstrap-policy.json", policy);
  const apf = read("apf.json") as Record<"mandatory" | "suggested", Record<string, Objects>>;
  const of = (key: string) => [...apf.suggested[key]!, ...apf.mandatory[key]!];
  write("src/apiserver/bootstrap/flow-control.json", {
    priorityLevelConfigurations: of("priorityLevelConfigurations"),
    flowSchemas: of("flowSchemas"),
  });
}

/** One object a line: small, and a change shows as one. */
function write(path: string, lists: Readonly<Record<string, Objects>>): void {
  const text = Object.entries(lists)
    .map(
      ([name, objects]) =>
        `${JSON.stringify(name)}: [\n${objects.map((object) => JSON.stringify(object)).join(",\n")}\n]`,
    )
    .join(",\n");
  writeFileSync(path, `{${text}}\n`);
}
