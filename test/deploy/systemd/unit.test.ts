import { describe, expect, test } from 'vitest'
import { envNameOf, optionNames } from '../../../src/config/options.ts'
import { dropIns, parseUnit, readUnit, takeCapabilities, UNIT } from '../../support/systemd-unit.ts'

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
    expect(takeCapabilities(both, 'AmbientCapabilities').sort()).toEqual([
      'CAP_DAC_OVERRIDE',
      'CAP_SYS_ADMIN',
      'CAP_SYS_PTRACE',
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
