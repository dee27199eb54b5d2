import { spawnSync } from 'node:child_process'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  renderPorts,
  renderRangeCommand,
  renderReserveCommand,
  renderSettingCommand,
} from '../../src/diagnosis/commands.ts'
import { openEntrance } from '../../src/diagnosis/entrance.ts'
import { quoteWord, renderCommand } from '../../src/diagnosis/shell.ts'
import type { Namespace } from '../../src/snapshot.ts'
import { buildNamespace } from '../support/netns/namespace.ts'
import { inHost, refuse } from '../support/render/cli-snapshot.ts'

const named = (name: string) =>
  openEntrance(
    buildNamespace({
      netns: `named/${name}`,
      netnsKind: 'named',
      inode: 7,
      entrance: { name, madeSeconds: 1000, pid: undefined },
    }),
  )
const isThatOne = `[ "$(stat -Lc %i-%Z /proc/self/ns/net)" = 7-1000 ] ${refuse}`
const nobody = { name: undefined, pid: undefined }
const evil = [
  "x'; touch /tmp/owned; '",
  '$(touch /tmp/owned)',
  '`touch /tmp/owned`',
  'a b',
  'a"b',
  'a\\b',
  '*',
  '~root',
  'a&b',
  '!x',
  '#x',
]

describe('quoteWord()', () => {
  test.each(evil)('gives the shell exactly %s', (word) => {
    const line = renderCommand(['printf', '%s', word]) ?? ''
    expect(spawnSync('sh', ['-c', line]).stdout.toString()).toBe(word)
  })

  test('gives any shell any printable word unchanged, and withholds every other', () => {
    const words = fc.string({ unit: 'binary', minLength: 1, maxLength: 12 })
    fc.assert(
      fc.property(words, (word) => {
        const quoted = quoteWord(word)
        if (quoted === undefined) expect(word).toMatch(/\p{C}|[^\S ]/u)
        else expect(quoted).not.toMatch(/\p{C}|[^\S ]/u)
      }),
    )
    const printable = fc.string({ unit: 'grapheme-ascii', minLength: 1, maxLength: 30 })
    fc.assert(
      fc.property(printable, (word) => {
        const line = renderCommand(['printf', '%s', word]) ?? ''
        expect(spawnSync('sh', ['-c', line]).stdout.toString()).toBe(word)
      }),
      { numRuns: 50 },
    )
  })

  test.each(['a\nb', 'a\u001b[2Jb', 'a\u202eb', 'a\u2028b', 'a\tb', 'a\u00a0b', '\u0000'])(
    'withholds %j, which is not what it looks like',
    (word) => expect(quoteWord(word)).toBeUndefined(),
  )
})

describe('openEntrance()', () => {
  test('enters a named namespace by its name, whatever the name is', () => {
    expect(named('payments').runScript('ss -tn')).toBe(
      `ip netns exec payments sh -c '${isThatOne}; ss -tn'`,
    )
    expect(named("a'b").runScript('ss')).toBe(`ip netns exec 'a'\\''b' sh -c '${isThatOne}; ss'`)
  })

  test.each(['-all', 'a\nreboot', '\u001b]0;x\u0007'])('leads nowhere for the name %j', (name) => {
    expect(named(name).runScript('ss')).toBeUndefined()
    expect(renderSettingCommand(named(name), { tcp_tw_reuse: 1 })).toBeUndefined()
  })

  test('takes a process where a name is not safe', () => {
    const part = { netnsKind: 'named', entrance: { name: '-all', pid: 7 } } as const
    expect(openEntrance(buildNamespace(part)).runScript('ss')).toMatch(
      /^nsenter -t 7 -n sh -c '\[ .* exit 1; }; ss'$/,
    )
  })

  test('enters every other by a process, and looks where it has come to first', () => {
    for (const netnsKind of ['host', 'self', 'pod', 'container', 'inode'] as const) {
      const entrance = openEntrance(buildNamespace({ netnsKind }))
      expect(renderSettingCommand(entrance, { tcp_tw_reuse: 1 })).toBe(
        inHost('sysctl -w net.ipv4.tcp_tw_reuse=1'),
      )
    }
  })

  test.each<[string, Partial<Namespace>, RegExp]>([
    ['no process', { netnsKind: 'inode', entrance: nobody }, /CAP_SYS_PTRACE/],
    ['no inode to recognize it by', { inode: undefined }, /CAP_SYS_PTRACE/],
    [
      'a name and no inode',
      { netnsKind: 'named', inode: undefined, entrance: { name: 'blue', pid: 7 } },
      /CAP_SYS_PTRACE/,
    ],
    ['none but the own process', { netnsKind: 'self', entrance: nobody }, /no process is known/],
    [
      'a name that nobody should type',
      { netnsKind: 'named', entrance: { name: 'a\nb', pid: undefined } },
      /cannot be typed safely/,
    ],
  ])('leads nowhere with %s, and says what is missing', (_name, part, missing) => {
    const entrance = openEntrance(buildNamespace(part))
    expect(entrance.runScript('true')).toBeUndefined()
    expect(entrance.missing).toMatch(missing)
  })

  test('leads from the node to the host by staying there, and says where it is not the host', () => {
    const { runScript, missing } = openEntrance(buildNamespace({ entrance: nobody, inode: 1 }))
    const line = runScript('echo owned') ?? ''
    const { status, stdout, stderr } = spawnSync('sh', ['-c', line], { encoding: 'utf8' })
    expect([status, stdout, stderr]).toEqual([1, '', 'Another namespace, nothing done\n'])
    expect(missing).toBeUndefined()
  })
})

const reserved = 'net.ipv4.ip_local_reserved_ports'

describe('renderReserveCommand()', () => {
  test('adds to what is reserved when it runs, and never replaces it', () => {
    expect(
      renderReserveCommand(openEntrance(buildNamespace()), [{ first: 20_010, last: 20_012 }]),
    ).toBe(inHost(`r=$(sysctl -n ${reserved}) && sysctl -w ${reserved}="\${r:+$r,}20010-20012"`))
  })
})

describe('renderRangeCommand()', () => {
  test('reserves before it widens, so that no connection comes first', () => {
    const nodePorts = [{ first: 30_000, last: 32_767 }]
    const line = renderRangeCommand(named('a'), { first: 16_384, last: 65_535 }, nodePorts) ?? ''
    expect(line).toMatch(
      /^ip netns exec a sh -c '\[ .*30000-32767" && sysctl -w .*="16384 65535"'$/,
    )
  })
})

describe('renderPorts()', () => {
  test('sorts and joins what overlaps or touches', () => {
    const ports = [
      { first: 9, last: 9 },
      { first: 1, last: 5 },
      { first: 2, last: 3 },
      { first: 6, last: 6 },
    ]
    expect(renderPorts(ports)).toBe('1-6,9')
    expect(renderPorts([])).toBe('')
  })
})
