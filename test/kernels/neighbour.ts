// A process in a network namespace of its own that has ten ports and uses all of them for one destination.

import { openLibc } from '../support/kernel/libc.ts'
import { createSocketOperations } from '../support/netns/actor-sockets.ts'
import { bringUp, unshareNetns } from '../support/netns/netns.ts'
import { setSysctls } from './machine.ts'

const libc = openLibc()
unshareNetns(libc)
bringUp(libc, 'lo')
setSysctls({ 'net.ipv4.ip_local_port_range': '42000 42009' })
const { open } = createSocketOperations(libc)
const server = { address: '127.0.0.1', port: 8001 }
open({ bind: server, listen: 100 })
open({ connect: server, count: 10 })
process.send?.('ready')
setInterval(() => {}, 1e9)
