// A machine that has nothing but an initramfs: mounts, modules, the network and the end of it.

import { openSync, readdirSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { openLibc } from '../support/kernel/libc.ts'
import type { Netns } from '../support/netns/actor.ts'
import { createExporterOperations } from '../support/netns/actor-exporter.ts'
import { createSocketOperations } from '../support/netns/actor-sockets.ts'
import { addAddress, bringUp, createVrf } from '../support/netns/netns.ts'

const MODULES = '/modules'
const SYS_FINIT_MODULE = 313
const POWER_OFF = 0x4321_fedc

const koffi = createRequire(import.meta.url)('koffi') as typeof import('koffi')
const library = koffi.load(null)
const libc = openLibc()

export function furnishMachine(): void {
  const mount = library.func(
    'int mount(const char *, const char *, const char *, unsigned long, void *)',
  )
  for (const [type, place] of [
    ['proc', '/proc'],
    ['sysfs', '/sys'],
    ['tmpfs', '/tmp'],
  ]) {
    if (mount(type, place, type, 0, null) !== 0) throw new Error(`Cannot mount ${place}`)
  }
  bringUp(libc, 'lo')
  // Where run.ts puts the program.
  process.chdir('/app')
}

/** The initramfs has no modprobe, so that no module is there before. */
export function loadModule(module: string): void {
  const syscall = library.func('long syscall(long, long, const char *, long)')
  const file = readdirSync(MODULES).find((name) => name.startsWith(`${module}.ko`)) ?? module
  const result = Number(syscall(SYS_FINIT_MODULE, openSync(`${MODULES}/${file}`, 'r'), '', 0))
  if (result !== 0) throw new Error(`Cannot load ${module}: errno ${koffi.errno()}`)
}

export function setSysctls(values: Readonly<Record<string, string>>): void {
  for (const [name, value] of Object.entries(values)) {
    writeFileSync(`/proc/sys/${name.replaceAll('.', '/')}`, `${value}\n`)
  }
}

/** A VRF with an address of its own. */
export function furnishVrf(device: string, address: string): void {
  createVrf(libc, device, 10)
  bringUp(libc, device)
  addAddress(libc, device, address, 32)
}

/** Looks like a namespace with an actor in it, and is this machine. */
export function createMachine(): Netns {
  const operations: Record<string, (argument: never) => unknown> = {
    ...createSocketOperations(libc),
    ...createExporterOperations(),
  }
  const call = async (name: string, argument: unknown) =>
    await operations[name]?.(argument as never)
  return { pid: process.pid, call: call as Netns['call'] }
}

export function powerOff(): void {
  library.func('int reboot(int)')(POWER_OFF)
}
