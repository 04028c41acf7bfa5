/** CRI's ImageService over the images that were loaded, and over this machine's own files. */
import type { ImageService } from "../../../protocols/cri/generated.ts";
import type { Implementation, Init } from "../../../wire/rpc/service.ts";
import { readImages, removeImage, type UnpackedImage } from "./images.ts";
import type { ProcessState } from "./state.ts";

export function processImageService(state: ProcessState): Partial<Implementation<typeof ImageService>> {
  const shown = (image: UnpackedImage) => ({
    id: image.id,
    repo_tags: image.names,
    size: image.sizeBytes,
    username: image.config.User ?? "",
  });
  return {
    ListImages: async () => ({ images: (await readImages(state.deps, state.options.imageDir)).map(shown) }),
    ImageStatus: async ({ image }) => {
      const name = image?.image ?? "";
      const loaded = await state.image(name);
      if (loaded !== undefined) return { image: shown(loaded) };
      return state.hostImages.has(name) ? { image: { id: name, repo_tags: [name], size: 0 } } : {};
    },
    PullImage: async ({ image }) => {
      const name = image?.image ?? "";
      const loaded = await state.image(name);
      // Nothing is fetched: a name that isn't loaded stands for this machine's own files.
      if (loaded === undefined) state.hostImages.add(name);
      return { image_ref: loaded?.id ?? name };
    },
    RemoveImage: async ({ image }) => {
      const name = image?.image ?? "";
      const loaded = await state.image(name);
      state.hostImages.delete(name);
      if (loaded !== undefined) await removeImage(state.deps, state.options.imageDir, loaded.id);
      return {};
    },
    ImageFsInfo: async () => {
      const { sizeBytes, freeBytes, files, filesFree } = await state.deps.fs.statfs(state.options.dir);
      const filesystem: Init<{ fs_id: { mountpoint: string } }> & object = {
        fs_id: { mountpoint: state.options.imageDir },
      };
      return {
        image_filesystems: [
          {
            ...filesystem,
            timestamp: BigInt(Math.floor(state.deps.clock.now())) * 1_000_000n,
            used_bytes: { value: sizeBytes - freeBytes },
            inodes_used: { value: files - filesFree },
          },
        ],
      };
    },
  };
}
