// The tables of this machine against sockets that the test opens itself.

import { existsSync, readFileSync } from 'node:fs'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { networkInterfaces } from 'node:os'
import { expect, test } from 'vitest'
import { decodeProcNet } from '../../src/kernel/proc-net.ts'
import { describeRows } from './rows.ts'

const uid = process.getuid?.() === 0 ? '' : ` uid ${process.getuid?.()}`

test.for([
  { table: 'tcp', host: '127.0.0.1', any: '0.0.0.0' },
  { table: 'tcp6', host: '::1', any: '::' },
] as const)(
  'decodeProcNet() finds exactly our sockets in /proc/self/net/$table',
  async ({ table, host, any }, ctx) => {
    const path = `/proc/self/net/${table}`
    ctx.skip(!existsSync(path), `needs ${path}`)
    ctx.skip(!isLocal(host), `needs the address ${host}`)
    const { server, accepted, client } = await openConnection(host)
    try {
      const port = (server.address() as AddressInfo).port
      const end = (address: string, at: number | undefined) =>
        address.includes(':') ? `[${address}]:${at}` : `${address}:${at}`
      const rows = describeRows(decodeProcNet([readFileSync(path)], { table }))
      const v6only = table === 'tcp6' ? ' v6only' : ''
      // Others may have had the same port until a minute ago.
      const found = rows.filter(
        (row) => `${row} `.includes(`${end(host, port)} `) && !row.includes(' time_wait '),
      )
      expect(found.sort()).toEqual(
        [
          `tcp listen ${end(host, port)} > ${end(any, 0)}${v6only}${uid}`,
          `tcp established ${end(host, client.localPort)} > ${end(host, port)}${uid}`,
          `tcp established ${end(host, port)} > ${end(host, client.localPort)}${uid}`,
        ].sort(),
      )
    } finally {
      client.destroy()
      accepted.destroy()
      server.close()
    }
  },
)

function isLocal(address: string): boolean {
  return Object.values(networkInterfaces()).some((list) =>
    list?.some((found) => found.address === address),
  )
}

async function openConnection(
  host: string,
): Promise<{ server: Server; accepted: Socket; client: Socket }> {
  const server = createServer()
  const connection = new Promise<Socket>((resolve) => server.once('connection', resolve))
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, host, resolve)
  })
  const client = connect((server.address() as AddressInfo).port, host)
  return { server, accepted: await connection, client }
}
