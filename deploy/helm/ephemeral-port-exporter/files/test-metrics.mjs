// helm test: every address of the target must serve the exporter's page, or turn away who has no credentials where it asks for them.
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

async function judge(host) {
  let status, page
  try {
    ;({ status, page } = await get(host))
  } catch (error) {
    const wantsCertificate = TARGET_AUTHENTICATION === 'yes' && /^(ERR_SSL|ECONNRESET|EPIPE)/.test(error.code)
    return wantsCertificate ? undefined : error.message
  }
  if (TARGET_AUTHENTICATION === 'yes') return status === 401 ? undefined : `asked for no credentials: status ${status}`
  if (status !== 200) return `status ${status}`
  if (!/^ephemeral_port_exporter_build_info\{/m.test(page)) return 'served a page that is not the exporter\'s'
  const pools = [...page.matchAll(/^ephemeral_port_pool_available_ports\{.*\} \d+$/gm)]
  if (pools.length === 0) return 'knows no pool'
  console.log(`${host}: ${pools.length} pools`)
  return undefined
}

const addresses = await lookup(TARGET_HOST, { all: true })
for (const { address } of addresses) {
  const problem = await judge(address)
  if (problem !== undefined) {
    console.error(`${address}: ${problem}`)
    process.exitCode = 1
  }
}
