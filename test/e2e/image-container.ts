// What Helm rendered for the DaemonSet -> the same container without Kubernetes. Pure.

import type { Container } from '../../deploy/image/container.ts'
import { ENTRYPOINT, NONROOT } from '../../deploy/image/rootfs.ts'
import type { RenderedContainer } from '../support/cluster/kube-container.ts'

export interface Surroundings {
  readonly rootfs: string
  /** Where it listens, in place of the port that another exporter of this machine may have. */
  readonly listenAddress: string
  /** Added to what was rendered. */
  readonly args?: readonly string[]
  /** Processes whose network namespaces have names on the node, in /run/netns. */
  readonly named?: Readonly<Record<string, number>>
  /** Added to the environment, as the kubelet adds the address of the API server. */
  readonly environment?: Readonly<Record<string, string>>
  /** Folder in place of the projected volume of the service account. */
  readonly account?: string
}

/** NB: of the kubelet's own files only those of the service account can be mounted; ConfigMaps and Secrets are refused. */
export function describeContainer(
  rendered: RenderedContainer,
  { rootfs, listenAddress, args = [], named = {}, environment = {}, account }: Surroundings,
): Container {
  if (rendered.privileged) throw new Error('Cannot start a privileged container')
  if (rendered.hostPid) throw new Error('Cannot share the PID namespace of the node')
  if (!rendered.capabilities.drop.includes('ALL')) throw new Error('Cannot start without drop: ALL')
  const flags = rendered.args.filter((arg) => !arg.startsWith('--web.listen-address='))
  return {
    rootfs,
    command: [
      ...(rendered.command.length > 0 ? rendered.command : ENTRYPOINT),
      ...flags,
      ...args,
      `--web.listen-address=${listenAddress}`,
    ],
    environment: { NODE_ENV: 'production', ...environment, ...rendered.env },
    uid: rendered.uid ?? NONROOT,
    gid: rendered.gid ?? NONROOT,
    capabilities: rendered.capabilities.add,
    noNewPrivileges: rendered.noNewPrivileges,
    readOnlyRoot: rendered.readOnlyRoot,
    hostNetwork: rendered.hostNetwork,
    mounts: rendered.mounts.map(({ path, readOnly, propagation, source }) => {
      const given = source.kind === 'hostPath' ? source.path : account
      if (given === undefined || (source.kind !== 'hostPath' && source.kind !== 'projected')) {
        throw new Error(`Cannot mount a ${source.kind} at ${path}`)
      }
      return { source: given, path, readOnly, follows: propagation === 'HostToContainer' }
    }),
    furnish: furnishNode(named),
  }
}

/** What a Kubernetes node has and a bare machine may not: names of namespaces, tracefs, cgroup v2 alone. */
function furnishNode(named: Readonly<Record<string, number>>): string[] {
  return [
    'mount -t tmpfs -o mode=755 tmpfs /run',
    'mkdir /run/netns',
    ...Object.entries(named).flatMap(([name, pid]) => [
      `: >/run/netns/${name}`,
      `mount --bind /proc/${pid}/ns/net /run/netns/${name}`,
    ]),
    'mount -t tracefs -o nosuid,nodev,noexec tracefs /sys/kernel/tracing',
    '[ "$(stat -f -c %T /sys/fs/cgroup)" = cgroup2fs ] || mount --bind /sys/fs/cgroup/unified /sys/fs/cgroup',
  ]
}
