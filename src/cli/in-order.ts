import type { Component } from "../base/component-group.ts";
import { ComponentGroup } from "../base/component-group.ts";

/** Several components as one: started in order, stopped in reverse. */
export function inOrder(name: string, components: readonly Component[]): Component {
  return {
    name,
    async run(signal, ready) {
      await using group = new ComponentGroup();
      for (const component of components) await group.start(component, signal);
      ready();
      await group.wait(signal);
    },
  };
}
