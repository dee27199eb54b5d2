import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, test } from 'vitest'
import { createInstanceName, INSTANCE_PREFIX, renderFilter } from '../../src/failures/instance.ts'
import { countsAsKernel } from '../../src/failures/traced-threads.ts'
import { findTracefs, tracefsRefusal } from '../../src/kernel/tracefs.ts'
import { SourceError } from '../../src/observation.ts'

const directory = mkdtempSync(join(tmpdir(), 'instance-'))
afterAll(() => rmSync(directory, { recursive: true }))

function refusalOf(call: () => unknown): SourceError {
  try {
    call()
  } catch (error) {
    if (error instanceof SourceError) return error
  }
  return expect.fail('nothing was refused')
}

test('createInstanceName() gives two instances of one pid two names', () => {
  const [one, other] = [createInstanceName(1), createInstanceName(1)]
  expect(one).not.toBe(other)
  expect(one).toMatch(/^ephemeral_port_exporter\.1\.[0-9a-f]{12}$/)
  expect(one.startsWith(INSTANCE_PREFIX)).toBe(true)
})

test('renderFilter() leaves out the flow of a port probe alone, and no thread', () => {
  const [from, to] = ['127.254.254.254', '127.0.0.1'].map((text) => {
    const [a = 0, b = 0, c = 0, d = 0] = text.split('.').map(Number)
    return a + b * 2 ** 8 + c * 2 ** 16 + d * 2 ** 24
  })
  expect(renderFilter()).toBe(
    'oldstate == 2 && newstate == 7 && sport == 0 && protocol == 6 && ' +
      `(saddr != ${from} || daddr != ${to} || dport != 9)`,
  )
})

describe('findTracefs()', () => {
  test('takes the first place that is one', () => {
    mkdirSync(join(directory, 'second/instances'), { recursive: true })
    writeFileSync(join(directory, 'first'), '')
    const places = ['first', 'second'].map((name) => join(directory, name))
    expect(findTracefs(places)).toBe(places[1])
  })

  test('says what to mount where there is none', () => {
    const refusal = refusalOf(() => findTracefs(['/nowhere/tracing', '/nowhere/debug/tracing']))
    expect(refusal.reason).toBe('unsupported')
    expect(refusal.message).toBe(
      'Cannot record failed allocations: there is no tracefs at /nowhere/tracing or /nowhere/debug/tracing; ' +
        'mount it (mount -t tracefs nodev /sys/kernel/tracing), and into a container, read-write, from the host',
    )
  })
})

test.each(['EACCES', 'EPERM', 'EROFS'])(
  'tracefsRefusal() says what rights it takes for %s',
  (code) => {
    const error = Object.assign(new Error(`${code}: mkdir '/t/instances/x'`), { code })
    const { reason, message } = tracefsRefusal(error)
    expect(reason).toBe('permission')
    expect(message).toBe(
      `Cannot record failed allocations: ${code}: mkdir '/t/instances/x'; this takes root or CAP_DAC_OVERRIDE, ` +
        "and in a container the host's /sys/kernel/tracing mounted read-write",
    )
  },
)

test('tracefsRefusal() gives no advice about rights when memory is short', () => {
  const error = Object.assign(new Error('ENOMEM: mkdir'), { code: 'ENOMEM' })
  expect(tracefsRefusal(error)).toMatchObject({
    reason: 'exhausted',
    message: 'Cannot record failed allocations: ENOMEM: mkdir',
  })
})

describe('countsAsKernel()', () => {
  function procfs(name: string, comm: string, flags: number): string {
    const path = join(directory, name)
    mkdirSync(join(path, '2'), { recursive: true })
    writeFileSync(join(path, '2/comm'), `${comm}\n`)
    writeFileSync(join(path, '2/stat'), `2 (${comm}) S 0 0 0 0 -1 ${flags} 0 0 0\n`)
    return path
  }

  test('believes a procfs that shows the threads of the kernel', () => {
    expect(countsAsKernel(procfs('host', 'kthreadd', 2_129_984))).toBe(true)
  })

  test.each([
    ['a second process of another name', () => procfs('pod', 'node', 4_194_304)],
    ['a second process that takes that name', () => procfs('liar', 'kthreadd', 4_194_304)],
    ['no second process', () => join(directory, 'nowhere')],
  ])('does not believe one with %s', (_name, make) => {
    expect(countsAsKernel(make())).toBe(false)
  })
})
