// What each profile of `privileges` gives to the container, on the objects that Helm 3 and Helm 4 render.

import { readFileSync } from 'node:fs'
import { beforeEach, describe, expect, test } from 'vitest'
import { findHelm, objectOf, type RenderOptions, renderChart } from '../support/cluster/helm.ts'
import {
  at,
  listOf,
  type RenderedContainer,
  takeContainer,
} from '../support/cluster/kube-container.ts'

const helms = findHelm()
const node = { nodeName: 'node-1', hostIp: '192.0.2.1' }

beforeEach((context) => {
  const missing = helms.filter(({ path }) => path === undefined).map(({ name }) => name)
  if (missing.length > 0 && process.env.CI !== 'true') {
    context.skip(`needs ${missing.join(', ')} (.ci/run installs them)`)
  }
})

const proc = { path: '/proc', type: 'Directory' }
const cgroup = { path: '/sys/fs/cgroup', type: 'Directory' }
const readOnlyMounts = [
  {
    path: '/host/proc',
    readOnly: true,
    propagation: 'None',
    source: { kind: 'hostPath', ...proc },
  },
  {
    path: '/host/sys/fs/cgroup',
    readOnly: true,
    propagation: 'None',
    source: { kind: 'hostPath', ...cgroup },
  },
]
const netns = {
  path: '/run/netns',
  readOnly: true,
  propagation: 'HostToContainer',
  source: { kind: 'hostPath', path: '/run/netns', type: 'DirectoryOrCreate' },
}
const tracefs = {
  path: '/sys/kernel/tracing',
  readOnly: false,
  propagation: 'None',
  source: { kind: 'hostPath', path: '/sys/kernel/tracing', type: 'Directory' },
}

const ADDRESS = 'EPHEMERAL_PORT_EXPORTER_WEB_LISTEN_ADDRESS'
/** The switches of the collectors: those that are on by default, and more. */
function collectors(...more: readonly string[]): Readonly<Record<string, string>> {
  const on = ['destinations', 'listeners', 'nat', 'owners', ...more]
  const names = [...new Set([...on, 'failures', 'kubernetes', 'probe'])]
  const variables = names.map((name): [string, string] => [
    `EPHEMERAL_PORT_EXPORTER_COLLECTOR_${name.toUpperCase()}`,
    String(on.includes(name)),
  ])
  return Object.fromEntries(variables)
}

/** Not as flags: `kubectl exec ... status` must have them too. */
const pathsAndAddress = {
  EPHEMERAL_PORT_EXPORTER_NETNS: 'all',
  EPHEMERAL_PORT_EXPORTER_PATH_CGROUP: '/host/sys/fs/cgroup',
  EPHEMERAL_PORT_EXPORTER_PATH_PROCFS: '/host/proc',
  [ADDRESS]: ':10132',
}

/** What the rows of a table say of the user, and of what each profile costs; in small letters. */
function readProfiles(readme: string): readonly string[] {
  const text = readFileSync(new URL(`../../${readme}`, import.meta.url), 'utf8').toLowerCase()
  const [, table = ''] = text.split(/^\| `privileges` \| runs as .*\n.*\n/m)
  const rows = table.slice(0, table.indexOf('\n\n')).split('\n')
  return rows.map((row) =>
    row
      .split(' | ')
      .filter((_, i) => i !== 2)
      .join()
      .replaceAll('`', ''),
  )
}

/** The words that such a row must have for what a container may do. */
function listRights(container: RenderedContainer): readonly string[] {
  const { uid, capabilities, appArmor, hostNetwork, mounts } = container
  return [
    uid === 0 ? 'root' : `${uid}, no capability`,
    ...capabilities.add.map((name) => name.toLowerCase()),
    ...(appArmor === undefined ? [] : [`apparmor ${appArmor.toLowerCase()}`]),
    ...(hostNetwork ? ['host network'] : []),
    ...mounts.flatMap(({ source, readOnly }) => [
      'path' in source ? source.path : source.kind,
      ...(readOnly ? [] : ['writable']),
    ]),
  ]
}

describe.each(helms)('$name', (helm) => {
  const render = (values: unknown, options?: RenderOptions): RenderedContainer =>
    takeContainer(renderChart(helm, values, options), node)

  test('gives nothing to none, which is the default', () => {
    const container = render({})
    expect(container).toEqual(render({ privileges: 'none' }))
    expect(container).toMatchObject({
      uid: 65532,
      gid: 65532,
      runAsNonRoot: true,
      capabilities: { add: [], drop: ['ALL'] },
      noNewPrivileges: true,
      privileged: false,
      readOnlyRoot: true,
      seccomp: 'RuntimeDefault',
      appArmor: undefined,
      hostNetwork: true,
      hostPid: false,
      command: [],
    })
    expect(container.env).toEqual({ ...pathsAndAddress, ...collectors() })
    expect(container.mounts).toEqual(readOnlyMounts)
    expect(container.args).toEqual([])
  })

  test('gives setns root with SYS_ADMIN and the names of namespaces, and nothing else', () => {
    const container = render({ privileges: 'setns' })
    const { capabilities, mounts, ...rest } = container
    const { capabilities: _, mounts: __, ...none } = render({ privileges: 'none' })
    expect(capabilities).toEqual({ add: ['SYS_ADMIN'], drop: ['ALL'] })
    expect(mounts).toEqual([...readOnlyMounts, netns])
    expect(rest).toEqual({ ...none, uid: 0, gid: 0, fsGroup: undefined, runAsNonRoot: false })
  })

  test('adds SYS_PTRACE and takes AppArmor away only where it is asked to', () => {
    const plain = render({ privileges: 'setns' })
    const container = render({ privileges: 'setns', setns: { ptrace: true } })
    expect(container).toEqual({
      ...plain,
      capabilities: { add: ['SYS_ADMIN', 'SYS_PTRACE'], drop: ['ALL'] },
      appArmor: 'Unconfined',
    })
  })

  test('gives full the tracefs of the node beside what setns has', () => {
    const setns = render({ privileges: 'setns' })
    const full = render({ privileges: 'full' })
    expect(full).toEqual({
      ...setns,
      capabilities: { add: ['SYS_ADMIN', 'NET_ADMIN', 'BPF', 'PERFMON'], drop: ['ALL'] },
      appArmor: 'Unconfined',
      mounts: [...setns.mounts, tracefs],
      env: { ...pathsAndAddress, ...collectors('failures') },
    })
  })

  test('leaves the tracefs of the node out of full where failures are not to be counted', () => {
    const full = render({ privileges: 'full' })
    const without = render({ privileges: 'full', collectors: { failures: false } })
    expect(without).toEqual({
      ...full,
      mounts: full.mounts.filter(({ path }) => path !== tracefs.path),
      env: { ...pathsAndAddress, ...collectors() },
    })
  })

  test.each(['docs/rights.md', 'deploy/helm/ephemeral-port-exporter/README.md'])(
    'gives what the table in %s says, and no more',
    (readme) => {
      const setns = { privileges: 'setns' }
      const profiles = [{}, setns, { ...setns, setns: { ptrace: true } }, { privileges: 'full' }]
      const rows = readProfiles(readme)
      expect(rows.length).toBe(profiles.length)
      const [none = [], root = [], ...more] = profiles.map((values) => listRights(render(values)))
      // The first two rows stand for themselves, the others say what they add to the second.
      const added = more.map((rights) => rights.filter((right) => !root.includes(right)))
      const all = [...new Set([none, root, ...more].flat())]
      for (const [i, rights] of [none, root, ...added].entries()) {
        // Every profile keeps these of `none`, and no row repeats them.
        const said = i === 0 ? rights : rights.filter((right) => !none.includes(right))
        expect(new Set(all.filter((right) => rows[i]?.includes(right)))).toEqual(new Set(said))
      }
    },
  )

  test('says AppArmor in the way that each version of Kubernetes understands', () => {
    for (const kubeVersion of ['1.29.0', '1.30.0']) {
      const objects = renderChart(helm, { privileges: 'full' }, { kubeVersion })
      expect(takeContainer(objects, node).appArmor).toBe('Unconfined')
      const annotations = at(
        objectOf(objects, 'DaemonSet'),
        'spec',
        'template',
        'metadata',
      ).annotations
      expect(annotations === undefined).toBe(kubeVersion === '1.30.0')
    }
  })

  test('makes what is mounted below /proc and /sys/fs/cgroup read-only as well where that exists', () => {
    for (const [kubeVersion, recursive] of [
      ['1.30.0', [undefined, undefined]],
      ['1.31.0', ['IfPossible', 'IfPossible']],
    ] as const) {
      const daemonSet = objectOf(renderChart(helm, {}, { kubeVersion }), 'DaemonSet')
      const [container] = listOf(at(daemonSet, 'spec', 'template', 'spec').containers)
      const mounts = listOf(at(container).volumeMounts)
      expect(mounts.map((mount) => at(mount).recursiveReadOnly)).toEqual(recursive)
    }
  })

  test.each(['none', 'setns', 'full'])(
    'mounts a token and may list pods only for the names of pods (%s)',
    (privileges) => {
      const without = renderChart(helm, { privileges })
      expect(JSON.stringify(without)).not.toMatch(/"token"|ClusterRole|NODE_NAME/)
      expect(objectOf(without, 'ServiceAccount').automountServiceAccountToken).toBe(false)

      const objects = renderChart(helm, { privileges, collectors: { kubernetes: true } })
      const container = takeContainer(objects, node)
      const pod = at(objectOf(objects, 'DaemonSet'), 'spec', 'template', 'spec')
      expect(pod.automountServiceAccountToken).toBe(false)
      const collects = collectors('kubernetes', ...(privileges === 'full' ? ['failures'] : []))
      expect(container.env).toEqual({ ...pathsAndAddress, ...collects, NODE_NAME: 'node-1' })
      expect(container.mounts.at(-1)).toEqual({
        path: '/var/run/secrets/kubernetes.io/serviceaccount',
        readOnly: true,
        propagation: 'None',
        source: { kind: 'projected', files: ['token', 'ca.crt'] },
      })
      expect(objectOf(objects, 'ClusterRole').rules).toEqual([
        { apiGroups: [''], resources: ['pods'], verbs: ['list'] },
      ])
      const { name, namespace } = objectOf(objects, 'ServiceAccount').metadata
      const binding = objectOf(objects, 'ClusterRoleBinding')
      expect(binding.subjects).toEqual([{ kind: 'ServiceAccount', name, namespace }])
      expect(at(binding, 'roleRef').name).toBe(objectOf(objects, 'ClusterRole').metadata.name)
      expect(pod.serviceAccountName).toBe(name)
    },
  )

  test('runs on every node and replaces its pods one by one', () => {
    const spec = at(objectOf(renderChart(helm, {}), 'DaemonSet'), 'spec')
    expect(at(spec, 'template', 'spec').tolerations).toEqual([{ operator: 'Exists' }])
    expect(spec.updateStrategy).toEqual({
      type: 'RollingUpdate',
      rollingUpdate: { maxUnavailable: 1 },
    })
  })

  test('asks over a bare connection where a request may be turned away', () => {
    const hash = `$2y$10$${'a'.repeat(53)}`
    const ask = (webConfig: unknown) => render({ webConfig }).probes.map(({ scheme }) => scheme)
    expect(ask({})).toEqual(['HTTP', 'HTTP', 'HTTP'])
    const tls = { cert_file: 'a', key_file: 'b' }
    expect(ask({ tls_server_config: tls })).toEqual(['HTTPS', 'HTTPS', 'HTTPS'])
    const nobody = [undefined, undefined, undefined]
    expect(ask({ basic_auth_users: { a: hash } })).toEqual(nobody)
    const verified = { client_auth_type: 'RequireAndVerifyClientCert', client_ca_file: 'c' }
    expect(ask({ tls_server_config: { ...tls, ...verified } })).toEqual(nobody)
    expect(ask({ rate_limit: { interval: '1s', burst: 5 } })).toEqual(nobody)
    const secret = (webConfigExistingSecret: object) =>
      render({ webConfigExistingSecret }).probes.map(({ scheme }) => scheme)
    expect(secret({ name: 'x', tls: true })).toEqual(['HTTPS', 'HTTPS', 'HTTPS'])
    expect(secret({ name: 'x', rateLimit: true })).toEqual(nobody)
    const { probes } = render({})
    expect(probes.map(({ kind, path, port }) => `${kind} ${port}${path}`)).toEqual([
      'liveness 10132/-/healthy',
      'readiness 10132/-/ready',
      'startup 10132/-/healthy',
    ])
  })

  test('listens on the address of the pod alone where it is told to, of either family', () => {
    const objects = renderChart(helm, { service: { listenOnAllInterfaces: false } })
    const listen = (podIp: string) => takeContainer(objects, { ...node, podIp }).env[ADDRESS]
    expect(listen('192.0.2.1')).toBe('[192.0.2.1]:10132')
    expect(listen('2001:db8::1')).toBe('[2001:db8::1]:10132')
  })

  test('listens on the address of a pod that has a network of its own', () => {
    const own = { privileges: 'setns', setns: { ptrace: true }, hostNetwork: false }
    const objects = renderChart(helm, { ...own, service: { listenOnAllInterfaces: false } })
    const { env } = takeContainer(objects, { ...node, podIp: '198.51.100.7' })
    expect(env[ADDRESS]).toBe('[198.51.100.7]:10132')
  })
})
