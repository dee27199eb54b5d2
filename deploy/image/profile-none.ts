// How the chart's privilege profile `none` starts the image, written down here so that no Helm is needed. A test compares it with
// what the chart renders.

import type { Container } from './container.ts'
import { ENTRYPOINT, NONROOT } from './rootfs.ts'

export function describeProfileNone(rootfs: string, listenAddress: string): Container {
  const mount = (source: string) => ({
    source,
    path: `/host${source}`,
    readOnly: true,
    follows: false,
  })
  return {
    rootfs,
    command: [...ENTRYPOINT, `--web.listen-address=${listenAddress}`],
    environment: {
      NODE_ENV: 'production',
      EPHEMERAL_PORT_EXPORTER_COLLECTOR_DESTINATIONS: 'true',
      EPHEMERAL_PORT_EXPORTER_COLLECTOR_FAILURES: 'false',
      EPHEMERAL_PORT_EXPORTER_COLLECTOR_KUBERNETES: 'false',
      EPHEMERAL_PORT_EXPORTER_COLLECTOR_LISTENERS: 'true',
      EPHEMERAL_PORT_EXPORTER_COLLECTOR_NAT: 'true',
      EPHEMERAL_PORT_EXPORTER_COLLECTOR_OWNERS: 'true',
      EPHEMERAL_PORT_EXPORTER_COLLECTOR_PROBE: 'false',
      EPHEMERAL_PORT_EXPORTER_NETNS: 'all',
      EPHEMERAL_PORT_EXPORTER_PATH_CGROUP: '/host/sys/fs/cgroup',
      EPHEMERAL_PORT_EXPORTER_PATH_PROCFS: '/host/proc',
      EPHEMERAL_PORT_EXPORTER_WEB_LISTEN_ADDRESS: ':10132',
    },
    uid: NONROOT,
    gid: NONROOT,
    capabilities: [],
    noNewPrivileges: true,
    readOnlyRoot: true,
    hostNetwork: true,
    mounts: [mount('/proc'), mount('/sys/fs/cgroup')],
  }
}
