/**
 * Controllers in the process of the API server, each with the permissions of its own service account: for test environments without a controller
 * manager.
 */
import type { ApiServer } from "../../apiserver/server.ts";
import type { Component } from "../../base/component-group.ts";
import { createClient } from "../../client/create-client.ts";
import { CONTROLLERS } from "../../controllers/index.ts";
import { createControllerManager } from "../../controllers/manager.ts";
import type { Logger } from "../../observe/log.ts";
import type { World } from "../../world/world.ts";
import { CommandError } from "../command.ts";
import { controllerUser, user } from "../component-users.ts";

export function embeddedControllers(server: ApiServer, names: readonly string[], world: World, log: Logger): Component {
  const unknown = names.filter((name) => !CONTROLLERS.some((definition) => definition.name === name));
  if (unknown.length > 0) throw new CommandError(`--t8s-controllers: there is no controller ${unknown.join(", ")}`);
  return createControllerManager({
    world: { clock: world.clock, random: world.random.fork("controllers") },
    client: createClient(server.transport(user("system:kube-controller-manager"))),
    clientFor: (name) => createClient(server.transport(controllerUser(name))),
    log,
    controllers: names,
  });
}
