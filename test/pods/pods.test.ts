import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { PodListError } from '../../src/pods/answer.ts'
import { parsePodList } from '../../src/pods/pods.ts'
import type { Pod } from '../../src/sample.ts'

const uid = '6f1d3c0a-4e2b-4c55-9b1e-0d5f7c8a9b10'
const id = (digit: string) => digit.repeat(64)

/** A pod as the API shows it, with the changes laid over the parts. */
function pod(changes: { metadata?: object; spec?: object; status?: object } = {}): object {
  return {
    metadata: { uid, namespace: 'shop', name: 'cart-7d9', ...changes.metadata },
    spec: { nodeName: 'node-1', ...changes.spec },
    status: { phase: 'Running', ...changes.status },
  }
}

function list(...items: unknown[]): string {
  return JSON.stringify({ kind: 'PodList', apiVersion: 'v1', metadata: {}, items })
}

function parseOne(item: object): Pod | undefined {
  return parsePodList(list(item))[0]
}

describe('parsePodList()', () => {
  test('keeps who the pod is when it sets nothing', () => {
    expect(parsePodList(list(pod()))).toEqual([
      {
        uid,
        namespace: 'shop',
        name: 'cart-7d9',
        portRange: undefined,
        reservedPorts: undefined,
        containers: {},
        addresses: [],
      },
    ])
  })

  test('keeps both sysctls when the spec sets them', () => {
    const spec = {
      securityContext: {
        sysctls: [
          { name: 'net.core.somaxconn', value: '1024' },
          { name: 'net.ipv4.ip_local_port_range', value: '1024 65535' },
          { name: 'net.ipv4.ip_local_reserved_ports', value: '8080,9000-9100' },
        ],
      },
    }
    expect(parseOne(pod({ spec }))).toMatchObject({
      portRange: '1024 65535',
      reservedPorts: '8080,9000-9100',
    })
  })

  test('keeps the longest list of reserved ports there can be, and none that is longer', () => {
    const reservedOf = (value: string) => {
      const sysctls = [{ name: 'net.ipv4.ip_local_reserved_ports', value }]
      return parseOne(pod({ spec: { securityContext: { sysctls } } }))?.reservedPorts
    }
    const longest = Array.from({ length: 32_767 }, (_, at) => 2 * at + 1).join()
    expect(reservedOf(longest)).toBe(longest)
    expect(reservedOf('1,'.repeat(100_001))).toBeUndefined()
  })

  test('keeps the addresses of its own, not those that it shares with its node', () => {
    const status = { podIPs: [{ ip: '10.244.1.7' }, { ip: 'fd00::7' }, {}, 'no'] }
    expect(parseOne(pod({ status }))?.addresses).toEqual(['10.244.1.7', 'fd00::7'])
    expect(parseOne(pod({ status, spec: { hostNetwork: true } }))?.addresses).toEqual([])
    for (const phase of ['Succeeded', 'Failed']) {
      expect(parseOne(pod({ status: { ...status, phase } }))?.addresses).toEqual([])
    }
  })

  test('understands a sysctl when it is written with slashes', () => {
    const sysctls = [{ name: 'net/ipv4/ip_local_port_range', value: '2000 2999' }]
    expect(parseOne(pod({ spec: { securityContext: { sysctls } } }))?.portRange).toBe('2000 2999')
  })

  test('names the containers of every runtime and kind when they have been started', () => {
    const status = {
      containerStatuses: [
        { name: 'web', containerID: `containerd://${id('a')}` },
        { name: 'not-started', containerID: '' },
        { name: 'waiting', state: { waiting: { reason: 'ContainerCreating' } } },
      ],
      initContainerStatuses: [{ name: 'migrate', containerID: `cri-o://${id('b')}` }],
      ephemeralContainerStatuses: [{ name: 'debug', containerID: `docker://${id('c')}` }],
    }
    expect(parseOne(pod({ status }))?.containers).toEqual({
      [id('a')]: 'web',
      [id('b')]: 'migrate',
      [id('c')]: 'debug',
    })
  })

  test('skips a container when its id is none', () => {
    const status = {
      containerStatuses: [
        { name: 'short', containerID: 'containerd://abc' },
        { name: 'bare', containerID: id('a') },
        { name: 'proto', containerID: 'containerd://__proto__' },
        { name: 5, containerID: `containerd://${id('b')}` },
        null,
      ],
    }
    expect(parseOne(pod({ status }))?.containers).toEqual({})
  })

  test('takes the UID of the manifest when the pod mirrors a static one', () => {
    const hash = '0f9f3b1c2d4e5f60718293a4b5c6d7e8'
    const annotations = { 'kubernetes.io/config.mirror': hash, 'kubernetes.io/config.hash': hash }
    expect(parsePodList(list(pod({ metadata: { annotations } }))).map((each) => each.uid)).toEqual([
      hash,
    ])
  })

  test('keeps the API UID when a pod has only copied the hash of a static one', () => {
    const annotations = { 'kubernetes.io/config.hash': '0f9f3b1c2d4e5f60718293a4b5c6d7e8' }
    expect(parseOne(pod({ metadata: { annotations } }))?.uid).toBe(uid)
  })

  test.each(['before', 'after'])(
    'keeps the name of a pod when a false mirror stands %s it',
    (at) => {
      const annotations = { 'kubernetes.io/config.mirror': uid }
      const liar = pod({ metadata: { uid: 'other', name: 'liar', annotations } })
      const items = at === 'before' ? [liar, pod()] : [pod(), liar]
      expect(parsePodList(list(...items)).map(({ name }) => name)).toEqual(['cart-7d9'])
    },
  )

  test('skips what is no pod and keeps the others when items are broken', () => {
    const broken = [
      null,
      7,
      'pod',
      [],
      {},
      { metadata: null },
      pod({ metadata: { uid: undefined } }),
      pod({ metadata: { uid: '' } }),
      pod({ metadata: { uid: 12 } }),
      pod({ metadata: { name: 'x'.repeat(254) } }),
      pod({ metadata: { namespace: null } }),
    ]
    expect(parsePodList(list(...broken, pod())).map(({ name }) => name)).toEqual(['cart-7d9'])
  })

  test('keeps a pod when spec and status have the wrong shape', () => {
    const spec = { securityContext: { sysctls: { name: 'x' } } }
    const item = { ...pod({ spec }), status: 'Running' }
    expect(parseOne(item)).toMatchObject({ uid, portRange: undefined, containers: {} })
  })

  test('gives no pods when the items are null, as Go writes an empty list', () => {
    expect(parsePodList('{"kind":"PodList","apiVersion":"v1","metadata":{},"items":null}')).toEqual(
      [],
    )
  })

  test.each([
    ['nothing', '', 'The list of pods is not JSON (0 characters)'],
    ['HTML', '<html>Bad gateway</html>', 'The list of pods is not JSON (24 characters)'],
    ['an array', '[]', 'The list of pods is not JSON (2 characters)'],
    ['a Status', '{"kind":"Status"}', 'Expected a PodList, got kind "Status"'],
    ['no kind', '{"items":[]}', 'Expected a PodList, got kind "undefined"'],
    [
      'items that are no array',
      '{"kind":"PodList","items":{}}',
      'The items of the list of pods are not an array',
    ],
    [
      'one page of several',
      '{"kind":"PodList","metadata":{"continue":"abc"},"items":[]}',
      'The list of pods is only a part of the whole',
    ],
  ])('throws when the text is %s', (_name, text, message) => {
    expect(() => parsePodList(text)).toThrow(
      expect.objectContaining({ name: 'PodListError', reason: 'malformed', message }),
    )
  })

  test('throws without quoting the text when a list is cut anywhere', () => {
    const spec = { containers: [{ env: [{ name: 'PASSWORD', value: 'hunter2' }] }] }
    const text = list(pod({ spec }))
    for (let length = 0; length < text.length; length++) {
      try {
        parsePodList(text.slice(0, length))
        expect.unreachable()
      } catch (error) {
        if (!(error instanceof PodListError)) throw error
        expect(error.reason).toBe('malformed')
        expect(`${error.message}${error.cause ?? ''}`).not.toMatch(/hunter2|PASSWORD/)
      }
    }
  })

  test('yields pods or PodListError when the text is any JSON', () => {
    const values = fc.letrec((tie) => ({
      value: fc.oneof(
        { maxDepth: 5 },
        fc.constantFrom(null, true, 0, '', uid, 'cart'),
        fc.array(tie('value'), { maxLength: 3 }),
        fc.dictionary(
          fc.constantFrom(
            ...['metadata', 'spec', 'status', 'uid', 'name', 'namespace', 'annotations'],
            ...['securityContext', 'sysctls', 'containerStatuses', 'containerID', '__proto__'],
          ),
          tie('value'),
          { maxKeys: 4 },
        ),
      ),
    })).value
    fc.assert(
      fc.property(fc.array(values), (items) => {
        for (const { uid, namespace, name } of parsePodList(list(...items))) {
          expect([typeof uid, typeof namespace, typeof name]).toEqual([
            'string',
            'string',
            'string',
          ])
        }
      }),
      { numRuns: 300 },
    )
  })
})
