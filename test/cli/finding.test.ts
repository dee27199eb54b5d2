import { describe, expect, test } from 'vitest'
import { diagnose } from '../../src/cli/doctor.ts'
import { renderPorts } from '../../src/cli/doctor-range.ts'
import { type Finding, renderFindings } from '../../src/cli/finding.ts'
import { buildHost, buildPool, buildUse, upstream } from '../support/render/cli-snapshot.ts'

const plain = { netns: 'host', why: '', fix: '', commands: [] } as const
const one = (severity: Finding['severity'], what: string): Finding => ({ ...plain, severity, what })

describe('renderFindings()', () => {
  test('puts the worst first, with reason, remedy and commands', () => {
    const snapshot = buildHost({
      pools: [
        buildPool({ pool: 'udp' }),
        buildPool({ availablePorts: 1000, worstDestination: upstream }),
      ],
      protocols: [buildUse({ listeners: 1 })],
      listeners: [{ protocol: 'tcp', port: 40_000, owner: 'postgresql.service' }],
    })
    const facts = { platform: 'linux', listenPorts: [10_132] }
    expect(
      renderFindings(diagnose(snapshot, facts)),
    ).toBe(`critical: host: tcp_connect: 96.5% used, 1000 of 28232 ports available
    why: The worst destination (10.0.0.9:443 from 10.0.0.5) decides; connect() there fails with
         EADDRNOTAVAIL once none is left.
    fix: Keep connections open and share them (keep-alive, pools); add destination or source
         addresses, since each pair has a pool of its own; widen the range once the ports of
         services in it are reserved.
         sysctl -w net.ipv4.ip_local_port_range="16384 65535"

warning: host: 1 port is listened on inside 32768-60999 and not reserved
    why: While such a service restarts, any outgoing connection can take its port, and it fails to
         start with "address already in use"; while it runs, no connect() can use the port. They
         are: tcp 40000 (postgresql.service).
    fix: Move them out of the range, or reserve their ports: explicit binds to reserved ports still
         work. A program that asked for any port (0) needs no reservation.
         sysctl -w net.ipv4.ip_local_reserved_ports="40000"

ok: host: udp: 28232 of 28232 ports available
ok: host: TIME_WAIT withholds no destination's ports (tcp_tw_reuse=2, tcp_timestamps=1)
ok: host: the port range 32768-60999 has 28232 ports
ok: host: netlink sees every socket that holds a port

sysctl -w lasts until the next boot: a file in /etc/sysctl.d with the same "name = value" lasts
longer.
`)
  })

  test('ranks a note between ok and warning', () => {
    const findings = [one('ok', 'a'), one('critical', 'b'), one('note', 'c'), one('warning', 'd')]
    expect(renderFindings(findings)).toBe(
      'critical: host: b\nwarning: host: d\nnote: host: c\nok: host: a\n',
    )
  })

  test('colours the severity alone, and on a terminal only', () => {
    const findings = [one('critical', 'full')]
    expect(renderFindings(findings, { tty: true })).toBe(
      '\u001b[31mcritical\u001b[0m: host: full\n',
    )
    expect(renderFindings(findings, { tty: false })).toBe('critical: host: full\n')
  })

  test('lets no name act on the terminal', () => {
    expect(renderFindings([one('note', 'evil\u001b[2J')])).toBe('note: host: evil?[2J\n')
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
