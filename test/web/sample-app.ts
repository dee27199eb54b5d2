import { once } from 'node:events'
import { createServer } from 'node:http'
import { connect } from 'node:net'
import { diagnose } from '../../src/diagnosis/diagnose.ts'
import { createPageRenderer } from '../../src/metrics/page.ts'
import { type AppOptions, createApp } from '../../src/web/app.ts'
import { sampleBuild, sampleSnapshot } from '../support/render/sample-snapshot.ts'

export function createSampleApp(changes: Partial<AppOptions> = {}) {
  return createApp({
    build: sampleBuild,
    renderer: createPageRenderer({ build: sampleBuild, includeProcessMetrics: false }),
    currentSnapshot: () => sampleSnapshot,
    readiness: () => ({ ready: true, reason: '' }),
    healthy: () => true,
    host: 'node-1',
    diagnose: (snapshot) => diagnose(snapshot, { platform: 'linux', listenPorts: [10_132] }),
    telemetryPath: '/metrics',
    ...changes,
  })
}

export const unready: Partial<AppOptions> = {
  currentSnapshot: () => undefined,
  readiness: () => ({ ready: false, reason: 'the first sample is under way' }),
}

/** Sends bytes to the app and gives all it answers until it closes. */
export async function exchange(app: ReturnType<typeof createApp>, bytes: string): Promise<Buffer> {
  const server = createServer(app).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('No port')
  const socket = connect(address.port, '127.0.0.1')
  const chunks: Buffer[] = []
  socket.on('data', (chunk) => chunks.push(chunk))
  socket.write(bytes)
  await once(socket, 'close')
  server.close()
  return Buffer.concat(chunks)
}
