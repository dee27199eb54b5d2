// The sockets of a namespace as the reference model takes them, read by the product's netlink source.

import type { Libc } from '../../../src/kernel/libc.ts'
import { FLAG, type NetSettings, type SocketBatch } from '../../../src/observation.ts'
import { openNetlinkSource } from '../../../src/sources/netlink.ts'
import { describeRows } from '../../kernel/rows.ts'
import type { ReferenceSocket } from '../kernel/reference-model.ts'
import { inNetnsOf } from '../netns/in-netns.ts'

export interface NamespaceView {
  readonly settings: NetSettings
  /** TCP only. */
  readonly sockets: readonly ReferenceSocket[]
  /** All sockets, sorted, without the time that is left to a TIME_WAIT. */
  readonly rows: readonly string[]
}

/** The kernel's codes of STATE.timeWait, STATE.listen and STATE.bound; of the others the model does not ask. */
const kernelStates = new Map([
  [6, 6],
  [10, 10],
  [12, 7],
])

export async function createViewer(libc: Libc): Promise<(pid: number) => NamespaceView> {
  const options = { procfs: '/proc', platform: 'linux', everyNamespace: false, ownPort: undefined }
  const source = await openNetlinkSource(options, async () => libc)
  return (pid) =>
    inNetnsOf(libc, pid, () => {
      const { settings, batches } = source.read()
      const sockets: ReferenceSocket[] = []
      const rows: string[] = []
      for (const batch of batches) {
        rows.push(...describeRows([batch]))
        if (batch.protocol === 'tcp') sockets.push(...takeSockets(batch))
      }
      return { settings, sockets, rows: rows.map((row) => row.replace(/ \d+ms/, '')).sort() }
    })
}

function* takeSockets(batch: SocketBatch): Generator<ReferenceSocket> {
  for (const [row, text] of describeRows([batch]).entries()) {
    const [, source = '', destination = ''] = /(\S+):\d+ > (\S+):\d+/.exec(text) ?? []
    yield {
      port: batch.localPort[row] ?? 0,
      remotePort: batch.remotePort[row] ?? 0,
      source: source.replace(/[[\]]/g, ''),
      destination: destination.replace(/[[\]]/g, ''),
      state: kernelStates.get(batch.state[row] ?? 0) ?? 1,
      minisock: ((batch.flags[row] ?? 0) & FLAG.minisock) !== 0,
      expiresMs: batch.expiresMs[row] ?? 0,
      device: batch.device[row] ?? 0,
      explicit: batch.explicit,
      v6only: ((batch.flags[row] ?? 0) & FLAG.ipv6Only) !== 0,
    }
  }
}

/** The ports of the range as the model knows them: usable or not, and 1 for a TCP socket, 2 for one that blocks. */
export function mapPorts({ settings, sockets }: NamespaceView): {
  usable: Uint8Array
  portUse: Uint16Array
} {
  const { range, reserved } = settings
  const usable = new Uint8Array(65_536).fill(1, range.first, range.last + 1)
  for (const { first, last } of reserved) usable.fill(0, first, last + 1)
  const portUse = new Uint16Array(65_536)
  for (const { port, state, explicit } of sockets) {
    const blocks = explicit || state === 10 || state === 7
    portUse[port] = (portUse[port] ?? 0) | 1 | (blocks ? 2 : 0)
  }
  return { usable, portUse }
}

export const useBits = { tcp: 1, blocking: 2 } as const
