import { describe, expect, test } from 'vitest'
import { doctorExitCode, renderDoctor, renderDoctorJson } from '../../src/cli/doctor.ts'
import { plainText } from '../../src/cli/text.ts'
import { type Diagnosis, diagnose } from '../../src/diagnosis/diagnose.ts'
import type { Finding } from '../../src/diagnosis/finding.ts'
import { noneHeld } from '../support/netns/namespace.ts'
import {
  buildHost,
  buildNamespace,
  buildPool,
  buildSnapshot,
  buildUse,
  linux,
  upstream,
} from '../support/render/cli-snapshot.ts'

const quiet = diagnose(buildSnapshot(), linux)
const sick = diagnose(
  buildHost({
    pools: [
      buildPool({ pool: 'udp' }),
      buildPool({
        availablePorts: 1000,
        worstDestination: upstream,
        heldPorts: { ...noneHeld, close_wait: 27_000, established: 232 },
        cause: {
          cause: 'close_wait',
          ports: 27_000,
          owners: [{ owner: 'payments.service', ownerKind: 'unit', ports: 27_000 }],
        },
      }),
    ],
    protocols: [buildUse({ listeners: 1 })],
    listeners: [{ protocol: 'tcp', port: 40_000, owner: 'postgresql.service' }],
  }),
  linux,
)
const finding = (severity: Finding['severity'], what: string): Finding => ({
  severity,
  topic: 'exposure',
  namespaces: ['host'],
  what,
  why: '',
  fix: '',
  commands: [],
})
const only = (...findings: Finding[]): Diagnosis => ({ ...quiet, findings })

describe('renderDoctor()', () => {
  test('colours the severity alone, and where there are colours only', () => {
    const full = only(finding('critical', 'full'))
    expect(renderDoctor(full, { ...plainText, colours: true })).toBe(
      '\u001b[31mcritical\u001b[0m: host: full\n',
    )
    expect(renderDoctor(full)).toBe('critical: host: full\n')
  })

  test('names the first of many namespaces and counts the others', () => {
    const namespaces = ['a', 'b', 'c', 'd', 'e', 'f', 'g']
    expect(renderDoctor(only({ ...finding('note', 'odd'), namespaces }))).toBe(
      'note: 7 namespaces (a, b, c, d, e and 2 more): odd\n',
    )
  })

  test('lets no name act on the terminal', () => {
    expect(renderDoctor(only(finding('note', 'evil\u001b[2J')))).toBe('note: host: evil?[2J\n')
  })
})

describe('renderDoctorJson()', () => {
  test('is the diagnosis on one line', () => {
    const line = renderDoctorJson(sick)
    expect(line.indexOf('\n')).toBe(line.length - 1)
    expect(JSON.parse(line)).toEqual(JSON.parse(JSON.stringify(sick)))
  })
})

describe('doctorExitCode()', () => {
  test.each<[string, Diagnosis, number]>([
    ['healthy', quiet, 0],
    ['a note', only(finding('note', 'odd')), 0],
    ['a warning', only(finding('warning', 'small')), 1],
    ['a critical pool', sick, 2],
    [
      'nothing that could be read',
      diagnose(buildSnapshot({ namespaces: [buildNamespace({ state: undefined })] }), linux),
      3,
    ],
  ])('of %s', (_name, diagnosis, code) => {
    expect(doctorExitCode(diagnosis)).toBe(code)
  })
})
