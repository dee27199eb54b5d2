import { describe, expect, test } from 'vitest'
import { envNameOf, optionNames } from '../../../src/config/options.ts'
import {
  dropIns,
  parseUnit,
  readUnit,
  takeCapabilities,
  UNIT,
} from '../../support/cluster/systemd-unit.ts'

const service = readUnit(UNIT)
const values = (settings: typeof service, key: string) =>
  settings.filter((setting) => setting.key === key).map(({ value }) => value)

describe('parseUnit()', () => {
  test('objects to what is no setting', () => {
    expect(parseUnit('[Service]\n# why\nUser=x\n')).toEqual([
      { section: 'Service', key: 'User', value: 'x' },
    ])
    expect(() => parseUnit('[Service]\nUser x\n')).toThrow('"User x"')
  })
})

describe('the unit', () => {
  test('runs as nobody known, without any capability', () => {
    expect(values(service, 'DynamicUser')).toEqual(['yes'])
    expect(values(service, 'NoNewPrivileges')).toEqual(['yes'])
    for (const key of ['CapabilityBoundingSet', 'AmbientCapabilities']) {
      expect(values(service, key)).toEqual([''])
      expect(takeCapabilities(service, key)).toEqual([])
    }
  })

  test.each([
    ['MemoryDenyWriteExecute', 'V8 compiles at run time'],
    ['PrivateNetwork', 'the network of the host is what is read'],
    ['PrivateUsers', 'setns asks for capabilities of the host'],
    ['ProtectProc', 'sockets of other namespaces are read below their processes'],
    ['ProcSubset', '/proc/sys and /proc/net are read'],
  ])('does not set %s: %s', (key) => {
    for (const file of [UNIT, ...dropIns]) expect(values(readUnit(file), key)).toEqual([])
  })

  test('is hardened by exactly this', () => {
    const plain = /^(Type|Environment|EnvironmentFile|ExecStart|TimeoutStopSec)$/
    const hardening = service.filter(
      ({ section, key }) => section === 'Service' && !plain.test(key),
    )
    expect(hardening.map(({ key, value }) => `${key}=${value}`)).toEqual([
      'Restart=on-failure',
      'RestartSec=5s',
      'DynamicUser=yes',
      'CapabilityBoundingSet=',
      'AmbientCapabilities=',
      'NoNewPrivileges=yes',
      'LockPersonality=yes',
      'PrivateDevices=yes',
      'PrivateMounts=yes',
      'PrivateTmp=yes',
      'ProtectClock=yes',
      'ProtectControlGroups=yes',
      'ProtectHome=yes',
      'ProtectHostname=yes',
      'ProtectKernelLogs=yes',
      'ProtectKernelModules=yes',
      'ProtectKernelTunables=yes',
      'ProtectSystem=strict',
      'RemoveIPC=yes',
      'RestrictAddressFamilies=AF_INET AF_INET6 AF_NETLINK',
      'RestrictNamespaces=yes',
      'RestrictRealtime=yes',
      'RestrictSUIDSGID=yes',
      'SystemCallArchitectures=native',
      'SystemCallErrorNumber=EPERM',
      'SystemCallFilter=@system-service @pkey',
      'SystemCallFilter=~@privileged @resources',
      'UMask=0077',
      'MemoryMax=1G',
      'TasksMax=64',
    ])
  })

  test('may open netlink sockets and Internet sockets, and no other', () => {
    expect(values(service, 'RestrictAddressFamilies')).toEqual(['AF_INET AF_INET6 AF_NETLINK'])
  })
})

describe('the drop-ins', () => {
  const both = [...service, ...dropIns.flatMap(readUnit)]

  test('give what they need and no more, alone and together', () => {
    const bounds = (file: (typeof dropIns)[number]) => {
      const settings = [...service, ...readUnit(file)]
      const ambient = takeCapabilities(settings, 'AmbientCapabilities')
      expect(takeCapabilities(settings, 'CapabilityBoundingSet')).toEqual(ambient)
      return ambient
    }
    expect(bounds('setns.conf')).toEqual(['CAP_SYS_ADMIN', 'CAP_SYS_PTRACE'])
    expect(bounds('failures.conf')).toEqual(['CAP_DAC_OVERRIDE'])
    expect(bounds('buckets.conf')).toEqual(['CAP_BPF', 'CAP_PERFMON'])
    expect(bounds('nat.conf')).toEqual(['CAP_NET_ADMIN'])
    expect(takeCapabilities(both, 'AmbientCapabilities').sort()).toEqual([
      'CAP_BPF',
      'CAP_DAC_OVERRIDE',
      'CAP_NET_ADMIN',
      'CAP_PERFMON',
      'CAP_SYS_ADMIN',
      'CAP_SYS_PTRACE',
    ])
  })

  test('take away no more of the hardening than they must', () => {
    const changes = (file: (typeof dropIns)[number]) =>
      readUnit(file)
        .filter(({ key }) => !/^(Environment|AmbientCapabilities|CapabilityBoundingSet)$/.test(key))
        .map(({ key, value }) => `${key}=${value}`)
    expect(changes('setns.conf')).toEqual(['RestrictNamespaces=net'])
    expect(changes('buckets.conf')).toEqual(['SystemCallFilter=bpf'])
    expect(changes('nat.conf')).toEqual([])
    // All that ProtectKernelTunables protects, but tracefs.
    expect(changes('failures.conf')).toEqual([
      'RequiresMountsFor=/sys/kernel/tracing',
      'ProtectKernelTunables=no',
      'ReadOnlyPaths=/proc/sys /proc/sysrq-trigger /proc/irq /proc/bus /sys',
      'ReadWritePaths=/sys/kernel/tracing',
    ])
  })

  test('name options that exist', () => {
    const known = optionNames.map(envNameOf)
    const named = both
      .filter(({ key }) => key === 'Environment')
      .map(({ value }) => value.split('=')[0] ?? '')
      .filter((name) => name.startsWith('EPHEMERAL_PORT_EXPORTER_'))
    expect(named).not.toEqual([])
    expect(named.filter((name) => !known.includes(name))).toEqual([])
  })
})
