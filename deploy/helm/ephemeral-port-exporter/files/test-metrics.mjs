// helm test: every pod must serve the exporter's page, or turn away who has no credentials where it asks for them.
import { lookup } from 'node:dns/promises'
import { request as requestHttp } from 'node:http'
import { request as requestHttps } from 'node:https'

const { TARGET_HOST, TARGET_PORT, TARGET_PATH, TARGET_SCHEME, TARGET_AUTHENTICATION } = process.env
const request = TARGET_SCHEME === 'https' ? requestHttps : requestHttp

// The chart does not know the certificate's name, and nothing secret is sent.
function get(host) {
  const options = { host, port: TARGET_PORT, path: TARGET_PATH, timeout: 5000, rejectUnauthorized: false }
  return new Promise((resolve, reject) => {
    const asked = request(options, (answer) => {
      const chunks = []
      answer.on('data', (chunk) => chunks.push(chunk))
      answer.on('error', reject)
      answer.on('end', () => resolve({ status: answer.statusCode, page: Buffer.concat(chunks).toString() }))
    })
    asked.on('timeout', () => asked.destroy(new Error('No answer within 5 seconds')))
    asked.on('error', reject)
    asked.end()
  })
}

/** How many pools it knows, null where it asked for credentials, or what is wrong with it. */
async function judge(host) {
  let status, page
  try {
    ;({ status, page } = await get(host))
  } catch (error) {
    const wantsCertificate = TARGET_AUTHENTICATION === 'yes' && /^(ERR_SSL|ECONNRESET|EPIPE)/.test(error.code)
    return wantsCertificate ? null : error.message
  }
  if (TARGET_AUTHENTICATION === 'yes') return status === 401 ? null : `asked for no credentials: status ${status}`
  if (status !== 200) return `status ${status}`
  if (!/^ephemeral_port_exporter_build_info\{/m.test(page)) return 'served a page that is not the exporter\'s'
  const pools = [...page.matchAll(/^ephemeral_port_pool_available_ports\{.*\} \d+$/gm)]
  return pools.length > 0 ? pools.length : 'knows no pool'
}

/** A Service that was just made, or its first pod, takes a moment to reach the name servers. */
async function findPods() {
  for (const deadline = Date.now() + 30_000; ; await new Promise((resolve) => setTimeout(resolve, 1000))) {
    try {
      return await lookup(TARGET_HOST, { all: true })
    } catch (error) {
      if (Date.now() > deadline) throw error
    }
  }
}

const pods = await findPods()
const judged = await Promise.all(pods.map(async ({ address }) => ({ address, result: await judge(address) })))
for (const { address, result } of judged) {
  if (typeof result === 'string') {
    console.error(`${address}: ${result}`)
    process.exitCode = 1
  } else console.log(`${address}: ${result === null ? 'asks for credentials' : `${result} pools`}`)
}
