/** The layout of the kubelet's root folder, which is upstream's. Upstream: pkg/kubelet/kubelet_getters.go */

export interface Paths {
  readonly root: string;
  readonly pods: string;
  pod(uid: string): string;
  /** `plugin` is escaped: `kubernetes.io~empty-dir`. */
  volume(uid: string, plugin: string, name: string): string;
  container(uid: string, name: string): string;
  etcHosts(uid: string): string;
}

export function pathsUnder(root: string): Paths {
  const pods = `${root}/pods`;
  const pod = (uid: string) => `${pods}/${uid}`;
  return {
    root,
    pods,
    pod,
    volume: (uid, plugin, name) => `${pod(uid)}/volumes/${plugin}/${name}`,
    container: (uid, name) => `${pod(uid)}/containers/${name}`,
    etcHosts: (uid) => `${pod(uid)}/etc-hosts`,
  };
}
