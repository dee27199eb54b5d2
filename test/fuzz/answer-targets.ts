// What other programs say: a running exporter, the Kubernetes API, systeminformation, and whoever asks for a page.

import { renderReport } from '../../src/cli/report.ts'
import { isSnapshot } from '../../src/cli/snapshot-shape.ts'
import { plainText } from '../../src/cli/text.ts'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import { DecodeError } from '../../src/observation.ts'
import { parsePodList } from '../../src/pods/pods.ts'
import { parsePodListInSteps } from '../../src/pods/slices.ts'
import { parseConnections } from '../../src/sources/connection-rows.ts'
import { acceptsGzip, acceptsHtml, negotiateFormat } from '../../src/web/negotiate.ts'
import { sampleSnapshot } from '../support/render/sample-snapshot.ts'
import { bytesOf, demand, type Target, textOf } from './target.ts'

const PLATFORMS = ['linux', 'darwin', 'win32', 'freebsd'] as const

/** The value of a text; undefined where it is no JSON. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** What came of it: a result as text, or what was thrown. */
function resultOf(parse: () => unknown): string {
  try {
    return JSON.stringify(parse())
  } catch (error) {
    return String(error)
  }
}

function runAll(text: string): unknown {
  const steps = parsePodListInSteps(text)
  for (;;) {
    const { done, value } = steps.next()
    if (done) return value
  }
}

const pod = (uid: string) =>
  `{"metadata":{"uid":"${uid}","namespace":"a","name":"b"},"spec":{"x":[{}]},"status":{}}`

export const answerTargets: readonly Target[] = [
  {
    name: 'snapshot',
    costly: true,
    seeds: () => [
      bytesOf(JSON.stringify(sampleSnapshot)),
      bytesOf(JSON.stringify({ ...sampleSnapshot, namespaces: [], collectors: [] })),
    ],
    read: (bytes) => {
      const snapshot = parseJson(textOf(bytes))
      if (!isSnapshot(snapshot)) return snapshot === undefined ? 'no JSON' : 'no snapshot'
      const diagnosis = diagnose(snapshot, { platform: 'linux', listenPorts: [10_132] })
      const view = { snapshot, diagnosis, origin: 'from a stranger' }
      const reports = (['status', 'doctor'] as const).map((command) =>
        renderReport({ command, json: false }, view, plainText),
      )
      const odd = /undefined|NaN|\[object|Infinity/.exec(reports.join())
      if (odd !== null) throw new Error(`A report says ${odd[0]}`)
      return reports.map((text) => text.length)
    },
  },
  {
    name: 'pod-slices',
    seeds: () => [
      bytesOf(`{"kind":"PodList","apiVersion":"v1","items":[${pod('1')},${pod('2')}]}`),
      bytesOf(`{"items": [],"kind":"PodList","metadata":{"items":[{"a":"\\"]"}]}}`),
      bytesOf(`{"kind":"PodList","items":[null,[],${pod('1')}]}`),
      bytesOf(`{"kind":"PodList","items":[${pod('1')}],"\\u0069tems":[null]}`),
      bytesOf(`{"kind":"PodList","items":[${pod('1')}],"items":null}`),
    ],
    read: (bytes) => {
      const text = textOf(bytes)
      const [whole, sliced] = [() => parsePodList(text), () => runAll(text)].map(resultOf)
      if (whole !== sliced) throw new Error(`In slices it is ${sliced}, as a whole ${whole}`)
      return parsePodList(text).length
    },
  },
  {
    name: 'connections',
    seeds: () => [
      bytesOf('tcp 10.0.0.5 40000 10.0.0.9 443 ESTABLISHED\nudp * 53 * * -'),
      bytesOf('tcp6 fe80::1%eth0 40001 2001:db8::9 443 TIME_WAIT\ntcp46 * 80 * 0 LISTEN'),
      bytesOf('Proto Local Address Foreign Address State\ntcp 127.0.0.1 1 [::1] 2 CLOSE_WAIT'),
    ],
    read: (bytes) => {
      const rows = textOf(bytes)
        .split('\n')
        .map((line) => {
          const [protocol = '', localAddress = '', localPort = '', ...others] = line.split(' ')
          const [peerAddress = '', peerPort = '', state = ''] = others
          return { protocol, localAddress, localPort, peerAddress, peerPort, state }
        })
      const platform = PLATFORMS[(bytes[0] ?? 0) % PLATFORMS.length] ?? 'linux'
      try {
        const { tcp, udp } = parseConnections(rows, platform)
        demand('rows', tcp.length + udp.length, rows.length)
        return [tcp.length, udp.length, tcp.state[0] ?? 0]
      } catch (error) {
        // Its message quotes the whole row.
        if (error instanceof DecodeError) return 'refused'
        throw error
      }
    },
  },
  {
    name: 'accept',
    seeds: () => [
      bytesOf('application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3'),
      bytesOf('text/html, application/xhtml+xml;q=0.9, */*;q=0.8'),
      bytesOf('gzip;q=0.5, identity;q=0.4, *;q=0'),
    ],
    read: (bytes) => {
      const text = textOf(bytes)
      return [negotiateFormat(text), String(acceptsHtml(text)), String(acceptsGzip(text))]
    },
  },
]
