/**
 * Prefers nodes that already have the pod's images, the more so the larger the images are and the more nodes have them, so that no single node
 * attracts all pods.
 * Upstream: pkg/scheduler/framework/plugins/imagelocality
 */
import type { Pod } from "../../api/generated/core.v1.ts";
import { definePlugin } from "../framework.ts";

const MI = 1024 * 1024;
const LEAST = 23 * MI;
const MOST_PER_CONTAINER = 1000 * MI;

export const imageLocality = definePlugin({
  name: "ImageLocality",
  weight: 1,
  create: ({ cache }) => ({
    retryOn: [],
    score({ pod }) {
      const images = imagesOf(pod);
      const shares = images.map((image) => cache.nodesWithImage(image) / cache.nodes.length);
      if (shares.every((share) => share === 0)) return undefined;
      const containers = pod.spec.containers.length + (pod.spec.initContainers ?? []).length;
      const most = MOST_PER_CONTAINER * containers;
      return (nodes, scores) => {
        for (let i = 0; i < nodes.length; i++) {
          const present = nodes[i]!.images;
          let sum = 0;
          for (let j = 0; j < images.length; j++) sum += Math.trunc((present.get(images[j]!) ?? 0) * shares[j]!);
          scores[i] = Math.trunc((100 * (Math.min(most, Math.max(LEAST, sum)) - LEAST)) / (most - LEAST));
        }
      };
    },
  }),
});

function imagesOf({ spec }: Pod): readonly string[] {
  return [
    ...[...(spec.initContainers ?? []), ...spec.containers].map(({ image = "" }) => normalized(image)),
    ...(spec.volumes ?? []).flatMap(({ image }) =>
      image?.reference === undefined ? [] : [normalized(image.reference)],
    ),
  ];
}

/** With `:latest` where the name has neither tag nor digest. */
export function normalized(image: string): string {
  return image.lastIndexOf(":") <= image.lastIndexOf("/") ? `${image}:latest` : image;
}
